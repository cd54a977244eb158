package proxy

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// expire has the deadlines of all unused connections pass, and tells how many of those still there are resting.
func (r *rig) expire() (resting int) {
	done := make(chan int)
	r.sh.Post(func() {
		n := 0
		for slot := range r.w.links {
			l := &r.w.links[slot]
			if l.state != stateIdle && l.state != statePooled || l.kind == kindNone || !l.has(flagSecure) {
				continue
			}
			r.w.Expired(uint32(slot))
			if !l.closing() && r.w.secure[slot].resting {
				n++
			}
		}
		done <- n
	})
	return <-done
}

// restTunnels has it be long ago that something passed through a tunnel, and tells how often ciphers have
// been let go since the start.
func (r *rig) restTunnels() (rested uint64) {
	r.do(func(w *Worker) {
		for slot := range w.links {
			if l := &w.links[slot]; l.kind == kindClient && l.state == stateTunnel {
				w.tunnels.At(l.tunnel).moved -= int64(restAfter)
				w.Expired(uint32(slot))
				if at := w.wheel.Deadline(uint32(slot)); at <= w.sh.Now()+int64(restAfter) {
					r.t.Errorf("a tunnel at rest is looked at again after %v", time.Duration(at-w.sh.Now()))
				}
			}
		}
	})
	return r.metrics.Count(metrics.CiphersLetGo)
}

// Ends of tunnels, too, do without their ciphers while nothing passes.
func TestTunnelTLSRest(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		onSides(t, func(t *testing.T, s sides) {
			far := sidedEnd(t, s, id, func(conn duplex, _ *net.TCPConn) { io.Copy(conn, conn) })
			r := start(t, open(), []string{far}, sidedRig(s, id, far))
			conn, _, said := sidedClient(t, s, r, id)
			if _, err := io.ReadFull(conn, make([]byte, len(said))); err != nil {
				t.Fatal(err)
			}
			ends := uint64(0)
			for _, secured := range []bool{s.client, s.upstream} {
				if secured && !s.relay {
					ends++
				}
			}
			for i := range uint64(3) {
				io.WriteString(conn, "awake")
				if b, err := io.ReadAll(io.LimitReader(conn, 5)); string(b) != "awake" || err != nil {
					t.Fatalf("%q, %v", b, err)
				}
				for range 2 {
					if n := r.restTunnels(); n != (i+1)*ends {
						t.Fatalf("after %d messages ciphers were let go %d times", i+1, n)
					}
				}
			}
		})
	})
}

// Connections that are not used do without their ciphers, on both sides, and work on when they are used again.
func TestTLSRest(t *testing.T) {
	id := newIdentity(t)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		onEach(t, func(t *testing.T, open func() engine.Backend) {
			up := secureUpstream(t, id, func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, "awake")
			}, func(cfg *tls.Config) { cfg.MaxVersion = version })
			r := start(t, open(), []string{up},
				edits(secureRig(id, false, handshake.Policy{}), toSecure(id, false, handshake.ClientOptions{})))
			k := secureClient(t, id, func(cfg *tls.Config) { cfg.MaxVersion = version })
			for i := range 3 {
				res, err := k.Get("https://" + r.addr + "/")
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || string(body) != "awake" {
					t.Fatalf("%q, %v", body, err)
				}
				for r.gauges().Exchanges > 0 {
				}
				if n := r.expire(); n != 2 {
					t.Fatalf("request %d: %d connections are resting, want both", i, n)
				}
			}
			if opened := r.gauges().Links; opened != 2 {
				t.Errorf("%d connections are open", opened)
			}
			if n := r.expire(); n != 0 {
				t.Errorf("%d connections are resting when their time is over", n)
			}
		})
	}
}
