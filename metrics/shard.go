// Package metrics counts and times what the data plane does, without slowing it down.
//
// Every shard owns one Shard and is its only writer, so a count is a load, an addition and a store: no lock, no locked
// instruction, no line of cache shared with another writer. Readers (the exposition, the log at shutdown) take a
// Snapshot at any time, from any goroutine, and nobody stops for them.
//
// Beside what a shard counts in all there are series: the same for each listener, service, route and stream, as many
// as the capacities allow. A Directory, which belongs to the control plane, gives names their series.
//
// Invariants: a Shard has one writer; counters only grow; a shard's memory is fixed at start, but for that of series,
// which the control plane provides before a snapshot has them. What is read is exact for each value and approximate
// across them: a request may be in one counter and not yet in another.
//
// The package imports only the standard library and may be imported by everyone.
package metrics

import "sync/atomic"

// cacheLine is the span that the processor moves between cores; two lines, because the prefetcher fetches pairs.
const cacheLine = 128

// Shard holds the metrics of one core. Its methods belong to the shard's thread alone, except
// addTo and gauge, which read.
type Shard struct {
	series seriesTables // in front, so that the collector looks at nothing else

	_ [cacheLine]byte // the line of what is only read, and of what the allocator placed in front

	counters   [counters]uint64
	gauges     [gauges]uint64
	errors     [reasons]uint64
	refused    [reasons]uint64
	handshakes handshakeCounts
	passages   passageCounts
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

// gauge is the value of g. Any goroutine may call it.
func (s *Shard) gauge(g Gauge) int64 { return int64(atomic.LoadUint64(&s.gauges[g])) }

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

// Exchange is what is recorded of an exchange when it has ended. Times are in nanoseconds.
type Exchange struct {
	Status    int // the final one; 0 when the client got no response
	Reason    Reason
	Duration  int64
	Own       int64  // see OwnTime; negative when it is not in the sample
	FirstByte int64  // the upstream's time to the first byte; negative when there was none
	Received  uint64 // bytes of the request, and of the response
	Sent      uint64

	Listener, Service, Route Series
	Routed                   bool // a route was found: Service and Route are set
}

// Served records an exchange.
func (s *Shard) Served(e *Exchange) {
	class := StatusClass(e.Status)
	s.Inc(class)
	s.Error(e.Reason)
	s.histograms[RequestDuration].Record(e.Duration)
	if e.Own >= 0 {
		s.histograms[OwnTime].Record(e.Own)
	}
	if e.FirstByte >= 0 {
		s.histograms[FirstByteTime].Record(e.FirstByte)
	}
	c, i := class-RequestsUnanswered, spanOf(e.Duration)
	s.Of(ListenerSeries, e.Listener).served(c, i, e)
	if e.Routed {
		s.Of(ServiceSeries, e.Service).served(c, i, e)
		s.Of(RouteSeries, e.Route).served(c, i, e)
	}
}

// addTo adds the shard's current values to sum. Any goroutine may call it.
func (s *Shard) addTo(sum *Snapshot) {
	for i := range s.counters {
		sum.counters[i] += atomic.LoadUint64(&s.counters[i])
	}
	for i := range s.gauges {
		sum.gauges[i] += s.gauge(Gauge(i))
	}
	for i := range s.errors {
		sum.errors[i] += atomic.LoadUint64(&s.errors[i])
		sum.refused[i] += atomic.LoadUint64(&s.refused[i])
	}
	sum.handshakes.add(&s.handshakes)
	sum.passages.add(&s.passages)
	for i := range s.histograms {
		s.histograms[i].AddTo(&sum.timings[i])
	}
}
