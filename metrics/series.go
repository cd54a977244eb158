package metrics

import (
	"sync/atomic"
	"time"
)

// SeriesKind is what a series is of.
type SeriesKind uint8

const (
	ListenerSeries SeriesKind = iota
	ServiceSeries
	RouteSeries
	StreamSeries   // of tcp routes
	DatagramSeries // of udp routes
	SeriesKinds
)

// Series is the number of a series within its kind. It is an index: recording looks nothing up by name.
type Series = uint16

// Other is the series of all those for which there was no other one left.
const Other Series = 0

// OtherName is Other's name, which no listener, service or route can have.
const OtherName = "(other)"

// seriesMax are how many series there can be of each kind, Other included. They bound the memory, 384 bytes for each
// series and shard, and the size of an exposition.
var seriesMax = [SeriesKinds]int{ListenerSeries: 256, ServiceSeries: 1024, RouteSeries: 2048,
	StreamSeries: 256, DatagramSeries: 256}

// Capacity is how many listeners, services or routes have a series of their own at most.
func (k SeriesKind) Capacity() int { return seriesMax[k] - 1 }

// statusClasses are the classes of a final status, and "none" in front.
const statusClasses = int(Requests5xx-RequestsUnanswered) + 1

// Block is what a shard counts for one series; its methods belong to the shard's thread. What every request writes
// stands together, and so do the numbers of connections, which services have, and listeners in part.
type Block struct {
	requests       [statusClasses]uint64
	received, sent uint64
	errors         uint64
	duration       struct {
		sum    uint64
		counts [spans]uint64
	}

	opened, failed, retried uint64
	open, idle              uint64

	// Of what passes as it is; see Passage. For it opened and open count too.
	carriedUp, carriedDown     uint64
	datagramsUp, datagramsDown uint64
	refused, broken            uint64

	_ [2]uint64
}

// blocks is how many series get their memory together.
const blocks = 16

// chunk is that memory, kept away from that of other shards.
type chunk struct {
	_      [cacheLine]byte
	blocks [blocks]Block
	_      [cacheLine]byte
}

// seriesTables are a shard's blocks. The control plane sets an entry before it publishes the first snapshot that needs
// it, and never changes it again.
type seriesTables [SeriesKinds][2048 / blocks]*chunk

// Of is the shard's block of a series, which a snapshot that the shard has adopted must name, or which is Other.
func (s *Shard) Of(k SeriesKind, id Series) *Block { return s.series.block(k, id) }

func (t *seriesTables) block(k SeriesKind, id Series) *Block {
	return &t[k][id/blocks].blocks[id%blocks]
}

// served records an exchange that ended with a status of that class; its duration lies in that span.
func (b *Block) served(class Counter, span int, e *Exchange) {
	store(&b.requests[class], b.requests[class]+1)
	store(&b.received, b.received+e.Received)
	store(&b.sent, b.sent+e.Sent)
	if e.Reason != None {
		store(&b.errors, b.errors+1)
	}
	store(&b.duration.sum, b.duration.sum+uint64(max(e.Duration, 0)))
	n := &b.duration.counts[span]
	store(n, *n+1)
}

// Opened counts a connection that was accepted (listeners) or is being opened (services), Closed its end. What passes
// as it is has Began and Ended.
func (b *Block) Opened() {
	store(&b.opened, b.opened+1)
	store(&b.open, b.open+1)
}

func (b *Block) Closed() { store(&b.open, b.open-1) }

// Pooled counts a connection that waits for the next request, Taken one that does no longer.
func (b *Block) Pooled() { store(&b.idle, b.idle+1) }
func (b *Block) Taken()  { store(&b.idle, b.idle-1) }

// Failed counts a connection that could not be opened, Retried a request that was tried again.
func (b *Block) Failed()  { store(&b.failed, b.failed+1) }
func (b *Block) Retried() { store(&b.retried, b.retried+1) }

// SeriesValues are the values of one series, added up over all shards since Since.
type SeriesValues struct {
	Name  string
	Since time.Time // when the name got its series

	Requests       [statusClasses]uint64 // by the class of the final status; 0: no response
	Errors         uint64
	Received, Sent uint64 // bytes of requests, and of responses to clients
	Duration       Spans

	// Connections: of clients for a listener, to endpoints for a service. For a route: what passes on it as it is.
	Opened, Failed, Retried uint64
	Open, Idle              int64

	// Bytes and datagrams that have passed as they are, from clients and to them; clients that were refused before
	// that, and what did not end in order.
	CarriedUp, CarriedDown     uint64
	DatagramsUp, DatagramsDown uint64
	Refused, Broken            uint64
}

// Total is the number of requests, whatever their end.
func (v *SeriesValues) Total() (n uint64) {
	for _, c := range v.Requests {
		n += c
	}
	return n
}

// add adds what a shard has counted. Any goroutine may call it.
func (v *SeriesValues) add(b *Block) {
	for i := range v.Requests {
		v.Requests[i] += atomic.LoadUint64(&b.requests[i])
	}
	v.Errors += atomic.LoadUint64(&b.errors)
	v.Received += atomic.LoadUint64(&b.received)
	v.Sent += atomic.LoadUint64(&b.sent)
	v.Duration.Sum += atomic.LoadUint64(&b.duration.sum)
	for i := range v.Duration.Counts {
		v.Duration.Counts[i] += atomic.LoadUint64(&b.duration.counts[i])
	}
	v.Opened += atomic.LoadUint64(&b.opened)
	v.Failed += atomic.LoadUint64(&b.failed)
	v.Retried += atomic.LoadUint64(&b.retried)
	v.Open += int64(atomic.LoadUint64(&b.open))
	v.Idle += int64(atomic.LoadUint64(&b.idle))
	v.CarriedUp += atomic.LoadUint64(&b.carriedUp)
	v.CarriedDown += atomic.LoadUint64(&b.carriedDown)
	v.DatagramsUp += atomic.LoadUint64(&b.datagramsUp)
	v.DatagramsDown += atomic.LoadUint64(&b.datagramsDown)
	v.Refused += atomic.LoadUint64(&b.refused)
	v.Broken += atomic.LoadUint64(&b.broken)
}

// subtract takes away what was counted for those who had the series before. All of their connections were closed.
func (v *SeriesValues) subtract(before *SeriesValues) {
	for i := range v.Requests {
		v.Requests[i] -= before.Requests[i]
	}
	v.Errors -= before.Errors
	v.Received -= before.Received
	v.Sent -= before.Sent
	v.Duration.Sum -= before.Duration.Sum
	for i := range v.Duration.Counts {
		v.Duration.Counts[i] -= before.Duration.Counts[i]
	}
	v.Opened -= before.Opened
	v.Failed -= before.Failed
	v.Retried -= before.Retried
	v.CarriedUp -= before.CarriedUp
	v.CarriedDown -= before.CarriedDown
	v.DatagramsUp -= before.DatagramsUp
	v.DatagramsDown -= before.DatagramsDown
	v.Refused -= before.Refused
	v.Broken -= before.Broken
}
