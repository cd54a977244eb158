// Package histogram keeps latencies as HdrHistograms: what perf/load records, what perf/bench adds up over rounds, and
// what perf/report draws as percentiles.
//
// It is the only importer of the library, so that nothing else knows its types: between packages and in files a
// histogram is a text, the library's compressed V2 encoding in base64, which the tools of all other HdrHistograms read
// as well. Values are nanoseconds with three significant digits. It imports nothing of ours; only packages under perf
// import it.
package histogram

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// longest is the longest latency that is told from longer ones, which count as this.
	longest = time.Hour
	digits  = 3
	// ticks is how many points a curve of percentiles has for every halving of the distance to 100 %.
	ticks = 5
)

// Histogram counts latencies. It belongs to one goroutine.
type Histogram struct{ counts *hdrhistogram.Histogram }

// New is a histogram without values.
func New() *Histogram {
	return &Histogram{hdrhistogram.New(1, int64(longest), digits)}
}

// Record counts a latency, and allocates nothing. Negative ones count as 0.
func (h *Histogram) Record(d time.Duration) {
	_ = h.counts.RecordValue(int64(min(max(d, 0), longest))) // it refuses what is out of its range only
}

// Count is how many values there are.
func (h *Histogram) Count() int64 { return h.counts.TotalCount() }

// Quantile is the value that the fraction q of all values, from 0 to 1, do not exceed; 0 when there is none.
func (h *Histogram) Quantile(q float64) time.Duration {
	return time.Duration(h.counts.ValueAtPercentile(100 * q))
}

// Max is the greatest value; 0 when there is none.
func (h *Histogram) Max() time.Duration { return time.Duration(h.counts.Max()) }

// Mean is the arithmetic mean; 0 when there is no value.
func (h *Histogram) Mean() time.Duration { return time.Duration(h.counts.Mean()) }

// Encode is the histogram as text.
func (h *Histogram) Encode() string {
	text, err := h.counts.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		panic("encode histogram: " + err.Error()) // it is written to memory, in a version that exists
	}
	return string(text)
}

// Decode reads what Encode wrote, or another program with an HdrHistogram of nanoseconds.
func Decode(text string) (*Histogram, error) {
	counts, err := hdrhistogram.Decode([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("decode histogram: %w", err)
	}
	return &Histogram{counts}, nil
}

// Add counts all values of other as well.
func (h *Histogram) Add(other *Histogram) error {
	if dropped := h.counts.Merge(other.counts); dropped > 0 {
		return fmt.Errorf("add histogram: %d of its values are longer than %s", dropped, longest)
	}
	return nil
}

// Merge adds up histograms that are texts. An empty text is a histogram without values.
func Merge(a, b string) (string, error) {
	sum := New()
	for _, text := range []string{a, b} {
		if text == "" {
			continue
		}
		h, err := Decode(text)
		if err != nil {
			return "", err
		}
		if err := sum.Add(h); err != nil {
			return "", err
		}
	}
	return sum.Encode(), nil
}

// Point is a point of the curve of percentiles: Count values, which are Percentile of 100 of all, do not exceed Value.
type Point struct {
	Percentile float64
	Value      time.Duration
	Count      int64
}

// Percentiles is the curve of a histogram that is a text, with steps that halve with the distance to 100 %, which is
// the last point. A histogram without values has no curve.
func Percentiles(text string) ([]Point, error) {
	if text == "" {
		return nil, nil
	}
	h, err := Decode(text)
	if err != nil {
		return nil, err
	}
	return h.Percentiles(), nil
}

// Percentiles is the curve of the function of that name.
func (h *Histogram) Percentiles() []Point {
	if h.Count() == 0 {
		return nil
	}
	var points []Point
	for _, b := range h.counts.CumulativeDistributionWithTicks(ticks) {
		points = append(points, Point{b.Quantile, time.Duration(b.ValueAt), b.Count})
	}
	return points
}
