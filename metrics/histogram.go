package metrics

import (
	"math"
	"math/bits"
	"sync/atomic"
)

// The buckets are log-linear: values below 64 have one each; above, every power of two is cut into 32
// equal parts. A bucket is thus at most 1/32 of its values wide, and its middle is at most 1.6 % from any of them.
const (
	partBits  = 5
	parts     = 1 << partBits
	valueBits = 42 // nanoseconds: 73 minutes; longer values count as that long
	maxValue  = 1<<valueBits - 1
	buckets   = (valueBits-partBits-1)*parts + 2*parts
)

// Histogram counts values by size, with a relative error of at most 2 %. It has one writer. The zero value is ready.
type Histogram struct {
	sum, max uint64
	counts   [buckets]uint64
}

// Record counts v; a negative v counts as 0.
func (h *Histogram) Record(v int64) {
	u := uint64(max(v, 0))
	store(&h.sum, h.sum+u)
	if u > h.max {
		store(&h.max, u)
	}
	n := &h.counts[bucket(u)]
	store(n, *n+1)
}

// AddTo adds what was recorded so far to d. Any goroutine may call it.
func (h *Histogram) AddTo(d *Distribution) {
	d.Sum += atomic.LoadUint64(&h.sum)
	d.Max = max(d.Max, atomic.LoadUint64(&h.max))
	for i := range h.counts {
		n := atomic.LoadUint64(&h.counts[i])
		d.counts[i] += n
		d.Count += n
	}
}

// bucket is the index of v's bucket.
func bucket(v uint64) int {
	v = min(v, maxValue)
	shift := max(bits.Len64(v), partBits+1) - partBits - 1
	return shift<<partBits + int(v>>shift)
}

// bounds are the least and the greatest value of bucket i.
func bounds(i int) (low, high uint64) {
	shift := max(i>>partBits, 1) - 1
	low = uint64(i-shift<<partBits) << shift
	return low, low + 1<<shift - 1
}

// Distribution is what histograms recorded, added up; a plain value that belongs to its reader.
type Distribution struct {
	Count, Sum, Max uint64
	counts          [buckets]uint64
}

// Merge adds other's values.
func (d *Distribution) Merge(other *Distribution) {
	d.Count += other.Count
	d.Sum += other.Sum
	d.Max = max(d.Max, other.Max)
	for i := range d.counts {
		d.counts[i] += other.counts[i]
	}
}

// Below is how many values do not exceed v; those within 2 % of v may count on either side.
func (d *Distribution) Below(v uint64) (n uint64) {
	for i := range d.counts {
		low, high := bounds(i)
		if low+(high-low)/2 > v {
			break
		}
		n += d.counts[i]
	}
	return n
}

// Buckets yields, in ascending order, the values that were recorded and how often, each within 2 %.
func (d *Distribution) Buckets(yield func(value, count uint64) bool) {
	for i, n := range d.counts {
		low, high := bounds(i)
		if n > 0 && !yield(low+(high-low)/2, n) {
			return
		}
	}
}

// Mean is the exact mean value; 0 when there is none.
func (d *Distribution) Mean() uint64 {
	if d.Count == 0 {
		return 0
	}
	return d.Sum / d.Count
}

// Quantile is the value that the fraction q of all values do not exceed, with a relative error of at most 2 %; q is cut
// to [0, 1]. It is 0 when there is no value.
func (d *Distribution) Quantile(q float64) uint64 {
	if d.Count == 0 {
		return 0
	}
	rank := uint64(math.Ceil(min(max(q, 0), 1) * float64(d.Count)))
	rank = min(max(rank, 1), d.Count)
	for i := range d.counts {
		if rank > d.counts[i] {
			rank -= d.counts[i]
			continue
		}
		low, high := bounds(i)
		return min(low+(high-low)/2, d.Max)
	}
	return d.Max
}
