package control

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

const named = `
[listeners.web]
address = "127.0.0.1:8080"
[routes.main]
service = "app"
[services.app]
endpoints = [{ url = "http://a.test:81", weight = 2 }, "http://b.test:81", "http://10.0.0.1:81"]
`

func TestNamesBecomeEndpoints(t *testing.T) {
	r := newRig(t)
	r.hosts["a.test"] = "::1 10.0.0.3 ::ffff:10.0.0.1 10.0.0.3"
	r.hosts["b.test"] = "fd00::2 fd00::1"
	s := r.start(named)
	var got []string
	for _, e := range s.Services[0].Endpoints {
		got = append(got, e.Name+"="+e.Addr.String())
	}
	want := "http://a.test:81=10.0.0.1:81 http://a.test:81=10.0.0.3:81 " +
		"http://b.test:81=[fd00::1]:81 http://b.test:81=[fd00::2]:81"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
	turns := make([]int, 4)
	for _, i := range s.Services[0].Cycle {
		turns[i]++
	}
	if fmt.Sprint(turns) != "[3 2 1 1]" {
		t.Errorf("turns: %v", turns)
	}
}

func TestRefresh(t *testing.T) {
	r := newRig(t)
	r.hosts["a.test"], r.hosts["b.test"] = "10.1.0.1 10.1.0.2", "10.2.0.1"
	before := r.start(named)
	r.hosts["a.test"] = "10.1.0.2 10.1.0.1"
	if r.m.Refresh(t.Context()); len(r.published) != 0 {
		t.Fatal("published although only the order changed")
	}
	r.hosts["a.test"] = "10.1.0.2 10.1.0.3"
	if r.m.Refresh(t.Context()); len(r.published) != 1 {
		t.Fatalf("%d published", len(r.published))
	}
	after := r.published[0].Services[0].Endpoints
	if old := before.Services[0].Endpoints; after[0].ID != old[1].ID || after[1].ID == old[0].ID ||
		after[1].Addr.String() != "10.1.0.3:81" {
		t.Errorf("%+v", after)
	}
	r.hosts["a.test"] = ""
	r.m.Refresh(t.Context())
	r.m.Refresh(t.Context())
	if n := strings.Count(r.log.String(), "host name does not resolve, its addresses stay"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	if s := r.m.Status(); len(r.published) != 1 || s.Last.Trigger != ByDNS || s.Attempts != 1 ||
		s.Snapshot != r.published[0] {
		t.Errorf("%d published, %+v", len(r.published), s)
	}
	if s := r.reload(named); s.Services[0].Endpoints[0] != after[0] {
		t.Error("a reload forgets addresses that cannot be looked up now")
	}
	r.hosts["a.test"] = "10.1.0.2 10.1.0.3"
	if r.m.Refresh(t.Context()); len(r.published) != 2 {
		t.Errorf("%d published", len(r.published))
	}
	r.logged("host name resolves again")
}

func TestTooManyAddresses(t *testing.T) {
	r := newRig(t)
	r.hosts["b.test"] = "10.2.0.1"
	var all strings.Builder
	for i := range maxEndpoints {
		fmt.Fprintf(&all, "10.3.%d.%d ", i/256, i%256)
	}
	r.hosts["a.test"] = all.String()
	r.write(named)
	if _, _, err := r.m.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "4098 endpoint addresses") {
		t.Error(err)
	}
}

// A change of addresses does not hide that the file is refused.
func TestRefreshBesideARefusedFile(t *testing.T) {
	r := newRig(t)
	r.hosts["a.test"], r.hosts["b.test"] = "10.1.0.1", "10.2.0.1"
	r.start(named)
	a := r.refused(named + "[limit]")
	r.hosts["a.test"] = "10.1.0.2"
	r.m.Refresh(t.Context())
	if s := r.m.Status(); s.Refused != a || s.Last.Trigger != ByDNS || s.Snapshot.Generation != 2 {
		t.Errorf("%+v", s)
	}
}

// watched is a rig whose manager watches, with its files' changes waited for.
func watched(t *testing.T, text string) (r *rig, wait func(good func(*Status) bool)) {
	r = newRig(t)
	changed := make(chan struct{}, 100)
	r.m.opts.Ended = func(*Attempt) { changed <- struct{}{} }
	r.start(text)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { r.m.Watch(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return r, func(good func(*Status) bool) {
		t.Helper()
		limit := time.After(30 * time.Second)
		for !good(r.m.Status()) {
			select {
			case <-changed:
			case <-limit:
				t.Fatalf("nothing happens: %+v", r.m.Status())
			}
		}
	}
}

func TestWatchFollowsTheFile(t *testing.T) {
	r, wait := watched(t, base)
	r.write(base + "[limits]\nheader_count = 7\n")
	wait(func(s *Status) bool { return s.Snapshot.Limits.HeaderCount == 7 })
	r.write("faulty")
	wait(func(s *Status) bool { return s.Refused != nil && s.Refused.Trigger == ByWatch })
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	r.write(base + "[limits]\nheader_count = 8\n")
	wait(func(s *Status) bool { return s.Refused == nil && s.Snapshot.Limits.HeaderCount == 8 })
}

// reload.watch is switched while the process runs. What changes while it is off is read when it is on again.
func TestWatchIsSwitched(t *testing.T) {
	r, wait := watched(t, base+"[reload]\nwatch = false\n")
	r.write(base)
	if a := r.m.Reload(t.Context(), BySignal); a.Err != nil {
		t.Fatal(a.Err)
	}
	r.write(base + "[reload]\nwatch = false\n[limits]\nheader_count = 7\n")
	wait(func(s *Status) bool { return s.Snapshot.Limits.HeaderCount == 7 })
	if by := r.m.Status().Last.Trigger; by != ByWatch {
		t.Errorf("by %s", by)
	}
}

func TestWatchEnds(t *testing.T) {
	watched(t, base) // whose cleanup waits for it
	r := newRig(t)
	r.start(base)
	r.m.Close()
	r.m.Watch(t.Context())
}
