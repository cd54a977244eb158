package proxy

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// simPassing is a rig that passes on what asks for pass.example.com, and the ends at its endpoints.
type simPassing struct {
	*simRig
	hello []byte
	far   []*sim.Peer
}

// newSimPassing has n endpoints, of which the first silent ones do not answer.
func newSimPassing(t *testing.T, n, silent int, edit func(*plan.Snapshot), cfg simConfig) *simPassing {
	pool := handshake.NewPool(handshake.PoolOptions{Shards: 1, InFlight: 1, Waiting: 1})
	t.Cleanup(pool.Close)
	r := &simPassing{hello: clientHello(t, "pass.example.com")}
	cfg.endpoints, cfg.pool = simEndpoints[:n], pool
	cfg.edit = func(s *plan.Snapshot) {
		streaming(t, s)
		if edit != nil {
			edit(s)
		}
	}
	r.simRig = newSimRig(t, cfg)
	for i, e := range simEndpoints[:n] {
		at := engine.IPAddr(netip.MustParseAddrPort(e))
		if i < silent {
			r.world.Silence(at)
		} else {
			r.world.Serve(at, func(p *sim.Peer) { r.far = append(r.far, p) })
		}
	}
	return r
}

// enter is a client that has said its hello.
func (r *simPassing) enter() *sim.Peer {
	r.t.Helper()
	p := r.world.Dial(0, netip.AddrPort{})
	if n, err := p.Write(r.hello); n < len(r.hello) || err != nil {
		r.t.Fatal(n, err)
	}
	return p
}

func (r *simPassing) ended(why metrics.Reason, want uint64) {
	r.t.Helper()
	if n := r.metrics.Snapshot().PassagesEnded(metrics.Streams, why); n != want {
		r.t.Errorf("%d have ended for %q, not %d", n, why, want)
	}
}

// Half of a connection that breaks is noticed, though nobody has anything to say to it.
func TestSimHalfGone(t *testing.T) {
	for _, near := range []bool{true, false} {
		r := newSimPassing(t, 1, 0, nil, simConfig{})
		leaves := r.enter()
		r.until("the other end", func() bool { return len(r.far) == 1 && len(r.far[0].Arrived()) > 0 })
		stays := r.far[0]
		if !near {
			leaves, stays = stays, leaves
		}
		leaves.CloseWrite()
		r.until("half an end", func() bool {
			_, err := stays.Read(make([]byte, 1))
			return err == io.EOF
		})
		r.pass(5 * time.Second)
		if r.w.tunnels.Used() != 1 {
			t.Error("half an end is not one")
		}
		leaves.Reset()
		began := r.now()
		r.until("the break", func() bool { _, reset := stays.Ended(); return reset })
		if took := r.now() - began; took > time.Second {
			t.Errorf("near %v: noticed after %v", near, took)
		}
		r.stop()
	}
}

// New connections of a stream have a rate, and a burst.
func TestSimStreamRate(t *testing.T) {
	r := newSimPassing(t, 1, 0, func(s *plan.Snapshot) { s.Streams[0].Rate, s.Streams[0].Burst = 2, 3 }, simConfig{})
	many := func(want int) {
		t.Helper()
		before := len(r.far)
		var all []*sim.Peer
		for range 6 {
			all = append(all, r.enter())
		}
		r.until("all of them", func() bool {
			reset := 0
			for _, p := range all {
				if _, broken := p.Ended(); broken {
					reset++
				}
			}
			return reset == len(all)-want && len(r.far) == before+want
		})
	}
	many(3)
	r.pass(1010 * time.Millisecond)
	many(2)
	r.pass(time.Minute)
	many(3)
	if n := r.metrics.Snapshot().Refused(metrics.LimitStreamRate); n != 3+4+3 {
		t.Errorf("%d refusals are counted", n)
	}
	r.sh.Post(func() { r.w.Abandon() })
	r.stop()
}

// An endpoint that does not answer costs the time that it may take, and the next is tried; so does one that takes the
// connection and says nothing to a handshake.
func TestSimTunnelConnectTimeout(t *testing.T) {
	quick := func(s *plan.Snapshot) { s.Timeouts.Connect = 3 * time.Second }
	r := newSimPassing(t, 3, 2, quick, simConfig{})
	p := r.enter()
	r.until("the third endpoint", func() bool { return len(r.far) == 1 })
	if at := r.now(); at < 6*time.Second || at > 7*time.Second {
		t.Errorf("reached after %v", at)
	}
	p.Reset()
	r.until("the end", func() bool { return r.w.tunnels.Used() == 0 })
	r.ended(metrics.TimeoutConnect, 0)
	r.count(metrics.Retries, 2)
	r.stop()

	r = newSimPassing(t, 2, 2, quick, simConfig{})
	p = r.enter()
	r.until("the end", func() bool { _, reset := p.Ended(); return reset })
	r.ended(metrics.TimeoutConnect, 1)
	r.stop()

	crowd := newSimCrowd(t, 1, sim.Faults{}, mem.Sizes{}, 0)
	crowd.publish(func(s *plan.Snapshot) { s.Timeouts.Connect = 3 * time.Second })
	crowd.turned = nil // nobody agrees on anything
	crowd.dial(2, endsAtOnce)
	crowd.until("the end", func() bool { return crowd.all[0].err != nil })
	if n := crowd.metrics.Snapshot().PassagesEnded(metrics.Streams, metrics.TimeoutConnect); n != 1 {
		t.Errorf("%d timeouts of handshakes", n)
	}
	crowd.stop()
}

// Without a slot for the connection to an endpoint there is no stream.
func TestSimTunnelNoSlot(t *testing.T) {
	r := newSimPassing(t, 1, 0, nil, simConfig{slots: 4})
	first := r.enter()
	r.until("the endpoint", func() bool { return len(r.far) == 1 })
	silent := r.world.Dial(0, netip.AddrPort{})
	r.until("one who says nothing", func() bool { return r.w.Gauges().Secure == 1 })
	second := r.enter()
	r.until("the end of the second", func() bool { _, reset := second.Ended(); return reset })
	r.ended(metrics.LimitConns, 1)
	silent.Close()
	first.CloseWrite()
	r.far[0].CloseWrite()
	r.until("the end of the first", func() bool { return r.w.conns.Live() == 0 })
	r.ended(metrics.None, 1)
	r.stop()
}

// A thousand clients who do not read take no more memory than there is, leave enough for others to get through, and get
// everything when they read on.
func TestSimThousandStalledReaders(t *testing.T) {
	const readers = 1000
	crowd := newSimCrowd(t, 1, sim.Faults{}, mem.Sizes{
		Small: 2560, Bulk: 16, Head: 4, Record: 64, BulkBytes: 32 << 10,
	}, 4*readers)
	for i := range readers {
		crowd.dial(i%len(kinds), endsAtOnce)
		crowd.all[len(crowd.all)-1].p.SetWindow(0)
	}
	crowd.until("all streams", func() bool { return crowd.w.tunnels.Used() == readers && len(crowd.all) == 2*readers })
	crowd.pass(100 * time.Millisecond)
	t.Logf("held for %d readers: %+v", readers, crowd.w.Gauges())
	began, since := len(crowd.all), crowd.now()
	for kind := range kinds {
		crowd.dial(kind, endsAtOnce)
	}
	others := crowd.all[began : began+len(kinds)]
	crowd.until("those who read", func() bool {
		for _, e := range others {
			if !e.over() {
				return false
			}
		}
		return true
	})
	if took := crowd.now() - since; took > 10*time.Second {
		t.Errorf("others had to wait for %v", took)
	}
	for _, e := range crowd.all[:began] {
		e.p.SetWindow(64 << 10)
	}
	crowd.finish()
	crowd.stop()
}

// A client over TLS who has ended his side, and stands still when all has been sent to him, gets the rest, and is told
// that it is whole unless he has stood for too long.
func TestSimSlowReaderAtTheEnd(t *testing.T) {
	for _, stands := range []time.Duration{time.Second, 20 * time.Second, 50 * time.Second} {
		crowd := newSimCrowd(t, 1, sim.Faults{}, mem.Sizes{}, 0)
		crowd.endings = func() ending { return endsAfter }
		crowd.dial(1, endsAfter)
		near := crowd.all[0]
		crowd.until("what they have to say", func() bool {
			return len(crowd.all) == 2 && len(near.out) == 0 && len(near.in) == len(crowd.all[1].whole)
		})
		far, last := crowd.all[1], []byte("!")
		near.until = math.MaxInt64
		near.p.SetWindow(len(last) + 22) // a record of TLS 1.3
		far.whole = append(far.whole, last...)
		far.out, near.ending = last, endsAtOnce
		crowd.until("the last word", func() bool { return len(far.out) == 0 && crowd.w.Gauges().SmallHeld == 0 })
		near.write()
		crowd.until("the end of the stream", func() bool { return crowd.w.tunnels.Used() == 0 })
		crowd.pass(stands)
		near.until = 0
		near.p.SetWindow(64 << 10)
		crowd.until("the end", near.over)
		want := io.EOF
		if stands > crowd.w.sh.Snapshot().Timeouts.BodyRateWindow {
			want = io.ErrUnexpectedEOF
		}
		if !bytes.Equal(near.in, far.whole) || !errors.Is(near.err, want) {
			t.Errorf("after %v: %d of %d bytes, %v", stands, len(near.in), len(far.whole), near.err)
		}
		crowd.stop()
	}
}
