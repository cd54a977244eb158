// Package expose writes metrics in the two forms that Prometheus and its relatives read: the text format 0.0.4, and
// OpenMetrics 1.0.
//
// It is pure: Input has values only, and the same Input gives the same bytes. What there is to be read is a table of
// families, each with its help and the function that writes its samples; docs/metrics.md is made from the same table.
// Names begin with "uringproxy_", units are base units (seconds, bytes), and the samples of a family stand together.
//
// It imports metrics, tls/hello and tls/alert for names, and the standard library, and is imported by server.
package expose

import (
	"io"
	"time"

	"github.com/uringproxy/uringproxy/metrics"
)

// Input is everything that is exposed, as it is at one time.
type Input struct {
	Now     time.Time
	Started time.Time
	Build   Build

	Shards []Shard
	Series [metrics.SeriesKinds][]metrics.SeriesValues
	Config Config
	TLS    TLS

	Runtime Runtime
	Process Process

	total *metrics.Snapshot // of all shards
}

// Build says what runs.
type Build struct{ Version, Go, Engine, Tier string }

// Shard is the values of one shard, and those of its I/O backend.
type Shard struct {
	Metrics *metrics.Snapshot

	Syscalls, Turns, Events, NoBuffers, Stale uint64

	Overruns uint64 // datagrams for UDP listeners that the kernel has dropped
}

// Config is the configuration in force, and what became of the attempts to change it.
type Config struct {
	Generation                  uint64
	Created                     time.Time
	Listeners, Routes, Services int
	TCPRoutes, UDPRoutes        int
	Attempts, Failed            uint64
	LastAttempt                 time.Time // zero: there was none
	InForce                     bool      // what is in the files is what is in force
}

// Runtime is what the Go runtime tells of itself.
type Runtime struct {
	Goroutines, HeapBytes, AllocatedBytes, AllocatedObjects, GCCycles uint64

	GCPause time.Duration // all stops of the world for it
}

// Process is what the kernel tells of the process.
type Process struct {
	UserTime, SystemTime           time.Duration
	ResidentBytes                  uint64
	Descriptors, DescriptorsAtMost int
}

// Write writes in to w, as OpenMetrics or in the text format. The error is w's.
func Write(w io.Writer, in Input, openMetrics bool) error {
	all := make([]*metrics.Snapshot, len(in.Shards))
	for i := range all {
		all[i] = in.Shards[i].Metrics
	}
	in.total = metrics.Sum(all)
	e := &encoder{w: w, open: openMetrics}
	for i := range families {
		e.begin(&families[i])
		families[i].write(e, &in)
	}
	return e.end()
}
