package load

import (
	"math"
	"time"
)

// schedule says when requests are meant to be sent: at a constant rate, whatever became of those before. Times count
// from the start of the phase.
type schedule struct {
	rate  int // requests per second; 0: as many as the connections can carry
	total int // requests in all
	end   time.Duration
}

func newSchedule(rate int, length time.Duration) schedule {
	if rate == 0 {
		return schedule{total: math.MaxInt, end: length}
	}
	total := int(float64(rate) * length.Seconds())
	return schedule{rate: rate, total: total, end: length}
}

// at is the time of request k, counted from 0. It has no rounding error that adds up.
func (s schedule) at(k int) time.Duration {
	if s.rate == 0 {
		return 0
	}
	seconds, rest := k/s.rate, k%s.rate
	return time.Duration(seconds)*time.Second + time.Duration(rest)*time.Second/time.Duration(s.rate)
}

// due reports whether request k is to be sent at now or was before. Without a rate, everything is until the end.
func (s schedule) due(k int, now time.Duration) bool {
	if s.rate == 0 {
		return now < s.end
	}
	return k < s.total && s.at(k) <= now
}

// over reports whether at now no request from k on will ever be due.
func (s schedule) over(k int, now time.Duration) bool {
	if s.rate == 0 {
		return now >= s.end
	}
	return k >= s.total
}

// first is the number of the first request that is due at a time or later.
func (s schedule) first(at time.Duration) int {
	k := int(float64(s.rate) * at.Seconds())
	for s.at(k) < at {
		k++
	}
	return k
}
