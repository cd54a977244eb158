package server

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/engine/probe"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
)

// rig is a server whose snapshots the test makes itself.
type rig struct {
	*Server
	t *testing.T
}

// onEachEngine runs f with both engines.
func onEachEngine(t *testing.T, f func(t *testing.T, r *rig)) {
	for _, engine := range []string{"epoll", "uring"} {
		t.Run(engine, func(t *testing.T) { f(t, newRig(t, engine)) })
	}
}

// newRig starts two shards that listen nowhere yet. What the service answers is handler's, see newUpstream.
func newRig(t *testing.T, engine string) *rig {
	t.Helper()
	cfg := config.Default()
	cfg.Engine.Backend, cfg.Engine.Shards = engine, 2
	s := &Server{
		opts: Options{Stdout: io.Discard, Stderr: t.Output()}, log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		cfg: cfg, metrics: metrics.NewSet(2), sockets: newSockets(2),
	}
	up := netip.MustParseAddrPort(newUpstream(t))
	s.snap = &plan.Snapshot{
		Generation: 1,
		Routes:     []plan.Route{{Name: "all"}},
		Services: []plan.Service{{
			Name: "up", Endpoints: []plan.Endpoint{{Name: "up", Addr: up}}, Cycle: []uint16{0},
		}},
		Limits: cfg.Limits, Timeouts: cfg.Timeouts, Forward: cfg.Forward,
	}
	s.snap.Limits.BuffersPerShard, s.snap.Limits.Connections = 4<<20, 1000
	var err error
	if s.choice, err = probe.Choose(probe.Want{Engine: engine, Shards: 2}); err != nil {
		t.Skipf("%s cannot be used here: %v", engine, err)
	}
	r := &rig{s, t}
	s.openHandshakes()
	if err := s.startShards(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.end)
	return r
}

// end drains, and asserts that nothing is left.
func (r *rig) end() {
	r.refuse()
	r.wait()
	if err := r.firstError(); err != nil {
		r.t.Error(err)
	}
	for _, run := range r.shards {
		if g := run.worker.Gauges(); g.Links+g.Exchanges+g.Chunks != 0 {
			r.t.Errorf("left behind: %+v", g)
		}
	}
	r.closeHandshakes()
	m := r.metrics.Snapshot()
	if a, n := m.Counter(metrics.ConnsAccepted), m.Gauge(metrics.ConnsActive); n != 0 || a == 0 {
		r.t.Errorf("%d connections accepted, %d are counted at the end", a, n)
	}
}

// newUpstream answers with the path; "/stream" in pieces, the next one with each request for "/more".
func newUpstream(t *testing.T) (addr string) {
	more := make(chan bool)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/stream":
			for {
				fmt.Fprint(w, "piece,")
				w.(http.Flusher).Flush()
				if last := <-more; last {
					return
				}
			}
		case "/more", "/end":
			more <- req.URL.Path == "/end"
		}
		fmt.Fprint(w, req.URL.Path)
	}))
	t.Cleanup(up.Close)
	return up.Listener.Addr().String()
}

var everything = func() *routing.Table {
	table, err := routing.Compile([]routing.Route{{Name: "all"}})
	if err != nil {
		panic(err)
	}
	return table
}()

// tcp and unixSocket are listeners.
func tcp(addr string) plan.Listener {
	return plan.Listener{Name: addr, Addr: netip.MustParseAddrPort(addr), Table: everything}
}

func udpListener(addr string) plan.Listener {
	l := tcp(addr)
	l.Protocol = plan.UDP
	return l
}

func unixSocket(path string) plan.Listener {
	return plan.Listener{Name: path, Unix: path, Table: everything}
}

// try makes these the listeners, if they can be opened. A nil Table is what it is in a snapshot.
func (r *rig) try(listeners ...plan.Listener) error {
	next := *r.snap
	next.Generation++
	next.Listeners = slices.Clone(listeners)
	if err := r.Prepare(&next); err != nil {
		return err
	}
	r.snap = &next
	r.Publish(r.snap)
	return nil
}

func (r *rig) listeners(listeners ...plan.Listener) {
	r.t.Helper()
	if err := r.try(listeners...); err != nil {
		r.t.Fatal(err)
	}
}

func gone(l plan.Listener) plan.Listener {
	l.Table = nil
	return l
}

// adopted waits until every shard uses the snapshot published last.
func (r *rig) adopted() {
	for _, run := range r.shards {
		for generation := uint64(0); generation < r.snap.Generation; {
			c := make(chan uint64)
			run.shard.Post(func() { c <- run.shard.Snapshot().Generation })
			generation = <-c
		}
	}
}

// settled waits until no socket is on its way out.
func (r *rig) settled() {
	for busy := true; busy; runtime.Gosched() {
		r.sockets.mu.Lock()
		busy = len(r.sockets.retired) > 0
		r.sockets.mu.Unlock()
	}
}

// conn is a client's connection.
type conn struct {
	t  *testing.T
	c  net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, l plan.Listener) *conn {
	t.Helper()
	c, err := dialTo(l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &conn{t, c, bufio.NewReader(c)}
}

func dialTo(l plan.Listener) (net.Conn, error) {
	network, addr := "tcp", l.Addr.String()
	if l.Unix != "" {
		network, addr = "unix", l.Unix
	}
	c, err := net.DialTimeout(network, addr, 20*time.Second)
	if err == nil {
		err = c.SetDeadline(time.Now().Add(20 * time.Second))
	}
	return c, err
}

func (c *conn) send(path string) {
	c.t.Helper()
	if _, err := io.WriteString(c.c, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		c.t.Fatal(err)
	}
}

// ask makes a request; closing: the response must say that it is the last one.
func (c *conn) ask(path string, closing bool) {
	c.t.Helper()
	c.send(path)
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err != nil || string(b) != path || res.Close != closing {
		c.t.Fatalf("%s: %q, %v, closing: %v", path, b, err, res.Close)
	}
	if closing {
		c.ended()
	}
}

// stream asks for a response that goes on.
func (c *conn) stream() *bufio.Reader {
	c.t.Helper()
	c.send("/stream")
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	body := bufio.NewReader(res.Body)
	c.piece(body)
	return body
}

func (c *conn) piece(body *bufio.Reader) {
	c.t.Helper()
	if s, err := body.ReadString(','); err != nil || s != "piece," {
		c.t.Fatalf("%q, %v", s, err)
	}
}

// ended wants an orderly end of the connection.
func (c *conn) ended() {
	c.t.Helper()
	if b, err := io.ReadAll(c.in); err != nil || len(b) > 0 {
		c.t.Fatalf("%q, %v instead of the end", b, err)
	}
}

// refused wants nobody to listen.
func refused(t *testing.T, l plan.Listener) {
	t.Helper()
	c, err := dialTo(l)
	if err == nil {
		c.Close()
		t.Fatalf("%s is listened on", where(&l))
	}
	if !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.ENOENT) {
		t.Fatal(err)
	}
}

// free is an address on which nobody listens.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// files are the descriptors that this process has open, as text.
func files(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.Contains(to, "/proc/") {
			all = append(all, e.Name()+" "+to)
		}
	}
	return all
}
