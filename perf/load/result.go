package load

import (
	"fmt"
	"time"

	"github.com/uringproxy/uringproxy/perf/histogram"
)

// Phase is a stretch of load.
type Phase struct {
	// Rate is how many requests are due in a second, at constant intervals, whatever becomes of those before (an open
	// loop); 0: each connection asks again as soon as it is answered (a closed loop).
	Rate     int           `json:"rate"`
	Length   time.Duration `json:"length_ns"`
	Warm     time.Duration `json:"warm_ns"`  // the same load before that, of which nothing is recorded
	Services []string      `json:"services"` // who may answer
	// Compare has every byte of a stream of Bulk looked at, which costs the loader more than counting them; Finish has
	// the streams ended then, both ends' counts compared, and new ones opened for the next phase.
	Compare bool `json:"compare"`
	Finish  bool `json:"finish"`
}

// Result is what a phase brought. Durations are in nanoseconds.
type Result struct {
	Began    time.Time      `json:"began"`    // when recording began, after Phase.Warm
	Requests int            `json:"requests"` // that were due
	Answered int            `json:"answered"` // as they should be
	Bytes    int64          `json:"bytes"`    // of the bodies of these requests and of their answers
	Services map[string]int `json:"services"` // by whom
	Elapsed  time.Duration  `json:"elapsed_ns"`

	// Latencies, from the time when a request was due to the last byte of its answer. Without a rate it is due when it
	// is sent; with a connection of its own, when that is opened.
	Mean time.Duration `json:"mean_ns"`
	P50  time.Duration `json:"p50_ns"`
	P90  time.Duration `json:"p90_ns"`
	P99  time.Duration `json:"p99_ns"`
	P999 time.Duration `json:"p999_ns"`
	Max  time.Duration `json:"max_ns"`
	// Histogram is all of them, as text that perf/histogram reads.
	Histogram string `json:"histogram"`
	// Lag99 is the 99th percentile of what of them is our own fault: from the time when a request was due and a
	// connection was free, to its sending.
	Lag99 time.Duration `json:"lag99_ns"`

	Reconnects int      `json:"reconnects"` // connections that the peer closed between two requests, as it may
	Idle       int      `json:"idle"`       // connections of Config.Idle that are still open
	HalfOpen   int      `json:"half_open"`  // connections of Config.HalfOpen that are open
	Errors     Errors   `json:"errors"`
	Samples    []string `json:"samples,omitempty"` // the first errors, in words

	Pieces  int           `json:"pieces"`        // of all streams
	Dropped int           `json:"dropped"`       // streams that ended or went wrong
	Gap     time.Duration `json:"stream_gap_ns"` // the longest time without a piece in a stream
}

// Errors counts what went wrong with requests, each in one way.
type Errors struct {
	Lost       int `json:"lost"`       // the connection ended before the answer was whole
	Status     int `json:"status"`     // another status than 200
	Body       int `json:"body"`       // 200, and another body than the upstream sends
	Service    int `json:"service"`    // answered by a service that should not have
	Framing    int `json:"framing"`    // not a message that we can read
	Connect    int `json:"connect"`    // no connection
	Unanswered int `json:"unanswered"` // none of these, and no answer either, long after the end
}

// Sum is the number of all errors.
func (e *Errors) Sum() int {
	return e.Lost + e.Status + e.Body + e.Service + e.Framing + e.Connect + e.Unanswered
}

// Add adds other's counts.
func (e *Errors) Add(other *Errors) {
	e.Lost += other.Lost
	e.Status += other.Status
	e.Body += other.Body
	e.Service += other.Service
	e.Framing += other.Framing
	e.Connect += other.Connect
	e.Unanswered += other.Unanswered
}

// sampleCount is how many errors of a phase are told in words.
const sampleCount = 5

// tally is what is counted during a phase.
type tally struct {
	Result
	answers      []int // by service, as in Config.Services
	latency, lag *histogram.Histogram
}

func newTally(services int) *tally {
	return &tally{answers: make([]int, services), latency: histogram.New(), lag: histogram.New()}
}

func (t *tally) sample(format string, args ...any) {
	if len(t.Samples) < sampleCount {
		t.Samples = append(t.Samples, fmt.Sprintf(format, args...))
	}
}

// result is the tally in figures.
func (t *tally) result(services []string) *Result {
	r := t.Result
	r.Mean, r.Max = t.latency.Mean(), t.latency.Max()
	r.P50, r.P90 = t.latency.Quantile(0.5), t.latency.Quantile(0.9)
	r.P99, r.P999 = t.latency.Quantile(0.99), t.latency.Quantile(0.999)
	r.Histogram = t.latency.Encode()
	r.Lag99 = t.lag.Quantile(0.99)
	r.Services = map[string]int{}
	for i, name := range services {
		r.Services[name] = t.answers[i]
	}
	return &r
}
