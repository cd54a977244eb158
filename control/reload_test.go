package control

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/uringproxy/uringproxy/config"
)

func TestBadReloadKeepsTheLastGoodOne(t *testing.T) {
	r := newRig(t)
	r.start(base)
	a := r.refused(base + "[limit]\n[routes.x]\nhost = \"x\"\nservice = \"ap\"\n")
	var faults config.Faults
	if !errors.As(a.Err, &faults) || len(faults) != 2 || a.Found != 2 || len(a.Faults) != 2 {
		t.Errorf("%+v", a)
	}
	r.logged(`key=limit found="an unknown key"`)
	r.logged(`line=19 column=11 key=routes.x.service`)
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	if a := r.m.Reload(t.Context(), ByAPI); a.Err == nil || a.Trigger != ByAPI || len(r.published) != 0 {
		t.Errorf("%+v, %d published", a, len(r.published))
	}
	if s := r.reload(base); s.Generation != 2 {
		t.Errorf("generation %d", s.Generation)
	}
	if s := r.m.Status(); s.Attempts != 3 || s.Failed != 2 || len(r.attempts) != 3 || r.attempts[2] != s.Last {
		t.Errorf("%+v, told of %d", s, len(r.attempts))
	}
}

func TestReloadNamesWhatHasToWait(t *testing.T) {
	r := newRig(t)
	before := r.start(base)
	after := r.reload(`
[engine]
backend = "epoll"
tier = "T1"
shards = 7
pin = true
[limits]
max_connections = 5
shard_buffer_bytes = "2MiB"
header_count = 50
udp_sessions = 9
[log]
level = "debug"
access = { path = "stderr", format = "clf" }
[admin]
address = "off"
[listeners.other]
address = "127.0.0.1:9999"
[listeners.renamed]
address = "unix:/run/internal.sock"
trusted_proxies = ["10.0.0.0/8"]
[routes.only]
listeners = ["renamed"]
service = "app"
[services.app]
endpoints = ["http://10.0.0.1:80"]
`)
	for _, key := range []string{
		"engine.backend", "engine.tier", "engine.shards", "engine.pin", "limits.max_connections",
		"limits.shard_buffer_bytes", "limits.udp_sessions", "log.access.path", "log.access.format", "admin.address",
	} {
		r.logged(`msg="changed setting takes effect at the next start" key=` + key + "\n")
	}
	if n := strings.Count(r.log.String(), "level=WARN"); n != 10 {
		t.Errorf("%d warnings:\n%s", n, r.log.String())
	}
	if r.level.Level() != slog.LevelDebug {
		t.Error("the level did not follow")
	}
	want := before.Limits
	want.HeaderCount = 50
	if after.Limits != want || after.AccessLog != before.AccessLog {
		t.Errorf("%+v, %+v", after.Limits, after.AccessLog)
	}
	if got := r.m.Status().Waiting; len(got) != 10 || got[0] != "engine.backend" {
		t.Errorf("waiting: %q", got)
	}
	r.reload(base)
	if got := r.m.Status().Waiting; len(got) != 0 {
		t.Errorf("waiting: %q", got)
	}
}

// A rule that is too large to be compiled is a fault at its place, and nothing is left of it.
func TestRuleThatCannotBeCompiled(t *testing.T) {
	var hosts, paths []string
	for i := range 300 {
		hosts, paths = append(hosts, fmt.Sprintf("Host(`h%d`)", i)), append(paths, fmt.Sprintf("Path(`/%d`)", i))
	}
	large := fmt.Sprintf("[routes.large]\nservice = \"app\"\nrule = '(%s) && (%s)'\n",
		strings.Join(hosts, " || "), strings.Join(paths, " || "))
	r := newRig(t)
	r.start(base)
	a := r.refused(base + large)
	want := r.path + ":18:8: routes.large.rule: found a rule that cannot be compiled, expected a smaller one; " +
		"the rule's || and lists leave open 90000 combinations"
	if len(a.Faults) != 1 || !strings.HasPrefix(a.Faults[0].Error(), want) {
		t.Errorf("got  %v\nwant %s", a.Err, want)
	}
	if snap := r.reload(base); len(snap.Routes) != 2 {
		t.Errorf("%d routes", len(snap.Routes))
	}
}

// A listener that cannot be opened is a fault at its address.
func TestListenerThatCannotBeOpened(t *testing.T) {
	r := newRig(t)
	r.start(base)
	r.prepare = func() error { return &ListenError{"web", errors.New("listen on 127.0.0.1:8080: taken; free it")} }
	a := r.refused(base)
	want := r.path + `:3:11: listeners.web.address: found an address that cannot be listened on, ` +
		`expected one that is free and ours; listen on 127.0.0.1:8080: taken; free it`
	if len(a.Faults) != 1 || a.Faults[0].Error() != want || !strings.Contains(a.Faults[0].Excerpt(), "127.0.0.1:8080") {
		t.Errorf("got  %v\nwant %s", a.Err, want)
	}
	if r.level.Level() != slog.LevelInfo || r.m.last.Generation != 1 {
		t.Error("something changed")
	}
	r.m.retry(t.Context())
	if n := strings.Count(r.log.String(), "level=ERROR"); n != 2 || r.m.Status().Last.Trigger != ByRetry {
		t.Errorf("a retry with the same outcome was logged: %d errors\n%s", n, r.log.String())
	}
	r.prepare = nil
	if r.m.retry(t.Context()); r.m.Status().Refused != nil || len(r.published) != 1 {
		t.Error("not tried again")
	}
	r.m.retry(t.Context())
	r.refused("no TOML")
	if r.m.retry(t.Context()); len(r.attempts) != 4 {
		t.Errorf("%d attempts, want none for faults of the file", len(r.attempts))
	}
}

func TestPanicIsAFailedReload(t *testing.T) {
	r := newRig(t)
	r.start(base)
	r.prepare = func() error { panic("index out of range") }
	if a := r.refused(base); a.Err.Error() != "internal error: index out of range" || a.Found != 0 {
		t.Errorf("%+v", a)
	}
	r.logged("reload_test.go")
	r.prepare = nil
	r.reload(base)
}

func TestManyFaults(t *testing.T) {
	r := newRig(t)
	r.start(base)
	var b strings.Builder
	for i := range 300 {
		fmt.Fprintf(&b, "[nonsense%d]\n", i)
	}
	if a := r.refused(base + b.String()); len(a.Faults) != maxFaults || a.Found != 300 {
		t.Errorf("%d faults of %d", len(a.Faults), a.Found)
	}
	if n := strings.Count(r.log.String(), `msg="configuration fault"`); n != maxLogged {
		t.Errorf("%d faults logged", n)
	}
	r.logged("faults=280")
}

func TestNothingIsPublishedAfterClose(t *testing.T) {
	r := newRig(t)
	r.start(base)
	r.m.Close()
	if a := r.refused(base); !errors.Is(a.Err, errClosed) {
		t.Error(a.Err)
	}
}

// What comes while a reload runs waits for one that reads the files after that, all together for the same.
func TestBurstsCoalesce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start(base)
		entered, goOn := make(chan struct{}), make(chan struct{})
		r.prepare = func() error { entered <- struct{}{}; <-goOn; return nil }
		var all sync.WaitGroup
		var mu sync.Mutex
		got := map[*Attempt]int{}
		reload := func(by Trigger) {
			all.Go(func() {
				a := r.m.Reload(t.Context(), by)
				mu.Lock()
				defer mu.Unlock()
				got[a]++
			})
		}
		reload(BySignal)
		<-entered
		reload(ByWatch)
		synctest.Wait()
		for range 50 {
			reload(ByAPI)
		}
		synctest.Wait()
		goOn <- struct{}{}
		<-entered
		reload(ByWatch)
		synctest.Wait()
		goOn <- struct{}{}
		all.Wait()
		if len(r.attempts) != 2 || got[r.attempts[0]] != 1 || got[r.attempts[1]] != 51 || got[nil] != 1 {
			t.Errorf("%d attempts, %v", len(r.attempts), got)
		}
		if r.attempts[1].Trigger != ByAPI {
			t.Errorf("by %s: a watch that finds nothing new would have been no answer", r.attempts[1].Trigger)
		}
	})
}

func TestWatchingReadsOnlyWhatIsNew(t *testing.T) {
	r := newRig(t)
	r.start(base)
	changed := func(want bool) {
		t.Helper()
		if a := r.m.Reload(t.Context(), ByWatch); (a != nil) != want {
			t.Errorf("attempt %+v, want one: %v", a, want)
		}
	}
	changed(false)
	r.write(base + "# new\n")
	changed(true)
	r.write(base + "faulty")
	changed(true)
	changed(false)
	if err := os.Remove(r.path); err != nil {
		t.Fatal(err)
	}
	changed(true)
	changed(false)
	r.write(base)
	changed(true)
	changed(false)
	r.reload(base)
	if s := r.m.Status(); s.Attempts != 5 || s.Failed != 2 {
		t.Errorf("%+v", s)
	}
}

// A file that is still being written is no faulty one.
func TestWatchingLeavesHalfAFileAlone(t *testing.T) {
	r := newRig(t)
	r.hosts["a.test"], r.hosts["b.test"] = "10.1.0.1", "10.2.0.1"
	r.start(named)
	r.prepare = func() error { // which is when the rest of the file comes
		r.write(base)
		return errors.New("it was only a half")
	}
	r.write(named + "# and more")
	if a := r.m.Reload(t.Context(), ByWatch); a != nil || len(r.attempts) != 0 {
		t.Errorf("%+v", a)
	}
	r.prepare = nil
	if a := r.m.Reload(t.Context(), ByWatch); a == nil || a.Err != nil {
		t.Errorf("%+v", a)
	}
}

func TestFingerprint(t *testing.T) {
	dir := t.TempDir()
	prints := map[uint64]string{}
	look := func(what string, paths ...string) {
		t.Helper()
		p := fingerprint(paths, nil, nil)
		if before, ok := prints[p]; ok {
			t.Errorf("%s is as %s", what, before)
		}
		prints[p] = what
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	a, b := dir+"/a.toml", dir+"/b.toml"
	look("an empty directory", dir)
	do(os.WriteFile(a, []byte("ab"), 0o600))
	look("one file", dir)
	do(os.WriteFile(b, nil, 0o600))
	look("two files", dir)
	do(os.WriteFile(a, []byte("a"), 0o600))
	do(os.WriteFile(b, []byte("b"), 0o600))
	look("a byte moved", dir)
	look("the other way round", b, a)
	do(os.Remove(b))
	look("one gone", a, b)
	before := fingerprint([]string{dir}, nil, nil)
	do(os.WriteFile(dir+"/.a.toml", nil, 0o600))
	do(os.WriteFile(dir+"/a.txt", nil, 0o600))
	if fingerprint([]string{dir}, nil, nil) != before {
		t.Error("files that do not count, count")
	}
}
