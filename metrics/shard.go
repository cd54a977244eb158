// Package metrics counts and times what the data plane does, without slowing it down.
//
// Every shard owns one Shard and is its only writer, so a count is a load, an addition and a store: no lock, no locked
// instruction, no line of cache shared with another writer. Readers (the log at shutdown, later an
// exposition) take a Snapshot at any time, from any goroutine, and nobody stops for them.
//
// Invariants: a Shard has one writer; counters only grow; memory is fixed at start. A snapshot is exact for each value
// and approximate across them: a request may be in one counter and not yet in another.
//
// The package imports only the standard library and may be imported by everyone.
package metrics

import "sync/atomic"

// cacheLine is the span that the processor moves between cores; two lines, because the prefetcher fetches pairs.
const cacheLine = 128

// Shard holds the metrics of one core. Its methods belong to the shard's thread alone, except
// addTo, which reads.
type Shard struct {
	_ [cacheLine]byte // the allocator may place a neighbour's data in front

	counters   [counters]uint64
	gauges     [gauges]uint64
	errors     [reasons]uint64
	refused    [reasons]uint64
	histograms [timings]Histogram

	_ [cacheLine]byte
}

// Inc adds one to c.
func (s *Shard) Inc(c Counter) { store(&s.counters[c], s.counters[c]+1) }

// Add adds n to c.
func (s *Shard) Add(c Counter, n uint64) { store(&s.counters[c], s.counters[c]+n) }

// Up raises g by one, Down lowers it.
func (s *Shard) Up(g Gauge)   { store(&s.gauges[g], s.gauges[g]+1) }
func (s *Shard) Down(g Gauge) { store(&s.gauges[g], s.gauges[g]-1) }

// Set makes v the value of g.
func (s *Shard) Set(g Gauge, v int64) { store(&s.gauges[g], uint64(v)) }

// Error counts an exchange that ended for reason r; None is not counted.
func (s *Shard) Error(r Reason) {
	if r != None {
		store(&s.errors[r], s.errors[r]+1)
	}
}

// Refuse counts a client connection that was turned away for reason r.
func (s *Shard) Refuse(r Reason) { store(&s.refused[r], s.refused[r]+1) }

// Observe records that t took ns nanoseconds.
func (s *Shard) Observe(t Timing, ns int64) { s.histograms[t].Record(ns) }

// Served records a finished exchange: its final status (0 when the client got no response), how long it took,
// how much of that was ours, both in nanoseconds. firstByte is the upstream's time to the first byte; negative when
// there was none.
func (s *Shard) Served(status int, duration, firstByte, own int64) {
	s.Inc(StatusClass(status))
	s.histograms[RequestDuration].Record(duration)
	s.histograms[OwnTime].Record(own)
	if firstByte >= 0 {
		s.histograms[FirstByteTime].Record(firstByte)
	}
}

// addTo adds the shard's current values to sum. Any goroutine may call it.
func (s *Shard) addTo(sum *Snapshot) {
	for i := range s.counters {
		sum.counters[i] += atomic.LoadUint64(&s.counters[i])
	}
	for i := range s.gauges {
		sum.gauges[i] += int64(atomic.LoadUint64(&s.gauges[i]))
	}
	for i := range s.errors {
		sum.errors[i] += atomic.LoadUint64(&s.errors[i])
		sum.refused[i] += atomic.LoadUint64(&s.refused[i])
	}
	for i := range s.histograms {
		s.histograms[i].AddTo(&sum.timings[i])
	}
}
