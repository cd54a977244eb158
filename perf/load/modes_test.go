package load_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/perf/histogram"
	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/origin"
)

// ours is an origin of service a that lives as long as the test.
func ours(t *testing.T) netip.AddrPort {
	t.Helper()
	o, err := origin.Listen(origin.Service{Name: "a", Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	addr := o.Addrs()[0]
	go func() { ended <- o.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return addr
}

// quiet takes what servers complain about.
var quiet = log.New(io.Discard, "", 0)

// theirs is the same with net/http, which sends large bodies in chunks.
func theirs(t *testing.T) netip.AddrPort {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(answer))
	t.Cleanup(s.Close)
	return netip.MustParseAddrPort(strings.TrimPrefix(s.URL, "http://"))
}

func answer(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Path[1:])
	switch {
	case r.Method == "POST":
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			w.Write(load.AppendUploaded(nil, n))
		}
	case r.URL.Path == load.AnswerPath:
		w.Write(load.Body("a"))
	case r.URL.Path == load.StreamPath:
		for n := 0; r.Context().Err() == nil; n++ {
			w.Write(load.AppendPiece(nil, n))
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	case err == nil:
		io.Copy(w, bytes.NewReader(load.Pattern(n)))
	}
}

var modes = map[string]struct {
	cfg   load.Config
	bytes int64 // of the bodies of a request and its answer
}{
	"small":       {load.Config{Conns: 3, Header: []string{"Accept: */*"}}, load.BodyBytes},
	"download":    {load.Config{Conns: 2, Path: "/300000", Download: 300_000}, 300_000},
	"upload":      {load.Config{Conns: 2, Method: "POST", Path: "/up", Upload: 3 << 20}, 3<<20 + load.BodyBytes},
	"per request": {load.Config{Conns: 3, PerRequest: true}, load.BodyBytes},
	"large per request": {load.Config{Conns: 2, PerRequest: true, Path: "/400000", Download: 400_000},
		400_000},
	"pipeline":       {load.Config{Conns: 2, Pipeline: 7}, load.BodyBytes},
	"large pipeline": {load.Config{Conns: 2, Pipeline: 3, Path: "/50000", Download: 50_000}, 50_000},
	"beside others":  {load.Config{Conns: 2, Streams: 3, Idle: 300}, load.BodyBytes},
}

func TestModes(t *testing.T) {
	for server, start := range map[string]func(*testing.T) netip.AddrPort{"origin": ours, "net/http": theirs} {
		for name, m := range modes {
			t.Run(server+"/"+name, func(t *testing.T) {
				cfg := m.cfg
				cfg.Addr, cfg.Host, cfg.Services = start(t), "test.example.com", []string{"a"}
				g, err := load.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer g.Close()
				const length = 30 * time.Millisecond
				for _, p := range []load.Phase{
					{Length: length},
					{Length: length, Rate: 100},
					{Length: length, Warm: 2 * length, Rate: 500},
					{Length: length, Warm: length},
				} {
					p.Services = []string{"a"}
					check(t, g, &cfg, p, m.bytes)
				}
			})
		}
	}
}

// check runs a phase in which nothing goes wrong.
func check(t *testing.T, g *load.Generator, cfg *load.Config, p load.Phase, bytes int64) {
	t.Helper()
	r, err := g.Run(p)
	if err != nil {
		t.Fatal(err)
	}
	if r.Errors != (load.Errors{}) || r.Answered != r.Requests || r.Reconnects != 0 ||
		r.Bytes != int64(r.Answered)*bytes || r.Dropped != 0 || r.Idle != cfg.Idle || len(r.Samples) != 0 {
		t.Errorf("%+v", r)
	}
	if want := int(float64(p.Rate) * p.Length.Seconds()); p.Rate > 0 && r.Requests != want {
		t.Errorf("%d requests, want %d", r.Requests, want)
	}
	if cfg.Upload == 0 && cfg.Download == 0 && r.Services["a"] != r.Answered {
		t.Errorf("services %v of %d", r.Services, r.Answered)
	}
	h, err := histogram.Decode(r.Histogram)
	if err != nil || h.Count() != int64(r.Answered) || h.Max() != r.Max || h.Quantile(0.9) != r.P90 {
		t.Errorf("%d values up to %v, %v: %+v", h.Count(), h.Max(), err, r)
	}
	if r.P50 > r.P90 || r.P90 > r.P99 || r.P99 > r.P999 || r.P999 > r.Max || r.Mean < 1 && r.Answered > 0 {
		t.Errorf("latencies %+v", r)
	}
	if r.Elapsed < p.Length || r.Began.IsZero() {
		t.Errorf("from %v for %v", r.Began, r.Elapsed)
	}
}

func TestStopEndsEverything(t *testing.T) {
	addr := ours(t)
	stop := make(chan struct{})
	cfg := load.Config{Addr: addr, Conns: 2, Services: []string{"a"}, Stop: stop}
	g, err := load.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	close(stop)
	if r, err := g.Run(load.Phase{Length: time.Hour, Services: cfg.Services}); err != load.ErrStopped {
		t.Errorf("%+v, %v", r, err)
	}
	cfg.Idle = 10
	if _, err := load.New(cfg); err != load.ErrStopped {
		t.Errorf("idle connections: %v", err)
	}
}

func TestIdleConnections(t *testing.T) {
	addr := ours(t)
	cfg := load.Config{Addr: addr, Idle: 500, Services: []string{"a"}}
	g, err := load.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if r, err := g.Run(load.Phase{Length: time.Millisecond}); err != nil || r.Idle != 500 {
		t.Errorf("%d are left, %v", r.Idle, err)
	}
	for path, want := range map[string]string{
		"/x":     "status 404",
		"/small": "another body",
	} {
		cfg.Path = path
		if g, err := load.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
			g.Close()
		}
	}
}

func TestIdleConnectionsThatAreClosed(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(load.Body("a")) }))
	defer s.Close()
	addr := netip.MustParseAddrPort(strings.TrimPrefix(s.URL, "http://"))
	g, err := load.New(load.Config{Addr: addr, Idle: 20, Services: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	s.CloseClientConnections()
	if r, err := g.Run(load.Phase{Length: 50 * time.Millisecond}); err != nil || r.Idle != 0 || len(r.Samples) == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
