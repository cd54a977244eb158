package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// What the client asks for.
const (
	getUp   = "GET /up HTTP/1.1\r\nHost: a\r\n\r\n"
	postUp  = "POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	getDown = "GET /down HTTP/1.1\r\nHost: a\r\n\r\n"
)

// figures is a client that keeps account of what it does.
type figures struct {
	t              *testing.T
	c              net.Conn
	in             *bufio.Reader
	sent, received uint64
}

func newFigures(t *testing.T, addr string) *figures {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	f := &figures{t: t, c: c}
	f.in = bufio.NewReader(f)
	return f
}

// Read counts what comes from the proxy.
func (f *figures) Read(b []byte) (int, error) {
	n, err := f.c.Read(b)
	f.received += uint64(n)
	return n, err
}

// ask sends a text and reads a response with that status for each entry.
func (f *figures) ask(text string, statuses ...int) {
	f.t.Helper()
	f.sent += uint64(len(text))
	if _, err := io.WriteString(f.c, text); err != nil {
		f.t.Fatal(err)
	}
	for _, want := range statuses {
		res, err := http.ReadResponse(f.in, nil)
		if err != nil {
			f.t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != want {
			f.t.Fatalf("status %d, %v; want %d", res.StatusCode, err, want)
		}
	}
}

// figuresSnapshot makes of a snapshot with one service one with two, of which nobody answers for the second.
func figuresSnapshot(t *testing.T, s *plan.Snapshot, d *metrics.Directory) {
	var routes []routing.Route
	for i, prefix := range []string{"/up", "/down"} {
		expr, err := rule.Parse("PathPrefix(`" + prefix + "`)")
		if err != nil {
			t.Fatal(err)
		}
		routes = append(routes, routing.Route{Name: prefix, Rule: expr, Target: i})
	}
	table, err := routing.Compile(routes)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	down := plan.Endpoint{ID: 1, Addr: ln.Addr().(*net.TCPAddr).AddrPort()}
	s.Services = append(s.Services, plan.Service{
		Name: "down", ID: 1, Endpoints: []plan.Endpoint{down}, Cycle: []uint16{0},
		Series: d.Assign(metrics.ServiceSeries, "down"),
	})
	s.Services[0].Series = d.Assign(metrics.ServiceSeries, "up")
	s.Listeners[0].Table, s.Listeners[0].Series = table, d.Assign(metrics.ListenerSeries, "web")
	s.Routes = []plan.Route{
		{Name: "/up", Service: 0, Series: d.Assign(metrics.RouteSeries, "/up")},
		{Name: "/down", Service: 1, Series: d.Assign(metrics.RouteSeries, "/down")},
	}
}

// After a fixed script every counter, series and histogram has exactly what the script did.
func TestFigures(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			if r.Method == "POST" {
				w.WriteHeader(404)
			}
			io.WriteString(w, "hello")
		})
		d := metrics.NewDirectory()
		r := start(t, open(), []string{up}, func(r *rig) {
			r.metrics = d.NewSet(1)
			figuresSnapshot(t, r.snap, d)
		})
		a := newFigures(t, r.addr)
		for range 3 {
			a.ask(getUp, 200)
		}
		a.ask(getUp+getUp, 200, 200) // in one piece
		a.ask(postUp, 404)
		for range 2 {
			a.ask("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 404)
		}
		for range 4 {
			a.ask(getDown, 502)
		}
		b := newFigures(t, r.addr)
		b.ask("GET /up HTTP/1.1\r\nHost : a\r\n\r\n", 400)
		if _, err := b.in.ReadByte(); err != io.EOF {
			t.Fatal(err)
		}
		a.c.Close()
		b.c.Close()
		for r.gauges().Links > 1 { // the pooled one
			runtime.Gosched()
		}
		checkFigures(t, r, a, b)
	})
}

func checkFigures(t *testing.T, r *rig, a, b *figures) {
	t.Helper()
	s := r.metrics.Snapshot()
	for c, want := range map[metrics.Counter]uint64{
		metrics.Requests2xx: 5, metrics.Requests4xx: 4, metrics.Requests5xx: 4, metrics.RequestsUnanswered: 0,
		metrics.ConnsAccepted: 2, metrics.ConnsClosedPeer: 1, metrics.ConnsClosedDone: 1,
		metrics.UpstreamConnects: 5, metrics.UpstreamReuses: 5, metrics.Retries: 0,
		metrics.BytesFromClients: a.sent + b.sent, metrics.BytesToClients: a.received + b.received,
	} {
		if got := s.Counter(c); got != want {
			t.Errorf("%v: %d, want %d", c, got, want)
		}
	}
	for g, want := range map[metrics.Gauge]int64{
		metrics.ConnsActive: 0, metrics.ExchangesActive: 0, metrics.UpstreamConnsOpen: 1, metrics.UpstreamConnsIdle: 1,
		metrics.Generation: 1, metrics.OldestGeneration: 1, metrics.SnapshotsInUse: 1, metrics.LastSwap: 0,
		metrics.SmallBuffers: 2048, metrics.BulkBuffers: 64, metrics.HeadBuffers: 32, metrics.HeadBuffersUsed: 0,
	} {
		if got := s.Gauge(g); got != want {
			t.Errorf("%v: %d, want %d", g, got, want)
		}
	}
	for why, want := range map[metrics.Reason]uint64{
		metrics.NoRoute: 2, metrics.UpstreamConnect: 4, metrics.BadRequestHead: 1,
	} {
		if got := s.Errors(why); got != want {
			t.Errorf("errors, %v: %d, want %d", why, got, want)
		}
	}
	for timing, want := range map[metrics.Timing]uint64{
		metrics.RequestDuration: 13, metrics.OwnTime: 1, metrics.FirstByteTime: 6, metrics.ConnectTime: 1,
		metrics.RoutingTime: 1, metrics.SwapTime: 0,
	} {
		if got := s.Timing(timing).Count; got != want {
			t.Errorf("%v: %d values, want %d", timing, got, want)
		}
	}
	turns := r.sh.Stats.Load().Polls
	if got := s.Timing(metrics.TurnTime).Count; got == 0 || got > turns/metrics.TurnSample+1 {
		t.Errorf("%d of %d turns are timed", got, turns)
	}
	checkSeries(t, r.metrics, a, b)
}

func checkSeries(t *testing.T, set *metrics.Set, a, b *figures) {
	t.Helper()
	type row struct {
		name                    string
		ok, client, server      uint64
		errors, opened, failed  uint64
		open, idle              int64
		received, sent, latency uint64
	}
	rows := func(k metrics.SeriesKind) (all []row) {
		for _, v := range set.Series(k) {
			all = append(all, row{
				v.Name, v.Requests[2], v.Requests[4], v.Requests[5], v.Errors, v.Opened, v.Failed, v.Open, v.Idle,
				v.Received, v.Sent, v.Duration.Count(),
			})
		}
		return all
	}
	web := rows(metrics.ListenerSeries)
	if want := (row{"web", 5, 4, 4, 7, 2, 0, 0, 0, a.sent + b.sent, a.received + b.received, 13}); len(web) != 1 ||
		web[0] != want {
		t.Errorf("listeners %+v, want %+v", web, want)
	}
	services, routes := rows(metrics.ServiceSeries), rows(metrics.RouteSeries)
	const up, post, down = uint64(len(getUp)), uint64(len(postUp)), uint64(len(getDown))
	for i, want := range []row{
		{"down", 0, 0, 4, 4, 4, 4, 0, 0, 4 * down, 0, 4}, {"up", 5, 1, 0, 0, 1, 0, 1, 1, 5*up + post, 0, 6},
	} {
		got := services[i]
		if got.sent == 0 {
			t.Errorf("service %s sent nothing", got.name)
		}
		if got.sent = 0; got != want {
			t.Errorf("service %+v, want %+v", got, want)
		}
		got, want.opened, want.failed, want.open, want.idle = routes[i], 0, 0, 0, 0
		want.name, want.sent = "/"+want.name, services[i].sent
		if got != want {
			t.Errorf("route %+v, want %+v", got, want)
		}
	}
}

// What a snapshot's change costs is timed, and the oldest in use is known.
func TestSwapIsMeasured(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), []string{"127.0.0.1:1"}, nil)
		r.publish(func(*plan.Snapshot) {})
		r.publish(func(*plan.Snapshot) {})
		r.gauges()
		s := r.metrics.Snapshot()
		d := s.Timing(metrics.SwapTime)
		if d.Count == 0 || d.Count > 2 || d.Max == 0 || s.Gauge(metrics.LastSwap) <= 0 {
			t.Errorf("%d swaps, the longest took %d ns, the last %d", d.Count, d.Max, s.Gauge(metrics.LastSwap))
		}
		if s.Gauge(metrics.Generation) != 3 || s.Gauge(metrics.OldestGeneration) != 3 {
			t.Errorf("generation %d, oldest %d", s.Gauge(metrics.Generation), s.Gauge(metrics.OldestGeneration))
		}
	})
}

// BenchmarkClock is what a reading of the clock costs, in which nothing but the sampled figures may need one.
func BenchmarkClock(b *testing.B) {
	r := start(b, backends["epoll"](), []string{"127.0.0.1:1"}, nil)
	for b.Loop() {
		r.sh.Read()
	}
}
