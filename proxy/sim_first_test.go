package proxy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// newFirstRig is a rig with the case's listener, an endpoint for requests and one for streams.
func newFirstRig(t *testing.T, c *firstCase, cfg simConfig) *simRig {
	cfg.endpoints = simEndpoints[:1]
	cfg.edit = func(snap *plan.Snapshot) {
		simPatient(snap)
		far := snapshotFor(t, simListener, simEndpoints[1]).Services[0]
		far.Endpoints[0].ID = 100
		c.edit(t, snap, far)
	}
	r := newSimRig(t, cfg)
	r.world.Serve(engine.IPAddr(netip.MustParseAddrPort(simEndpoints[0])), func(p *sim.Peer) {
		got := ""
		r.actors = append(r.actors, func() {
			got += string(p.Arrived())
			for head, rest, ok := strings.Cut(got, "\r\n\r\n"); ok; head, rest, ok = strings.Cut(got, "\r\n\r\n") {
				_, _ = p.Write([]byte(firstAnswer(head + "\r\n\r\n")))
				got = rest
			}
		})
	})
	r.world.Serve(engine.IPAddr(netip.MustParseAddrPort(simEndpoints[1])), func(p *sim.Peer) {
		out := []byte(firstGreet)
		r.actors = append(r.actors, func() {
			out = append(out, p.Arrived()...)
			n, _ := p.Write(out)
			out = out[n:]
			if ended, _ := p.Ended(); ended && len(out) == 0 {
				p.CloseWrite()
			}
		})
	})
	return r
}

// simFirst is a client that says something in pieces: one a turn, or, when it is the only one, each when the one before
// has been received.
type simFirst struct {
	simTalk
	pieces []string
	end    bool
	alone  bool
	met    bool   // it has been accepted
	said   uint64 // bytes
}

// taken reports whether all that the only client has said has been received, or never will be.
func (k *simFirst) taken() bool {
	for slot := range k.r.w.links {
		if l := &k.r.w.links[slot]; l.kind == kindClient {
			k.met = true
			return l.rx >= k.said || l.closing()
		}
	}
	return k.met || k.said == 0
}

func (k *simFirst) step() {
	k.listen()
	if len(k.pieces) > 0 && (!k.alone || k.taken()) {
		piece := k.pieces[0]
		k.pieces, k.said = k.pieces[1:], k.said+uint64(len(piece))
		_, _ = k.p.Write([]byte(piece)) // who has been refused is not listened to any more
		k.r.world.After(1, k.r.sh.Backend.Wake)
	}
	if len(k.pieces) == 0 && k.end {
		k.p.CloseWrite()
		k.end = false
	}
}

// run has a client say what the case says in pieces, compares what comes back, and waits until nothing is left of it.
func (c *firstCase) simulate(r *simRig, pieces []string) {
	r.t.Helper()
	k := &simFirst{pieces: pieces, end: c.end, alone: true}
	k.simTalk = simTalk{r: r, p: r.world.Dial(0, netip.AddrPort{})}
	r.actors = append(r.actors, k.step)
	at := len(r.actors) - 1
	r.until(fmt.Sprintf("%q, with %q said", c.heard, pieces), func() bool {
		return k.err != nil || c.heard != "" && c.met(k.got, simListener.Port())
	})
	switch {
	case !c.met(k.got, simListener.Port()):
		r.t.Fatalf("said %q: %q and %v, want %q", pieces, k.got, k.err, c.heard)
	case c.heard == "" && c.why != metrics.TimeoutDetect && !errors.Is(k.err, unix.ECONNRESET):
		r.t.Fatalf("said %q: refused by %v", pieces, k.err)
	}
	if k.err == nil {
		k.p.Close()
	}
	r.until("the end of the client", func() bool { return r.w.clients == 0 && r.w.tunnels.Used() == 0 })
	r.actors = append(r.actors[:at], r.actors[at+1:]...)
	if n := len(r.actors) - 40; n > 0 { // what endpoints of connections that are over would do
		r.actors = r.actors[n:]
	}
}

// bytewise are the bytes of s.
func bytewise(s string) []string { return strings.Split(s, "") }

// What a connection begins with decides what becomes of it, wherever it is cut.
func TestSimFirstBytes(t *testing.T) {
	for _, c := range firstCases(t) {
		t.Run(c.name, func(t *testing.T) {
			pool := handshake.NewPool(handshake.PoolOptions{Shards: 1, InFlight: 1, Waiting: 1})
			defer pool.Close()
			r := newFirstRig(t, &c, simConfig{pool: pool, slots: 16})
			n := uint64(0)
			for i := range c.said {
				if i > 100 && i%50 != 0 { // long hellos have been cut everywhere elsewhere
					continue
				}
				c.simulate(r, []string{c.said[:i], c.said[i:]})
				n++
			}
			c.simulate(r, bytewise(c.said))
			if fault := c.miscounted(r.metrics.Snapshot(), n+1); fault != "" {
				t.Error(fault)
			}
			r.stop()
		})
	}
}

// What does not come is awaited for as long as Timeouts.Detect says, and not longer.
func TestSimFirstBytesLate(t *testing.T) {
	for _, c := range silences(t) {
		t.Run(c.name, func(t *testing.T) {
			pool := handshake.NewPool(handshake.PoolOptions{Shards: 1, InFlight: 1, Waiting: 1})
			defer pool.Close()
			r := newFirstRig(t, &c, simConfig{pool: pool})
			const detect = 3 * time.Second
			r.publish(func(snap *plan.Snapshot) { snap.Timeouts.Detect = detect })
			r.turn()
			for _, pieces := range [][]string{{c.said}, bytewise(c.said)} {
				before := r.now()
				c.simulate(r, pieces)
				if took := r.now() - before; took < detect || took > 2*detect {
					t.Errorf("it took %v, want %v", took, detect)
				}
			}
			if fault := c.miscounted(r.metrics.Snapshot(), 2); fault != "" {
				t.Error(fault)
			}
			r.stop()
		})
	}
}

// Many connections begin at once on sockets that do what sockets may do, in little memory: each becomes what it is, or
// is refused because there is no memory.
func TestSimFirstBytesFaults(t *testing.T) {
	cases := append(firstCases(t), silences(t)...)
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 9))
		some := func(p float64) float64 { return p * float64(rng.IntN(3)) / 2 }
		c := &cases[rng.IntN(len(cases))]
		pool := handshake.NewPool(handshake.PoolOptions{Shards: 1, InFlight: 1, Waiting: 1})
		cfg := simConfig{seed: seed, pool: pool, faults: sim.Faults{
			ShortRead: some(0.7), ShortSend: some(0.5), Delay: some(0.5), NoBufs: some(0.1), CancelData: some(0.8),
			EndEarly: some(0.3),
		}}
		if seed%3 == 0 {
			cfg.memory = mem.Sizes{Small: 12 + rng.IntN(20), Bulk: 1, Head: 1, Record: 2, BulkBytes: 16 << 10}
		}
		r := newFirstRig(t, c, cfg)
		var all []*simFirst
		for range 1 + rng.IntN(12) {
			k := &simFirst{end: c.end}
			for rest := c.said; rest != ""; {
				n := min(len(rest), 1+rng.IntN(1+rng.IntN(200)))
				k.pieces, rest = append(k.pieces, rest[:n]), rest[n:]
			}
			k.simTalk = simTalk{r: r, p: r.world.Dial(0, netip.AddrPort{})}
			r.actors = append(r.actors, k.step)
			all = append(all, k)
		}
		r.until("what all clients wait for", func() bool {
			for _, k := range all {
				if k.err == nil && (c.heard == "" || !c.met(k.got, simListener.Port())) {
					return false
				}
			}
			return true
		})
		short := r.metrics.Snapshot().Refused(metrics.LimitBuffers) + r.metrics.Snapshot().Errors(metrics.LimitBuffers)
		for _, k := range all {
			if !c.met(k.got, simListener.Port()) {
				if short == 0 {
					t.Errorf("seed %d, %s: %q and %v, want %q", seed, c.name, k.got, k.err, c.heard)
				}
				short--
			}
			if k.err == nil {
				k.p.Close()
			}
		}
		r.stop()
		pool.Close()
	}
}
