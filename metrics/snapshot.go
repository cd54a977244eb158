package metrics

import (
	"sort"
	"strconv"
	"sync/atomic"
)

// Set is the metrics of the whole process.
type Set struct {
	shards    []Shard
	directory *Directory
}

// NewSet makes the metrics of n shards, with a Directory in which nobody has a name.
func NewSet(n int) *Set { return NewDirectory().NewSet(n) }

// Shard is the part that shard i writes.
func (s *Set) Shard(i int) *Shard { return &s.shards[i] }

// Snapshot adds up all shards. It may be called at any time and disturbs nobody.
func (s *Set) Snapshot() *Snapshot {
	sum := new(Snapshot)
	for i := range s.shards {
		s.shards[i].addTo(sum)
	}
	return sum
}

// Count adds up one counter of all shards.
func (s *Set) Count(c Counter) (n uint64) {
	for i := range s.shards {
		n += atomic.LoadUint64(&s.shards[i].counters[c])
	}
	return n
}

// Shards are the values of each shard.
func (s *Set) Shards() []*Snapshot {
	all := make([]*Snapshot, len(s.shards))
	for i := range all {
		all[i] = new(Snapshot)
		s.shards[i].addTo(all[i])
	}
	return all
}

// Sum adds up what Shards returned.
func Sum(shards []*Snapshot) *Snapshot {
	sum := new(Snapshot)
	for _, s := range shards {
		for i := range s.counters {
			sum.counters[i] += s.counters[i]
		}
		for i := range s.gauges {
			sum.gauges[i] += s.gauges[i]
		}
		for i := range s.errors {
			sum.errors[i] += s.errors[i]
			sum.refused[i] += s.refused[i]
		}
		sum.handshakes.add(&s.handshakes)
		sum.passages.add(&s.passages)
		for i := range s.timings {
			sum.timings[i].Merge(&s.timings[i])
		}
	}
	return sum
}

// Snapshot is the values of a Set at one time; it belongs to its reader.
type Snapshot struct {
	counters [counters]uint64
	gauges   [gauges]int64
	errors   [reasons]uint64
	refused  [reasons]uint64
	timings  [timings]Distribution

	handshakes handshakeCounts
	passages   passageCounts
}

// Counter is the value of c.
func (s *Snapshot) Counter(c Counter) uint64 { return s.counters[c] }

// Gauge is the value of g, the sum over all shards.
func (s *Snapshot) Gauge(g Gauge) int64 { return s.gauges[g] }

// Errors is the number of exchanges that failed for reason r.
func (s *Snapshot) Errors(r Reason) uint64 { return s.errors[r] }

// Refused is the number of client connections that were turned away for reason r.
func (s *Snapshot) Refused(r Reason) uint64 { return s.refused[r] }

// TotalErrors is the number of exchanges that failed, whatever the reason.
func (s *Snapshot) TotalErrors() uint64 { return total(&s.errors) }

// TotalRefused is the number of client connections that were turned away, whatever the reason.
func (s *Snapshot) TotalRefused() uint64 { return total(&s.refused) }

func total(counts *[reasons]uint64) (sum uint64) {
	for _, n := range counts {
		sum += n
	}
	return sum
}

// Timing is the distribution of t.
func (s *Snapshot) Timing(t Timing) *Distribution { return &s.timings[t] }

// Requests is the number of exchanges that ended, whatever their end.
func (s *Snapshot) Requests() uint64 {
	var n uint64
	for c := RequestsUnanswered; c <= Requests5xx; c++ {
		n += s.counters[c]
	}
	return n
}

// String is one line for the log: what was served, and what went wrong, most frequent first.
func (s *Snapshot) String() string {
	b := []byte("served ")
	b = appendCount(b, s.Requests(), "request")
	b = appendReasons(b, ", ", "error", &s.errors)
	for p, noun := range [passages]string{"stream", "upgrade", "UDP session"} {
		if n := s.PassagesBegan(Passage(p)); n > 0 {
			b = appendCount(append(b, ", passed on "...), n, noun)
			b = appendReasons(b, ", of them ", "failure", s.broken(Passage(p)))
		}
	}
	if n := s.TotalDropped(); n > 0 {
		b = appendCount(append(b, ", dropped "...), n, "datagram")
	}
	b = appendReasons(b, ", refused ", "client", &s.refused)
	if n := s.counters[LogDropped]; n > 0 {
		b = appendCount(append(b, ", lost "...), n, "log line")
	}
	return string(b)
}

// appendReasons appends the sum of counts and, in brackets, each reason; nothing when the sum is zero.
func appendReasons(b []byte, before, noun string, counts *[reasons]uint64) []byte {
	sum := total(counts)
	var found []Reason
	for r := range reasons {
		if counts[r] > 0 {
			found = append(found, r)
		}
	}
	if sum == 0 {
		return b
	}
	sort.SliceStable(found, func(i, j int) bool { return counts[found[i]] > counts[found[j]] })
	b = appendCount(append(b, before...), sum, noun)
	for i, r := range found {
		sep := ", "
		if i == 0 {
			sep = " ("
		}
		b = strconv.AppendUint(append(b, sep...), counts[r], 10)
		b = append(append(b, ' '), r.String()...)
	}
	return append(b, ')')
}

func appendCount(b []byte, n uint64, noun string) []byte {
	b = strconv.AppendUint(b, n, 10)
	b = append(append(b, ' '), noun...)
	if n != 1 {
		b = append(b, 's')
	}
	return b
}
