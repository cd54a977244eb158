package proxy

import (
	"crypto/tls"
	"io"
	"net/http"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
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
