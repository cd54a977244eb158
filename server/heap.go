package server

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
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
)

// heap is what is known of Go's memory, in bytes.
type heap struct {
	allocated uint64 // since the process began
	held      uint64 // of the system, stacks included
	live      uint64 // in use at the last collection
}

// readHeap reads the figures, which stops nobody.
func readHeap() heap {
	s := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
	}
	metrics.Read(s)
	n := func(i int) uint64 { return s[i].Value.Uint64() }
	return heap{allocated: n(0), live: n(1), held: n(2) + n(3) + n(4) + n(5)}
}

// tendHeap sees to Go's heap until ctx ends. It has the collector wait for a certain amount of garbage, whatever is
// live; and behind a burst it returns memory to the system that handshakes and reloads have needed and nobody needs any
// more: what runs then are shards, which make no garbage, so that nothing would be collected for minutes.
func tendHeap(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	percent := 100
	last := readHeap()
	for returned := last.allocated; ; {
		now := readHeap()
		if p := percentFor(now.live); p < percent*3/4 || p > percent*4/3 { // setting it stops the world
			percent = p
			debug.SetGCPercent(p)
		}
		if now.allocated-last.allocated < busy && now.allocated-returned >= worthReturning &&
			now.held >= now.live+worthReturning {
			debug.FreeOSMemory()
			now = readHeap()
			returned = now.allocated
		}
		last = now
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// leastHeap is what the Go runtime multiplies with the percentage when less than that is live.
const leastHeap = 4 << 20

// percentFor is the garbage to wait for, as a percentage of what is live: as usual, but at least leastGarbage.
func percentFor(live uint64) int {
	return int(max(100, leastGarbage*100/max(live, leastHeap)))
}
