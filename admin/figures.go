package admin

import (
	"math"
	"time"
)

// Metrics is what GET /api/metrics.json answers: sums since the start, of which a client that asks twice makes rates
// and percentiles of the time between. Fields are added, never renamed.
type Metrics struct {
	Version string    `json:"version"`
	PID     int       `json:"pid"`
	State   string    `json:"state"`
	Started time.Time `json:"started"`        // another one: another process, whose sums begin anew
	Uptime  float64   `json:"uptime_seconds"` // when the sums were taken, all of them at once
	Engine  Engine    `json:"engine"`

	Generation uint64  `json:"config_generation"`
	Age        float64 `json:"config_age_seconds"`
	Resident   int64   `json:"resident_bytes"`

	Shards   []Figures `json:"shards"`
	Services []Series  `json:"services"`
}

// Figures are those of one shard.
type Figures struct {
	Shard
	UpstreamIdle  int64  `json:"upstream_connections_idle"`
	BytesReceived uint64 `json:"bytes_received"` // from clients
	BytesSent     uint64 `json:"bytes_sent"`     // to clients

	Duration  Distribution `json:"request"`
	Own       Distribution `json:"own"`
	FirstByte Distribution `json:"upstream_first_byte"`
	Routing   Distribution `json:"routing"` // of some of the requests
	Turn      Distribution `json:"turn"`

	TLS     *TLSFigures `json:"tls,omitempty"`     // absent: it was never spoken
	Passing *Passing    `json:"passing,omitempty"` // absent: there were requests only
}

// TLSFigures are those of TLS with clients.
type TLSFigures struct {
	Connections int64  `json:"connections"` // after the handshake
	Running     int64  `json:"handshakes_running"`
	Done        uint64 `json:"handshakes"`
	Resumed     uint64 `json:"handshakes_resumed"` // of these
	Failed      uint64 `json:"handshakes_failed"`

	Handshake Distribution `json:"handshake"`
	Records   Distribution `json:"records"` // the part of own time that they took
}

// LongestSpan is the last bound of the distributions of services: what took longer is counted as a nanosecond more.
const LongestSpan = time.Minute

// Series are the figures of one service. A time counts as the bound of its span: it was no longer, and longer than the
// bound before.
type Series struct {
	Name     string       `json:"name"`
	Requests uint64       `json:"requests"`
	Errors   uint64       `json:"errors"`
	Duration Distribution `json:"request"`
}

// Distribution is how many values there were of each size, in nanoseconds. Those of several shards can be added, and of
// two times subtracted.
type Distribution struct {
	Count uint64 `json:"count"`
	Sum   uint64 `json:"sum_ns"`
	// Buckets are the sizes that there were, in ascending order: the middle of a bucket of similar values, and their
	// number.
	Buckets [][2]uint64 `json:"buckets,omitempty"`
}

// Plus is the distribution of the values of both.
func (d Distribution) Plus(other Distribution) Distribution {
	return d.merge(other, func(a, b uint64) uint64 { return a + b })
}

// Since is the distribution of the values that d has beyond those of before.
func (d Distribution) Since(before Distribution) Distribution {
	return d.merge(before, func(a, b uint64) uint64 { return a - min(a, b) })
}

func (d Distribution) merge(other Distribution, join func(a, b uint64) uint64) Distribution {
	sum := Distribution{Sum: join(d.Sum, other.Sum)}
	a, b := d.Buckets, other.Buckets
	for len(a) > 0 || len(b) > 0 {
		var at, x, y uint64
		switch {
		case len(b) == 0 || len(a) > 0 && a[0][0] < b[0][0]:
			at, x, a = a[0][0], a[0][1], a[1:]
		case len(a) == 0 || b[0][0] < a[0][0]:
			at, y, b = b[0][0], b[0][1], b[1:]
		default:
			at, x, y, a, b = a[0][0], a[0][1], b[0][1], a[1:], b[1:]
		}
		if n := join(x, y); n > 0 {
			sum.Buckets = append(sum.Buckets, [2]uint64{at, n})
			sum.Count += n
		}
	}
	return sum
}

// Quantile is the value that the fraction q of all do not exceed; 0 if there is none.
func (d Distribution) Quantile(q float64) time.Duration {
	rank := uint64(math.Ceil(min(max(q, 0), 1) * float64(d.Count)))
	rank = max(rank, 1)
	for _, b := range d.Buckets {
		if rank <= b[1] {
			return time.Duration(b[0])
		}
		rank -= b[1]
	}
	return 0
}

// Mean is the mean value; 0 if there is none.
func (d Distribution) Mean() time.Duration {
	if d.Count == 0 {
		return 0
	}
	return time.Duration(d.Sum / d.Count)
}
