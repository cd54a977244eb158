package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// Who has to leave the line of handshakes, and who finds it full, is told by an alert that can be read.
func TestTLSShedAlert(t *testing.T) {
	id := newIdentity(t)
	const internalError = "\x15\x03\x03\x00\x02\x02\x50"
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), []string{"http://127.0.0.1:1"}, edits(secureRig(id, false, handshake.Policy{}),
			func(r *rig) {
				r.pool.Close()
				r.pool = handshake.NewPool(handshake.PoolOptions{Shards: 1, InFlight: 1, Waiting: 1})
			}))
		first := clientHello(t, "example.com")
		begin := func(from string) net.Conn {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
			c, err := d.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			c.Write(first)
			return c
		}
		gauge := func(what string, g metrics.Gauge) {
			r.waitFor(what, func() bool { r.gauges(); return r.metrics.Snapshot().Gauge(g) == 1 })
		}
		begin("127.0.0.1")
		gauge("a handshake", metrics.HandshakesRunning)
		waits := begin("127.0.0.1")
		gauge("one that waits", metrics.HandshakesWaiting)
		full := begin("127.0.0.1") // and has one in the line already
		if b, err := io.ReadAll(full); string(b) != internalError || err != nil {
			t.Errorf("who found the line full got %q, %v", b, err)
		}
		other := begin("127.0.0.2")
		got := make(chan string, 2)
		for _, c := range []net.Conn{waits, other} { // by chance they share a queue
			go func() {
				b, _ := io.ReadAll(c)
				got <- string(b)
			}()
		}
		if b := <-got; b != internalError {
			t.Errorf("who had to leave the line got %q", b)
		}
		r.waitFor("both to be counted", func() bool {
			return r.metrics.Snapshot().Handshakes(metrics.Clients, metrics.HandshakeShed) == 2
		})
	})
}

// gated is a connection whose writes but the first wait.
type gated struct {
	net.Conn
	writes  int
	waiting chan<- struct{}
	open    <-chan struct{}
}

func (g *gated) Write(b []byte) (int, error) {
	if g.writes++; g.writes == 2 {
		g.waiting <- struct{}{}
		<-g.open
	}
	return g.Conn.Write(b)
}

// A handshake that has begun ends as it began, whatever the configuration has become meanwhile: other certificates and
// policies, no TLS, no listener. Only the requests are those of the new one.
func TestTLSChangeWithinHandshake(t *testing.T) {
	id, other := newIdentity(t), newIdentity(t)
	_, believed := clientCertificate(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			up := upstream(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "x") })
			var stranger rig
			for name, tc := range map[string]struct {
				change func(*plan.Listener)
				status int // of the first request; 0: there is no answer
			}{
				"certificates": {func(l *plan.Listener) { l.TLS = stranger.snap.Listeners[0].TLS }, 200},
				"no TLS":       {func(l *plan.Listener) { l.TLS = nil }, 200},
				"removed":      {func(l *plan.Listener) { *l = plan.Listener{} }, 0},
			} {
				r := start(t, open(), []string{up}, secureRig(id, relay, handshake.Policy{}))
				stranger = rig{t: t, snap: snapshotFor(t, r.snap.Listeners[0].Addr, up)}
				guarded(other, relay, believed)(&stranger)
				stranger.pool.Close()
				waiting, gate := make(chan struct{}), make(chan struct{})
				go func() {
					<-waiting
					r.publish(func(s *plan.Snapshot) {
						s.Listeners = slices.Clone(s.Listeners)
						tc.change(&s.Listeners[0])
					})
					close(gate)
				}()
				c := dialTLS(t, &gated{Conn: dialTCP(t, r.addr), waiting: waiting, open: gate}, id, nil)
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
				res, err := http.ReadResponse(bufio.NewReader(c), nil)
				switch {
				case tc.status == 0 && err == nil && res.StatusCode != 200:
					t.Errorf("%s: status %d", name, res.StatusCode)
				case tc.status != 0 && (err != nil || res.StatusCode != tc.status):
					t.Errorf("%s: %v, %v", name, res, err)
				}
				c.Close()
				if name == "removed" {
					r.waitFor("its end", func() bool { return r.gauges().Secure == 0 })
				}
			}
		})
	})
}
