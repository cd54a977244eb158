package metrics

import "math/bits"

// SpanBounds are the upper bounds of the coarse histogram that each series has, in nanoseconds, each one included in
// its span; one more span is for what is longer. No two of them have the same power of two below them: spanOf
// relies on it.
var SpanBounds = [...]uint64{
	1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5,
	1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8, 2e8, 5e8,
	1e9, 2e9, 5e9, 1e10, 2e10, 6e10,
}

const spans = len(SpanBounds) + 1

// firstSpan is, by the length of a number in bits, the span of the least number that is so long.
var firstSpan = func() (first [65]uint8) {
	for length := range first {
		least := uint64(1) << max(length-1, 0)
		for int(first[length]) < len(SpanBounds) && SpanBounds[first[length]] < least {
			first[length]++
		}
	}
	return first
}()

// spanOf is the span of a duration.
func spanOf(ns int64) int {
	u := uint64(max(ns, 0))
	i := int(firstSpan[bits.Len64(u)])
	if i < len(SpanBounds) && u > SpanBounds[i] {
		i++
	}
	return i
}

// Spans is a coarse distribution of durations: Counts[i] of them did not exceed SpanBounds[i] nanoseconds, and exceeded
// the bound before. Their sum is Sum.
type Spans struct {
	Sum    uint64
	Counts [spans]uint64
}

// Count is the number of durations.
func (s *Spans) Count() (n uint64) {
	for _, c := range s.Counts {
		n += c
	}
	return n
}
