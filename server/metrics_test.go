package server

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/control"
	"github.com/uringproxy/uringproxy/engine/probe"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

const metricsConfig = `
[listeners.web]
address = "%s"
[services.app]
endpoints = ["http://%s"]
[routes.%s]
service = "app"
[admin]
address = "off"
`

// What a whole process tells of itself, before and after a change of its configuration and one that is refused.
func TestWriteMetrics(t *testing.T) {
	for _, engine := range []string{"epoll", "uring"} {
		t.Run(engine, func(t *testing.T) {
			file, socket := filepath.Join(t.TempDir(), "proxy.toml"), "unix:"+filepath.Join(t.TempDir(), "web.sock")
			up := newUpstream(t)
			configure := func(route string) {
				text := fmt.Sprintf(metricsConfig, socket, up, route)
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			configure("first")
			s := startFrom(t, file, engine)
			p := &process{s, func() *control.Attempt { return s.control.Reload(t.Context(), control.ByAPI) }}

			c := dial(t, plan.Listener{Unix: strings.TrimPrefix(socket, "unix:")})
			c.ask("/a", false)
			c.ask("/b", false)
			wrote(t, p, 2, `uringproxy_build_info{version="v1",go=`,
				`uringproxy_requests_total{shard="0",code="2xx"} 2`,
				`uringproxy_config_generation 1`, `uringproxy_config_in_force 1`, `uringproxy_config_routes 1`,
				`uringproxy_config_listeners 1`, `uringproxy_config_services 1`,
				`uringproxy_config_last_swap_seconds 0`,
				`uringproxy_listener_requests_total{listener="web",code="2xx"} 2`,
				`uringproxy_listener_connections_open{listener="web"} 1`,
				`uringproxy_service_connections_opened_total{service="app"} 1`,
				`uringproxy_route_requests_total{route="first",code="2xx"} 2`)
			configure("second")
			if p.Reload(); s.control.Status().Refused != nil {
				t.Fatal(s.control.Status().Refused.Err)
			}
			c.ask("/c", false)
			configure("not a name")
			p.Reload()
			wrote(t, p, 3, `uringproxy_config_generation 2`, `uringproxy_config_in_force 0`,
				`uringproxy_config_reloads_total{result="ok"} 1`, `uringproxy_config_reloads_total{result="failed"} 1`,
				`uringproxy_shard_config_generation{shard="0"} 2`, `uringproxy_config_swap_seconds_count 1`,
				`uringproxy_listener_requests_total{listener="web",code="2xx"} 3`,
				`uringproxy_route_requests_total{route="first",code="2xx"} 2`,
				`uringproxy_route_requests_total{route="second",code="2xx"} 1`)
		})
	}
}

// Where the kernel does not tell how many files are open, they are counted.
func TestEntries(t *testing.T) {
	dir := t.TempDir()
	for i := range 1500 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if n := entries(dir); n != 1500 {
		t.Errorf("%d files, want 1500", n)
	}
	if n := entries(filepath.Join(dir, "none")); n != 0 {
		t.Errorf("%d files in a directory that is not there", n)
	}
	if n := entries("/proc/self/fd"); n < 4 || openDescriptors() < 3 {
		t.Errorf("%d descriptors listed, %d open", n, openDescriptors())
	}
}

// startFrom starts one shard as Run does, but leaves the process's limits and priorities alone.
func startFrom(t *testing.T, file, engine string) *Server {
	t.Helper()
	directory := metrics.NewDirectory()
	s := &Server{
		opts: Options{Engine: engine, Shards: 1, Version: "v1", Stdout: io.Discard},
		log:  slog.New(slog.NewTextHandler(t.Output(), nil)), metrics: directory.NewSet(1), sockets: newSockets(1),
		started: time.Now(),
	}
	s.control = control.New(control.Options{
		Paths: []string{file}, Publisher: s, Log: s.log, Ended: s.reloaded, Directory: directory,
	})
	var err error
	if s.cfg, s.snap, err = s.control.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.override()
	if s.choice, err = probe.Choose(probe.Want{Engine: engine, Shards: 1}); err != nil {
		t.Skipf("%s cannot be used here: %v", engine, err)
	}
	if err := s.sockets.prepare(s.snap); err != nil {
		t.Fatal(err)
	}
	s.sockets.publish(s.snap)
	s.openHandshakes()
	if err := s.startShards(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.refuse()
		s.wait()
		s.stop()
	})
	return s
}

// wrote wants lines that begin like that, when so many requests have been counted. In the kernel's and the runtime's
// figures it wants something to be there.
func wrote(t *testing.T, p *process, requests uint64, lines ...string) {
	t.Helper()
	for p.metrics.Snapshot().Requests() < requests {
		runtime.Gosched()
	}
	var b bytes.Buffer
	if err := p.WriteMetrics(&b, false); err != nil {
		t.Fatal(err)
	}
	text := "\n" + b.String()
	for _, line := range lines {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("no line %s", line)
		}
	}
	for _, name := range []string{
		"go_goroutines", "go_heap_bytes", "go_allocated_objects_total", "process_resident_memory_bytes",
		"process_open_descriptors", "process_max_descriptors", "engine_syscalls_total{shard=\"0\"}",
		"engine_events_total{shard=\"0\"}",
		"buffers_reserved{shard=\"0\",class=\"small\"}",
	} {
		if at := "\nuringproxy_" + name + " "; !strings.Contains(text, at) || strings.Contains(text, at+"0\n") {
			t.Errorf("%s is nothing", name)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	b.Reset()
	if err := p.WriteMetrics(&b, true); err != nil || !strings.HasSuffix(b.String(), "\n# EOF\n") {
		t.Errorf("OpenMetrics: %v", err)
	}
}
