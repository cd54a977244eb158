package load_test

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/perf/load"
)

// encrypted is theirs behind TLS, and what a load must know of it.
func encrypted(t *testing.T, server *tls.Config, split bool) load.Config {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(answer))
	if split {
		s.Listener = splitting{s.Listener}
	}
	s.TLS = server
	s.Config.ErrorLog = quiet
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return load.Config{
		Addr: netip.MustParseAddrPort(strings.TrimPrefix(s.URL, "https://")), Host: "example.com",
		Services: []string{"a"}, TLS: &load.TLS{Roots: string(roots)},
	}
}

// splitting makes connections whose output comes in pieces that are no records.
type splitting struct{ net.Listener }

func (l splitting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	return splitConn{c}, err
}

type splitConn struct{ net.Conn }

func (c splitConn) Write(b []byte) (n int, err error) {
	for size := 1; n < len(b) && err == nil; size = size*2 + 1 {
		var wrote int
		wrote, err = c.Conn.Write(b[n:min(n+size, len(b))])
		n += wrote
	}
	return n, err
}

func TestModesOverTLS(t *testing.T) {
	for name, m := range modes {
		for _, split := range []bool{false, true} {
			t.Run(map[bool]string{false: name, true: name + " in pieces"}[split], func(t *testing.T) {
				cfg := encrypted(t, nil, split)
				conns, host, roots := cfg.Addr, cfg.Host, cfg.TLS
				cfg = m.cfg
				cfg.Addr, cfg.Host, cfg.TLS, cfg.Services = conns, host, roots, []string{"a"}
				cfg.Idle = min(cfg.Idle, 20)
				g, err := load.New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer g.Close()
				for _, p := range []load.Phase{
					{Length: 30 * time.Millisecond}, {Length: 100 * time.Millisecond, Rate: 50},
				} {
					p.Services = []string{"a"}
					check(t, g, &cfg, p, m.bytes)
				}
			})
		}
	}
}

func TestSessionsAreResumed(t *testing.T) {
	var resumed, full atomic.Int32
	server := &tls.Config{}
	server.VerifyConnection = func(c tls.ConnectionState) error {
		if c.DidResume {
			resumed.Add(1)
		} else {
			full.Add(1)
		}
		return nil
	}
	cfg := encrypted(t, server, false)
	cfg.Conns, cfg.PerRequest, cfg.TLS.Resume = 1, true, true
	g, err := load.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for phase := range 2 {
		resumed.Store(0)
		full.Store(0)
		r, err := g.Run(load.Phase{Rate: 100, Length: 100 * time.Millisecond, Services: cfg.Services})
		if err != nil {
			t.Fatal(err)
		}
		if r.Answered != 10 || resumed.Load() != 10 || full.Load() != 1 || len(r.Samples) > 0 {
			t.Errorf("phase %d: %d resumed, %d full, %+v", phase, resumed.Load(), full.Load(), r)
		}
	}
}

// What is not as it should be is no connection.
func TestOtherHandshakesAreRefused(t *testing.T) {
	for want, c := range map[string]struct {
		server *tls.Config
		change func(cfg *load.Config)
	}{
		"handshake failure":          {&tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP256}}, nil},
		"protocol version":           {&tls.Config{MaxVersion: tls.VersionTLS12}, nil},
		"certificate is valid for":   {nil, func(cfg *load.Config) { cfg.Host = "example.org" }},
		"did not resume the session": {fickle(), func(cfg *load.Config) { cfg.TLS.Resume = true }},
		"closed by the peer":         {nil, func(cfg *load.Config) { cfg.Addr = theirs(t) }},
	} {
		t.Run(want, func(t *testing.T) {
			cfg := encrypted(t, c.server, false)
			cfg.Conns, cfg.PerRequest = 2, true
			if c.change != nil {
				c.change(&cfg)
			}
			g, err := load.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
			r, err := g.Run(load.Phase{Rate: 100, Length: 50 * time.Millisecond, Services: cfg.Services})
			if err != nil {
				t.Fatal(err)
			}
			if r.Errors != (load.Errors{Connect: 5}) || !strings.Contains(strings.Join(r.Samples, "\n"), want) {
				t.Errorf("%+v", r)
			}
		})
	}
}

// fickle is a server that gives tickets and takes none.
func fickle() *tls.Config {
	return &tls.Config{UnwrapSession: func([]byte, tls.ConnectionState) (*tls.SessionState, error) { return nil, nil }}
}

func TestTicketsAreMissed(t *testing.T) {
	cfg := encrypted(t, &tls.Config{SessionTicketsDisabled: true}, false)
	cfg.Conns, cfg.TLS.Resume = 1, true
	g, err := load.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	_, err = g.Run(load.Phase{Length: time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "gives no tickets") {
		t.Errorf("error %v", err)
	}
	cfg.TLS = &load.TLS{Roots: "nonsense"}
	if _, err := load.New(cfg); err == nil || !strings.Contains(err.Error(), "no certificate in the roots") {
		t.Errorf("error %v", err)
	}
	cfg.TLS, cfg.HalfOpen = nil, 1
	if _, err := load.New(cfg); err == nil || !strings.Contains(err.Error(), "half-open") {
		t.Errorf("error %v", err)
	}
}

// Half-open connections send the first part of a record and wait; one that is closed is opened again.
func TestHalfOpen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := encrypted(t, nil, false)
	cfg.Addr, cfg.HalfOpen = netip.MustParseAddrPort(l.Addr().String()), 3
	stop := make(chan struct{})
	cfg.Stop = stop
	ended := make(chan error, 1)
	go func() {
		g, err := load.New(cfg)
		if err == nil {
			_, err = g.Run(load.Phase{Length: time.Minute})
			g.Close()
		}
		ended <- err
	}()
	for range 3 * cfg.HalfOpen {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		var head [5]byte
		if _, err := io.ReadFull(c, head[:]); err != nil {
			t.Fatal(err)
		}
		size := int(head[3])<<8 | int(head[4])
		n, err := io.CopyN(io.Discard, c, int64(size/2-5))
		if head[0] != 22 || size < 100 || err != nil {
			t.Errorf("record % x, %d bytes, %v", head, n, err)
		}
		c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if n, _ := io.Copy(io.Discard, c); int(n) > size/2 {
			t.Errorf("%d bytes more, record of %d", n, size)
		}
		c.Close()
	}
	close(stop)
	if err := <-ended; err != load.ErrStopped {
		t.Error(err)
	}
}

// Handshakes that never end take nothing with them when the generator is closed, or asked once more.
func TestUnfinishedHandshakes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := encrypted(t, nil, false)
	cfg.Addr, cfg.Conns = netip.MustParseAddrPort(l.Addr().String()), 5
	g, err := load.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r, err := g.Run(load.Phase{Length: 30 * time.Millisecond})
		if err != nil || r.Requests != 0 || r.Errors != (load.Errors{}) {
			t.Errorf("%+v, %v", r, err)
		}
	}
	g.Close()
}
