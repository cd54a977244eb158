package proxy

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// No more are let in than the limit says, whoever asks at the same time, and as many as have left.
func TestGateConnections(t *testing.T) {
	g, s := &gate{}, &plan.Stream{Connections: 50}
	var in atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 2000 {
				switch g.enter(s, 1) {
				case metrics.None:
					if n := in.Add(1); n > 50 {
						t.Errorf("%d are in", n)
					}
					in.Add(-1)
					g.leave()
				case metrics.LimitStream:
				default:
					t.Error("refused for another reason")
				}
			}
		})
	}
	all.Wait()
	for i := range 51 {
		if why := g.enter(s, 1); (why == metrics.None) != (i < 50) {
			t.Errorf("number %d: %v", i, why)
		}
	}
}

// A burst is let in at once, and from then on as many as the rate says.
func TestGateRate(t *testing.T) {
	const second, began = int64(1e9), int64(1e18)
	for _, tc := range []struct{ rate, burst, atOnce int }{
		{1, 0, 1}, {10, 0, 10}, {10, 25, 25}, {1000, 10, 10}, {3, 2, 2},
	} {
		g, s := &gate{}, &plan.Stream{Rate: tc.rate, Burst: tc.burst}
		ask := func(now int64) (n int) {
			for g.enter(s, now) == metrics.None {
				n++
			}
			return n
		}
		if n := ask(began); n != tc.atOnce {
			t.Errorf("%+v: %d at once", tc, n)
		}
		n := 0
		for i := range int64(2000) {
			n += ask(began + (i+1)*10*second/2000)
		}
		if most := 10 * tc.rate; n > most || n < most-1 {
			t.Errorf("%+v: %d in ten seconds", tc, n)
		}
		if n := ask(began + 3600*second); n != tc.atOnce {
			t.Errorf("%+v: %d at once after an hour", tc, n)
		}
		if n := ask(began - 3600*second); n != tc.atOnce {
			t.Errorf("%+v: %d when what was paid lies far ahead", tc, n)
		}
	}
}

// Gates stay where they are when there are more, and nobody misses one.
func TestGatesGrow(t *testing.T) {
	g := &gates{}
	g.provide([]plan.Stream{{ID: 3}})
	first := g.of(3)
	first.open.Store(7)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			g.provide([]plan.Stream{{ID: uint32(100 * i)}, {ID: 3}})
			g.of(uint32(100 * i)).open.Add(1)
		})
	}
	all.Wait()
	if g.of(3) != first || first.open.Load() != 7 {
		t.Error("a gate has moved")
	}
	for i := range 8 {
		if n := g.of(uint32(100 * i)).open.Load(); n != 1 {
			t.Errorf("gate %d counts %d", 100*i, n)
		}
	}
	s := &plan.Stream{ID: 100, Rate: 1 << 30, Connections: 10}
	if n := testing.AllocsPerRun(100, func() {
		if g.of(s.ID).enter(s, 1) == metrics.None {
			g.of(s.ID).leave()
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
