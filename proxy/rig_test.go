package proxy

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/epoll"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/engine/uring"
	"github.com/uringproxy/uringproxy/internal/invariant"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/shard"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// rig is one shard with a worker, on real sockets.
type rig struct {
	t       testing.TB
	sh      *shard.Shard
	w       *Worker
	metrics *metrics.Set
	addr    string
	snap    *plan.Snapshot
	memory  mem.Sizes
	fd      int
	log     *accesslog.Ring
	pool    *handshake.Pool // nil: no TLS
	sockets Sockets         // nil: there is one listener
}

var backends = everyBackend()

// everyBackend is epoll, and io_uring in the tiers that this kernel has; in all of them, which then fail, where it has
// none.
func everyBackend() map[string]func() engine.Backend {
	all := map[string]func() engine.Backend{"epoll": func() engine.Backend { return epoll.New() }}
	kernel, err := uring.Probe()
	for _, tier := range []string{uring.T1, uring.T2, uring.T3} {
		if err != nil || len(kernel.Lacks(tier)) == 0 {
			all["uring-"+tier] = func() engine.Backend { return uring.New(uring.Options{Tier: tier}) }
		}
	}
	return all
}

// onEach runs f on every backend.
func onEach(t *testing.T, f func(t *testing.T, open func() engine.Backend)) {
	for name, open := range backends {
		t.Run(name, func(t *testing.T) { f(t, open) })
	}
}

// snapshotFor is a configuration with one listener and one route to the given endpoints.
func snapshotFor(t testing.TB, addr netip.AddrPort, endpoints ...string) *plan.Snapshot {
	table, err := routing.Compile([]routing.Route{{Name: "all"}})
	if err != nil {
		t.Fatal(err)
	}
	svc := plan.Service{Name: "svc", ID: 0}
	for i, e := range endpoints {
		ep := plan.Endpoint{ID: uint32(i), Name: e}
		if path, ok := strings.CutPrefix(e, "unix:"); ok {
			ep.Unix = path
		} else {
			ep.Addr = netip.MustParseAddrPort(strings.TrimPrefix(e, "http://"))
		}
		svc.Endpoints = append(svc.Endpoints, ep)
		svc.Cycle = append(svc.Cycle, uint16(i))
	}
	return &plan.Snapshot{
		Generation: 1,
		Listeners:  []plan.Listener{{Name: "web", Addr: addr, Table: table}},
		Routes:     []plan.Route{{Name: "all", Service: 0}},
		Services:   []plan.Service{svc},
		Limits: plan.Limits{
			Connections: 10000, LineBytes: 8 << 10, HeaderBytes: 32 << 10, HeaderCount: 100,
			UpstreamPool: 1024, BodyRateBytes: 256,
		},
		Timeouts: plan.Timeouts{
			Header: 10 * time.Second, Idle: time.Minute, Connect: 5 * time.Second, FirstByte: time.Minute,
			UpstreamIdle: time.Minute, ResponseIdle: time.Minute, BodyRateWindow: 30 * time.Second,
			Linger: 2 * time.Second,
		},
		Forward: plan.Forward{XForwarded: true, RequestID: true, Via: true},
	}
}

// fewer is how much of something a test takes that takes n of it, under the race detector and with invariants checked:
// there each byte takes many times as long.
func fewer(n int) int {
	if invariant.Enabled {
		return n / 3
	}
	return n
}

// start runs a shard whose configuration edit may change before it is published.
func start(t testing.TB, be engine.Backend, endpoints []string, edit func(*rig)) *rig {
	t.Helper()
	r := &rig{t: t, metrics: metrics.NewSet(1)}
	r.memory = mem.Sizes{Small: 2048, Bulk: 64, Head: 32, Record: 64, BulkBytes: 128 << 10, Pipes: 8}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if r.fd, err = unix.Dup(int(file.Fd())); err != nil {
		t.Fatal(err)
	}
	file.Close()
	unix.SetNonblock(r.fd, true)
	unix.SetsockoptInt(r.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // inherited by the connections, as server has it
	r.addr = ln.Addr().String()
	r.snap = snapshotFor(t, netip.MustParseAddrPort(r.addr), endpoints...)
	if edit != nil {
		edit(r)
	}
	if r.sockets == nil {
		r.sockets = oneSocket(r.fd)
	}
	r.sh, err = shard.New(shard.Config{CPU: -1, Backend: be, Slots: 20000, Memory: r.memory})
	if err != nil {
		t.Fatal(err)
	}
	err = r.sh.Start(r.snap, func(s *shard.Shard) (shard.Handler, error) {
		cfg := Config{
			Shared: NewShared(1 << 20), Sockets: r.sockets,
			Metrics: r.metrics.Shard(0), Log: r.log, Seed: [4]uint64{1, 2},
		}
		if r.pool != nil {
			var err error
			if cfg.Port, err = r.pool.Port(s.Backend.Wake); err != nil {
				return nil, err
			}
		}
		w, err := New(s, cfg)
		r.w = w
		return w, err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	return r
}

// stop drains, and asserts that nothing is left behind.
func (r *rig) stop() {
	r.t.Helper()
	r.sh.Post(func() {
		r.w.Drain(r.sh.Stop)
		r.w.Abandon()
	})
	select {
	case <-r.sh.Done():
	case <-time.After(20 * time.Second):
		r.t.Fatal("the shard did not stop")
	}
	if err := r.sh.Err(); err != nil {
		r.t.Fatal(err)
	}
	unix.Close(r.fd)
	if r.pool != nil {
		r.pool.Close()
	}
	if g := r.w.Gauges(); g != (Gauges{}) {
		r.t.Errorf("left behind: %+v", g)
	}
}

// gauges asks the running shard.
func (r *rig) gauges() Gauges {
	ch := make(chan Gauges, 1)
	r.sh.Post(func() { ch <- r.w.Gauges() })
	return <-ch
}

// upstream starts a plain Go server.
func upstream(t testing.TB, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// client is an HTTP client with its own connections.
func client(t testing.TB) *http.Client {
	tr := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 60 * time.Second}
}

// oneSocket is the socket of the only listener.
type oneSocket int

func (s oneSocket) Take(int) int { return int(s) }
func (oneSocket) LetGo(int, int) {}

type timeouts = plan.Timeouts

// setTimeout publishes the snapshot with other timeouts.
func (r *rig) setTimeout(edit func(*timeouts)) {
	r.publish(func(s *plan.Snapshot) { edit(&s.Timeouts) })
}

// setPaths publishes the snapshot with other rules for paths.
func (r *rig) setPaths(p plan.Paths) { r.publish(func(s *plan.Snapshot) { s.Paths = p }) }

// publish makes an edited copy of the snapshot current.
func (r *rig) publish(edit func(*plan.Snapshot)) {
	next := *r.snap
	edit(&next)
	next.Generation++
	r.snap = &next
	r.sh.Publish(r.snap)
	r.gauges() // a turn later it is adopted
}

// errors is how often an exchange ended for that reason, when all that were begun have ended.
func (r *rig) errors(why metrics.Reason) uint64 {
	for r.gauges().Exchanges > 0 {
		runtime.Gosched()
	}
	return r.metrics.Snapshot().Errors(why)
}

func (r *rig) summary() string { return r.metrics.Snapshot().String() }
