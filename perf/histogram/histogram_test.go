package histogram

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// random is a histogram of n values over all magnitudes up to some minutes, and the values in order.
func random(n int) (*Histogram, []time.Duration) {
	rnd := rand.New(rand.NewPCG(1, 2))
	h := New()
	var values []time.Duration
	for range n {
		v := time.Duration(math.Exp(rnd.Float64() * 26))
		h.Record(v)
		values = append(values, v)
	}
	slices.Sort(values)
	return h, values
}

func near(got, want time.Duration) bool {
	return math.Abs(float64(got-want)) <= 0.001*float64(want)+1
}

func TestQuantilesHaveThreeDigits(t *testing.T) {
	h, values := random(50_000)
	for _, q := range []float64{0.001, 0.25, 0.5, 0.9, 0.99, 0.9999, 1} {
		want := values[max(int(math.Round(q*float64(len(values))))-1, 0)]
		if got := h.Quantile(q); !near(got, want) {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	if !near(h.Max(), values[len(values)-1]) || h.Count() != 50_000 {
		t.Errorf("maximum %v, count %d", h.Max(), h.Count())
	}
	var sum time.Duration
	for _, v := range values {
		sum += v / 50_000
	}
	if diff := math.Abs(float64(h.Mean() - sum)); diff > 0.002*float64(sum) {
		t.Errorf("mean %v, want %v", h.Mean(), sum)
	}
}

func TestValuesOutOfRange(t *testing.T) {
	h := New()
	h.Record(-time.Second)
	h.Record(100 * time.Hour)
	if h.Count() != 2 || h.Quantile(0.1) != 0 || !near(h.Max(), longest) {
		t.Errorf("%d values from %v to %v", h.Count(), h.Quantile(0.1), h.Max())
	}
	if h = New(); h.Count() != 0 || h.Max() != 0 || h.Mean() != 0 || h.Quantile(0.5) != 0 {
		t.Error("values before there are any")
	}
}

func TestTextKeepsEverything(t *testing.T) {
	h, _ := random(1000)
	got, err := Decode(h.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if got.Encode() != h.Encode() || !slices.Equal(got.Percentiles(), h.Percentiles()) {
		t.Error("another histogram came back")
	}
}

func TestMergeCountsBoth(t *testing.T) {
	a, b := New(), New()
	for range 3 {
		a.Record(time.Millisecond)
	}
	b.Record(time.Second)
	for _, c := range []struct {
		a, b  string
		count int64
		max   time.Duration
	}{
		{a.Encode(), b.Encode(), 4, time.Second},
		{a.Encode(), "", 3, time.Millisecond},
		{"", b.Encode(), 1, time.Second},
		{"", "", 0, 0},
	} {
		text, err := Merge(c.a, c.b)
		if err != nil {
			t.Fatal(err)
		}
		if h, err := Decode(text); err != nil || h.Count() != c.count || !near(h.Max(), c.max) {
			t.Errorf("%d values up to %v, %v, want %d up to %v", h.Count(), h.Max(), err, c.count, c.max)
		}
	}
	if _, err := Merge("nonsense", ""); err == nil || !strings.HasPrefix(err.Error(), "decode histogram: ") {
		t.Errorf("nonsense: %v", err)
	}
}

func TestPercentilesRiseToAll(t *testing.T) {
	h, values := random(10_000)
	points, err := Percentiles(h.Encode())
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range points[1:] {
		if last := points[i]; p.Percentile < last.Percentile || p.Value < last.Value || p.Count < last.Count {
			t.Errorf("%v after %v", p, last)
		}
	}
	end := points[len(points)-1]
	if end.Percentile != 100 || end.Count != 10_000 || !near(end.Value, values[9999]) || len(points) < 50 {
		t.Errorf("%d points, the last %v", len(points), end)
	}
	i := slices.IndexFunc(points, func(p Point) bool { return p.Percentile == 50 })
	if i < 0 || !near(points[i].Value, values[points[i].Count-1]) {
		t.Errorf("the median is not among %v", points)
	}
	for _, text := range []string{"", New().Encode()} {
		if points, err := Percentiles(text); len(points) != 0 || err != nil {
			t.Errorf("no values: %v, %v", points, err)
		}
	}
	if _, err := Percentiles("x"); err == nil {
		t.Error("nonsense has percentiles")
	}
}

func TestRecordCostsNoAllocation(t *testing.T) {
	h := New()
	if n := testing.AllocsPerRun(100, func() { h.Record(123 * time.Microsecond) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
