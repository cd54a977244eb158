package server

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/control"
	"github.com/uringproxy/uringproxy/inspect"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// nowhere is a publisher without shards.
type nowhere struct{}

func (nowhere) Prepare(*plan.Snapshot) error { return nil }
func (nowhere) Publish(*plan.Snapshot)       {}

// configured is a process of which nothing runs but its configuration.
func configured(t *testing.T, file string) *process {
	t.Helper()
	s := &Server{
		log: slog.New(slog.DiscardHandler), started: time.Now(), metrics: metrics.NewSet(0), room: 100_000,
	}
	s.control = control.New(control.Options{
		Paths: []string{file}, Publisher: nowhere{}, Log: s.log, Ended: s.reloaded,
	})
	t.Cleanup(s.control.Close)
	if _, _, err := s.control.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &process{s, func() *control.Attempt { return s.control.Reload(context.Background(), control.ByAPI) }}
}

// manyRoutes is a configuration in which the nth service gets the requests.
func manyRoutes(t *testing.T, file string, n int) {
	t.Helper()
	var b strings.Builder
	b.WriteString("[timeouts]\nheader = \"2500ms\"\n[log.access]\npath = \"stderr\"\nformat = \"clf\"\n")
	b.WriteString("[listeners.web]\naddress = \"127.0.0.1:1\"\ntrusted_proxies = [\"10.0.0.0/8\"]\n")
	b.WriteString("[listeners.in]\naddress = \"unix:/in.sock\"\n")
	for i := range 200 {
		fmt.Fprintf(&b, "[routes.r%03d]\nhost = \"h%d.test\"\nservice = \"s%d\"\n", i, i, n)
	}
	fmt.Fprintf(&b, "[services.s%d]\nendpoints = [\"http://10.0.0.1\", { url = \"unix:/up\", weight = 2 }]\n", n)
	next := file + ".next"
	if err := os.WriteFile(next, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, file); err != nil {
		t.Fatal(err)
	}
}

func TestRunningConfiguration(t *testing.T) {
	file := filepath.Join(t.TempDir(), "my.toml")
	manyRoutes(t, file, 1)
	r := configured(t, file).Running()
	var routes []admin.RunningRoute
	for route := range r.Routes {
		routes = append(routes, route)
	}
	var services []admin.RunningService
	for service := range r.Services {
		services = append(services, service)
	}
	if r.Generation != 1 || r.Source != file || len(r.Listeners) != 2 || len(routes) != 200 || len(services) != 1 {
		t.Fatalf("%+v, %d routes, %d services", r, len(routes), len(services))
	}
	if r.Timeouts.Header != 2.5 || r.Timeouts.Idle != 75 || r.Limits.MaxConnections != 100_000 ||
		r.AccessLog != (admin.RunningLog{Path: "stderr", Format: "clf"}) || !r.Forward.Via {
		t.Errorf("%+v", r)
	}
	if want := (admin.RunningPaths{
		EncodedSlash: "refuse", EncodedNUL: "refuse", MergeSlashes: true, Forward: "matched",
	}); r.Paths != want {
		t.Errorf("%+v", r.Paths)
	}
	want := "{Name:r007 Listeners:[] Rule:Host(`h7.test`) Priority:0 Service:s1 Upgrades:[websocket] Connect:false}"
	if got := fmt.Sprintf("%+v", routes[7]); got != want {
		t.Error(got)
	}
	want = "[{URL:http://10.0.0.1 Address:10.0.0.1:80 Share:1 Cycle:3} " +
		"{URL:unix:/up Address:unix:/up Share:2 Cycle:3}]"
	if got := fmt.Sprintf("%+v", services[0].Endpoints); got != want {
		t.Error(got)
	}
}

// What is asked about while the configuration changes is one configuration, and always a whole one.
func TestAskedWhileReloading(t *testing.T) {
	file := filepath.Join(t.TempDir(), "my.toml")
	manyRoutes(t, file, 0)
	p := configured(t, file)
	var wg sync.WaitGroup
	defer wg.Wait()
	done := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			generation, service := p.Running().Generation, ""
			for route := range p.Running().Routes {
				if service == "" {
					service = route.Service
				}
				if route.Service != service {
					t.Errorf("generation %d: routes of two configurations", generation)
				}
			}
		}
	})
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			host := fmt.Sprintf("h%d.test", i%200)
			answer, err := p.Explain(&admin.Question{URL: "http://" + host + ":1/x", ClientIP: "10.1.1.1"})
			if err != nil {
				t.Error(err)
				return
			}
			r := answer.(*inspect.Report)
			if r.Winner == nil || r.Winner.Route != fmt.Sprintf("r%03d", i%200) || r.Winner.Line == 0 {
				t.Errorf("%s: %+v", host, r.Winner)
			}
		}
	})
	for n := range 10 {
		manyRoutes(t, file, n%3)
		if r := p.Reload(); !r.Reload.OK {
			t.Errorf("%+v", r.Reload)
		}
	}
	close(done)
	if _, err := p.Explain(&admin.Question{URL: "/", Listener: "none"}); err == nil {
		t.Error("explained for a listener that does not exist")
	}
}

// The figures of shards are theirs, and all of them together are those of the process.
func TestFiguresOfShards(t *testing.T) {
	onEachEngine(t, func(t *testing.T, r *rig) {
		l := tcp(free(t))
		r.listeners(l)
		r.adopted()
		const connections, requests = 20, 5
		for range connections {
			c := dial(t, l)
			for range requests {
				c.ask("/x", false)
			}
		}
		p := &process{Server: r.Server}
		traffic := p.traffic(p.sample())
		var sum admin.Shard
		for i, s := range traffic.Shards {
			if e := &s.Engine; s.ID != i || e.Turns == 0 || e.Syscalls == 0 || e.Buffers < 1<<20 {
				t.Errorf("shard %d: %+v, %+v", i, s, s.Engine)
			}
			if n := traffic.Snapshots[i]; n == nil || *n != 1 {
				t.Errorf("shard %d uses %v snapshots", i, n)
			}
			sum.Connections, sum.Accepted = sum.Connections+s.Connections, sum.Accepted+s.Accepted
		}
		if sum.Connections != connections || traffic.Connections != connections || sum.Accepted != connections ||
			len(traffic.Shards) != 2 || len(traffic.Snapshots) != 2 {
			t.Errorf("%+v", traffic)
		}
		d, own := traffic.Duration, traffic.Own
		if d.P50 <= 0 || d.P50 > d.P90 || d.P90 > d.P99 || d.P99 > d.P999 || d.P999 > d.Max || own.P50 > d.Max {
			t.Errorf("%+v, own %+v", d, own)
		}
		if resident() < 1<<20 {
			t.Errorf("%d bytes resident", resident())
		}
		d2 := distribution(p.metrics.Snapshot().Timing(metrics.RequestDuration))
		if again := d2.Plus(admin.Distribution{}); again.Count != d2.Count || d2.Count < (requests-1)*connections {
			t.Errorf("%d values, %d in buckets", d2.Count, again.Count)
		}
	})
}
