package proxy

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// streaming has the listener speak TLS, and pass on what asks for pass.example.com.
func streaming(t testing.TB, snap *plan.Snapshot) {
	simPatient(snap)
	expr, err := rule.ParseStream("SNI(`pass.example.com`)")
	if err != nil {
		t.Fatal(err)
	}
	table, err := routing.CompileStreams([]routing.Route{{Name: "pass", Rule: expr}})
	if err != nil {
		t.Fatal(err)
	}
	far := snap.Services[0]
	far.Name, far.ID, far.Stream = "far", 1, true
	snap.Services = append(snap.Services, far)
	snap.Listeners[0].Streams, snap.Streams = table, []plan.Stream{{Name: "pass", Service: 1}}
	snap.Listeners[0].TLS = &plan.TLS{Server: simShaker(), Timeout: 10 * time.Second}
	snap.Timeouts.StreamIdle = 20 * time.Minute
}

// simFlow is one end of a stream: it sends what it has, ends its stream, and reads to the end of the other.
type simFlow struct {
	p       *sim.Peer
	out, in []byte
	burst   int
	breakAt int // it resets the connection when no more than that is left to be sent; -1: it does not
	err     error
	broke   bool
}

func (f *simFlow) step() {
	if f.broke || f.p == nil {
		return
	}
	n, err := f.p.Write(f.out[:min(f.burst, len(f.out))])
	f.out = f.out[n:]
	switch {
	case len(f.out) <= f.breakAt:
		f.p.Reset()
		f.broke = true
		return
	case len(f.out) == 0 && err == nil:
		f.p.CloseWrite()
	}
	b := make([]byte, 32<<10)
	for f.err == nil {
		n, err := f.p.Read(b)
		f.in = append(f.in, b[:n]...)
		if err == sim.ErrWait {
			return
		}
		f.err = err
	}
}

// over reports whether the end has come.
func (f *simFlow) over() bool { return f.broke || f.err != nil }

// Streams arrive whole in both directions, whatever the sockets do, or their cut is seen at the other end.
func TestSimStreams(t *testing.T) {
	first := clientHello(t, "pass.example.com")
	for seed := range uint64(fewer(150)) {
		rng := rand.New(rand.NewPCG(seed, 3))
		some := func(p float64) float64 { return p * float64(rng.IntN(3)) / 2 }
		pool := handshake.NewPool(handshake.PoolOptions{Shards: 1, InFlight: 1, Waiting: 1})
		cfg := simConfig{
			seed: seed, endpoints: simEndpoints[:1], pool: pool, edit: func(s *plan.Snapshot) { streaming(t, s) },
			faults: sim.Faults{ShortRead: some(0.5), ShortSend: some(0.5), Delay: some(0.5), NoBufs: some(0.1),
				CancelData: some(0.8), EndEarly: some(0.3)},
		}
		if seed%3 == 0 {
			cfg.memory = mem.Sizes{Small: 12 + rng.IntN(40), Bulk: 1, Head: 1, Record: 2, BulkBytes: 16 << 10, Pipes: 2}
		}
		r := newSimRig(t, cfg)
		asked := false
		r.turned = func() { // ends send on when there may be room
			if !asked && r.w.tunnels.Used() > 0 {
				asked = true
				r.world.After(1e6, func() { asked = false; r.sh.Backend.Wake() })
			}
		}
		var near, far []*simFlow
		r.world.Serve(engine.IPAddr(netip.MustParseAddrPort(simEndpoints[0])), func(p *sim.Peer) {
			f := far[0] // who is who does not matter: all clients of a run say the same
			far = far[1:]
			f.p = p
		})
		up := append(bytes.Clone(first), noise(rng.IntN(200_000), seed)...)
		breaking, down := seed%2 == 1, noise(rng.IntN(200_000), seed+1)
		var pairs [][2]*simFlow
		for range 1 + rng.IntN(4) {
			a := &simFlow{out: up, burst: 1 + rng.IntN(20_000), breakAt: -1}
			b := &simFlow{out: down, burst: 1 + rng.IntN(20_000), breakAt: -1}
			if breaking {
				a.breakAt = rng.IntN(len(up))
			}
			a.p = r.world.Dial(0, netip.AddrPort{})
			if rng.IntN(3) == 0 {
				a.p.SetWindow(1 + rng.IntN(5000))
			}
			near, far, pairs = append(near, a), append(far, b), append(pairs, [2]*simFlow{a, b})
			r.actors = append(r.actors, a.step, b.step)
		}
		r.until("the end of all streams", func() bool {
			for _, pair := range pairs {
				if !pair[0].over() || !pair[1].over() && pair[1].p != nil {
					return false
				}
			}
			return true
		})
		for i, pair := range pairs {
			a, b := pair[0], pair[1]
			switch {
			case !bytes.HasPrefix(down, a.in) || !bytes.HasPrefix(up, b.in):
				t.Errorf("seed %d, stream %d: bytes that nobody sent", seed, i)
			case !breaking && (!errors.Is(a.err, io.EOF) || !errors.Is(b.err, io.EOF)):
				t.Errorf("seed %d, stream %d: ended with %v and %v", seed, i, a.err, b.err)
			case !breaking && (len(a.in) < len(down) || len(b.in) < len(up)):
				t.Errorf("seed %d, stream %d: %d and %d bytes missing", seed, i, len(down)-len(a.in), len(up)-len(b.in))
			case b.err == io.EOF && len(b.in) < len(up):
				t.Errorf("seed %d, stream %d: cut, and looks complete", seed, i)
			}
		}
		r.stop()
		pool.Close()
	}
}

// Those who do not read keep what they have got for as long as a stream may be idle, but not while there is nothing
// left for others.
func TestSimStreamsHoard(t *testing.T) {
	first := clientHello(t, "pass.example.com")
	for _, tc := range []struct {
		clients int
		why     metrics.Reason
		least   time.Duration // that they get
		most    time.Duration
	}{
		{1, metrics.TimeoutStream, 20 * time.Minute, 21 * time.Minute},
		{60, metrics.LimitBuffers, 30 * time.Second, 2 * time.Minute},
	} {
		pool := handshake.NewPool(handshake.PoolOptions{Shards: 1, InFlight: 1, Waiting: 1})
		r := newSimRig(t, simConfig{
			endpoints: simEndpoints[:1], pool: pool, edit: func(s *plan.Snapshot) { streaming(t, s) },
			memory: mem.Sizes{Small: 64, Bulk: 4, Head: 1, Record: 4, BulkBytes: 16 << 10, Pipes: 2}, slots: 256,
		})
		r.world.Serve(engine.IPAddr(netip.MustParseAddrPort(simEndpoints[0])), func(p *sim.Peer) {
			r.actors = append(r.actors, (&simFlow{p: p, out: make([]byte, 1<<20), burst: 1 << 20, breakAt: -1}).step)
		})
		for range tc.clients {
			p := r.world.Dial(0, netip.AddrPort{})
			p.SetWindow(0)
			_, _ = p.Write(first)
		}
		r.until("the first end", func() bool { return r.lines > 0 })
		if r.metrics.Snapshot().PassagesEnded(metrics.Streams, tc.why) == 0 {
			t.Errorf("%d clients: the first is not ended by %v: %v", tc.clients, tc.why, r.metrics.Snapshot())
		}
		if at := r.now(); at < tc.least || at > tc.most {
			t.Errorf("%d clients: the first is ended after %v", tc.clients, at)
		}
		r.sh.Post(func() { r.w.Abandon() })
		r.stop()
		pool.Close()
	}
}

// A thousand clients break their handshakes off, each in a way of its own, and nothing is left of them.
func TestSimHandshakesBrokenOff(t *testing.T) {
	first := clientHello(t, "example.com")
	both(t, func(t *testing.T, relay bool) {
		rng := rand.New(rand.NewPCG(5, 5))
		pool := handshake.NewPool(handshake.PoolOptions{Shards: 1, InFlight: 16, Waiting: 64, Relay: relay})
		r := newSimRig(t, simConfig{
			endpoints: simEndpoints[:1], pool: pool, slots: 256, edit: func(s *plan.Snapshot) { streaming(t, s) },
			faults: sim.Faults{
				ShortRead: 0.2, ShortSend: 0.2, Delay: 0.3, NoBufs: 0.05, CancelData: 0.5, EndEarly: 0.2,
			},
		})
		r.turned = runtime.Gosched // the handshakes take real time
		begin := func() {
			p := r.world.Dial(0, netip.AddrPortFrom(simListener.Addr(), 1))
			said := first[:rng.IntN(len(first)+1)]
			if rng.IntN(2) == 0 {
				said = first
			}
			_, _ = p.Write(said)
			end := []func(){p.Reset, p.Close, p.CloseWrite, func() {
				_, _ = p.Write(noise(40, rng.Uint64()))
				p.CloseWrite()
			}, func() {}}[rng.IntN(5)]
			r.world.After(int64(rng.IntN(3e6)), end)
			r.actors = append(r.actors, func() { p.Arrived() })
		}
		for range 1000 {
			r.world.After(int64(rng.IntN(100e6)), begin)
		}
		r.until("all clients", func() bool { return r.w.Gauges().Secure == 0 && r.now() > 200*time.Millisecond })
		r.stop()
		pool.Close()
	})
}
