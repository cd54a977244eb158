package proxy

import (
	"slices"
	"sync/atomic"

	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// gate is what a stream's limits are about: how much of it is open, and how fast more begins, over all shards. It is
// touched when a connection or a session begins and ends.
type gate struct {
	open atomic.Int64
	// paid is until when the beginnings so far have used the rate up, by Worker.common.
	paid atomic.Int64
}

// enter lets one more in, or says which limit forbids it. What was let in must leave.
func (g *gate) enter(s *plan.Stream, now int64) metrics.Reason {
	if why := g.readmit(s); why != metrics.None {
		return why
	}
	if s.Rate > 0 && !g.pay(s, now) {
		g.open.Add(-1)
		return metrics.LimitStreamRate
	}
	return metrics.None
}

// readmit lets one in again that has begun and left: what it has paid for goes on.
func (g *gate) readmit(s *plan.Stream) metrics.Reason {
	if n := g.open.Add(1); s.Connections > 0 && n > int64(s.Connections) {
		g.open.Add(-1)
		return metrics.LimitStream
	}
	return metrics.None
}

func (g *gate) leave() { g.open.Add(-1) }

// pay accounts for a beginning at a rate, unless a whole burst has been used up (the generic cell rate algorithm): each
// takes its part of a second, from when the one before is paid for.
func (g *gate) pay(s *plan.Stream, now int64) bool {
	price := max(int64(1e9)/int64(s.Rate), 1)
	burst := int64(s.Burst)
	if burst == 0 {
		burst = int64(s.Rate)
	}
	for {
		paid := g.paid.Load()
		from := max(paid, now)
		if from-now > burst*price { // the limits were lower
			from = now
		}
		if from+price-now > burst*price {
			return false
		}
		if g.paid.CompareAndSwap(paid, from+price) {
			return true
		}
	}
}

// gates are the gates of all streams, by their IDs.
type gates struct {
	chunks atomic.Pointer[[]*gateChunk]
}

const gatesPerChunk = 64

type gateChunk [gatesPerChunk]gate

// provide makes gates for the streams of a snapshot that is being adopted.
func (g *gates) provide(streams []plan.Stream) {
	need := 0
	for i := range streams {
		need = max(need, int(streams[i].ID)/gatesPerChunk+1)
	}
	for {
		was := g.chunks.Load()
		var chunks []*gateChunk
		if was != nil {
			chunks = *was
		}
		if len(chunks) >= need {
			return
		}
		chunks = slices.Clone(chunks)
		for len(chunks) < need {
			chunks = append(chunks, new(gateChunk))
		}
		if g.chunks.CompareAndSwap(was, &chunks) {
			return
		}
	}
}

// of is the gate of the stream with an ID, which must have been provided.
func (g *gates) of(id uint32) *gate {
	return &(*g.chunks.Load())[id/gatesPerChunk][id%gatesPerChunk]
}

// enterStream counts a connection, or a client's datagrams, that takes the way of s. A reason other than None is a
// limit's: it was not counted. What was counted leaves by leaveStream.
func (w *Worker) enterStream(s *plan.Stream) metrics.Reason {
	return w.shared.gates.of(s.ID).enter(s, w.common())
}

// common is the time by a clock that all shards have in common, but for what their wall clocks differed by when they
// began. It is never set.
func (w *Worker) common() int64 { return w.sh.Now() + w.epoch }

// reenterStream is enterStream for what has begun and left meanwhile.
func (w *Worker) reenterStream(s *plan.Stream) metrics.Reason {
	return w.shared.gates.of(s.ID).readmit(s)
}

func (w *Worker) leaveStream(id uint32) { w.shared.gates.of(id).leave() }
