package server

import (
	"context"
	"runtime/debug"
	gometrics "runtime/metrics"
	"time"

	"github.com/uringproxy/uringproxy/metrics"
)

const (
	// lookEvery is how often we look at the heap.
	lookEvery = time.Second

	// leastGarbage is how many bytes of garbage are worth a collection: one competes with the shards for the cores, and
	// what is live is little. When the configuration changes ten times a second, or a thousand handshakes are made, one
	// every other second is less than a hundredth of the requests can notice.
	leastGarbage = 64 << 20

	// busy is how many bytes are allocated between two looks while something is going on: handshakes, a reload.
	busy = 4 << 20
	// worthReturning is how much that nobody uses makes it worth to collect, and to give memory back.
	worthReturning = 16 << 20

	// cipherBytes is about what an unused connection over TLS gives back when it lets its ciphers go.
	cipherBytes = 1536
	// restedPart is which part of what is live, one in so many, they must be to be worth a collection.
	restedPart = 8
)

// heap is what is known of Go's memory, in bytes.
type heap struct {
	allocated uint64 // since the process began
	held      uint64 // of the system, stacks included
	live      uint64 // in use at the last collection
	rested    uint64 // the ciphers that were let go since the process began
}

// readHeap reads the figures, which stops nobody.
func (s *Server) readHeap() heap {
	samples := []gometrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
	}
	gometrics.Read(samples)
	n := func(i int) uint64 { return samples[i].Value.Uint64() }
	return heap{
		allocated: n(0), live: n(1), held: n(2) + n(3) + n(4) + n(5),
		rested: s.metrics.Count(metrics.CiphersLetGo) * cipherBytes,
	}
}

// tendHeap sees to Go's heap until ctx ends. It has the collector wait for a certain amount of garbage, whatever is
// live; and when it has become quiet it returns memory to the system that nobody needs any more: what runs then are
// shards, which make no garbage, so that nothing would be collected for minutes.
func (s *Server) tendHeap(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	percent := 100
	last := s.readHeap()
	for returned := last; ; {
		now := s.readHeap()
		if p := percentFor(now.live); p < percent*3/4 || p > percent*4/3 { // setting it stops the world
			percent = p
			debug.SetGCPercent(p)
		}
		if now.behindBurst(last, returned) || now.atRest(last, returned) {
			debug.FreeOSMemory()
			now = s.readHeap()
			returned = now
		}
		last = now
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// behindBurst reports whether handshakes or reloads have needed memory since it was returned, and do no longer.
func (h *heap) behindBurst(last, returned heap) bool {
	return h.allocated-last.allocated < busy && h.allocated-returned.allocated >= worthReturning &&
		h.held >= h.live+worthReturning
}

// atRest reports whether many connections over TLS have come to rest since memory was returned, and few still do. It
// is behind the burst of their handshakes, and what they let go was live when that one's garbage was collected.
func (h *heap) atRest(last, returned heap) bool {
	rested := h.rested - returned.rested
	return rested >= max(h.live, leastHeap)/restedPart && h.rested-last.rested <= rested/restedPart
}

// leastHeap is what the Go runtime multiplies with the percentage when less than that is live.
const leastHeap = 4 << 20

// percentFor is the garbage to wait for, as a percentage of what is live: as usual, but at least leastGarbage.
func percentFor(live uint64) int {
	return int(max(100, leastGarbage*100/max(live, leastHeap)))
}
