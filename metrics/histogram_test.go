package metrics

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestBucketsTileTheValues(t *testing.T) {
	next := uint64(0)
	for i := range buckets {
		low, high := bounds(i)
		if low != next || high < low {
			t.Fatalf("bucket %d is [%d, %d], want it to begin at %d", i, low, high, next)
		}
		if bucket(low) != i || bucket(high) != i {
			t.Fatalf("bucket(%d) = %d, bucket(%d) = %d, want %d", low, bucket(low), high, bucket(high), i)
		}
		if middle := low + (high-low)/2; float64(high-middle) > 0.02*float64(low) {
			t.Fatalf("bucket [%d, %d] is wider than 2 %% allow", low, high)
		}
		next = high + 1
	}
	if next != 1<<valueBits {
		t.Errorf("buckets end at %d, want %d", next, uint64(1)<<valueBits)
	}
}

func TestQuantilesAreWithinTwoPercent(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var h Histogram
	var values []uint64
	for range 50_000 {
		v := int64(math.Exp(rnd.Float64() * 28)) // spread over all magnitudes up to 24 minutes
		h.Record(v)
		values = append(values, uint64(v))
	}
	slices.Sort(values)
	var d Distribution
	h.AddTo(&d)
	for _, q := range []float64{0, 0.001, 0.25, 0.5, 0.9, 0.99, 0.9999, 1} {
		want := values[max(int(math.Ceil(q*float64(len(values))))-1, 0)]
		got := d.Quantile(q)
		if diff := math.Abs(float64(got) - float64(want)); diff > 0.02*float64(want) {
			t.Errorf("quantile %v is %d, want %d within 2 %%", q, got, want)
		}
	}
	if d.Quantile(-3) != d.Quantile(0) || d.Quantile(7) != d.Quantile(1) {
		t.Error("q is not cut to [0, 1]")
	}
}

func TestExtremes(t *testing.T) {
	var h Histogram
	var d Distribution
	h.AddTo(&d)
	if d.Quantile(0.5) != 0 || d.Mean() != 0 {
		t.Error("an empty distribution must read as zero")
	}
	h.Record(-5)
	h.Record(math.MaxInt64)
	h.AddTo(&d)
	if d.Count != 2 || d.Max != math.MaxInt64 || d.Quantile(0) != 0 {
		t.Errorf("count %d, max %d, least %d", d.Count, d.Max, d.Quantile(0))
	}
}

func TestMergeEqualsRecordingTogether(t *testing.T) {
	var a, b, both Histogram
	for i := range int64(5000) {
		h := &a
		if i%3 == 0 {
			h = &b
		}
		h.Record(i * i)
		both.Record(i * i)
	}
	var da, db, want Distribution
	a.AddTo(&da)
	b.AddTo(&db)
	both.AddTo(&want)
	da.Merge(&db)
	if da != want {
		t.Error("merged distributions differ from one that saw all values")
	}
}

func BenchmarkRecord(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	v := int64(1)
	for b.Loop() {
		h.Record(v)
		v = (v*1103515245 + 12345) & (1<<24 - 1)
	}
}

func TestBelowAndBuckets(t *testing.T) {
	var h Histogram
	for v := range int64(1000) {
		h.Record(v)
	}
	var d Distribution
	h.AddTo(&d)
	for v, want := range map[uint64]uint64{0: 1, 63: 64, 499: 500, 5000: 1000} {
		if got := d.Below(v); math.Abs(float64(got)-float64(want)) > 0.02*float64(want) {
			t.Errorf("%d values up to %d, want %d", got, v, want)
		}
	}
	last, sum := uint64(0), uint64(0)
	d.Buckets(func(v, n uint64) bool {
		if v < last {
			t.Errorf("%d comes after %d", v, last)
		}
		last, sum = v, sum+n
		return sum < 900
	})
	if sum < 900 || sum == 1000 {
		t.Errorf("stopped after %d values", sum)
	}
}
