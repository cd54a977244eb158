package shard

import "math/bits"

// Wheel holds one deadline for each slot of the connection table: a hashed timer wheel with lazy deadlines.
//
// Setting a later deadline only stores it: the slot stays in the bucket of the earlier one, and is moved when
// that bucket comes up. So a request that renews its connection's deadline costs one store. Only an earlier deadline
// moves a slot at once.
type Wheel struct {
	entries  []timer
	buckets  [wheelBuckets + 1]uint32  // first slot + 1 of each bucket's list; 0: empty. The last one: being worked off
	occupied [wheelBuckets / 64]uint64 // a bit for each bucket that holds anything
	words    uint64                    // a bit for each word of occupied that is not zero
	tick     int64                     // the last tick whose bucket was worked off
	linked   int
}

type timer struct {
	deadline   int64  // nanoseconds on the shard's clock; 0: none
	due        int64  // tick at which the slot's bucket comes up, at the latest; 0: not linked
	next, prev uint32 // slot + 1
	bucket     uint32
}

const (
	tickShift    = 23 // 8.4 ms: finer than any timeout a user sets, coarse enough to batch expiries
	wheelBuckets = 4096
	working      = wheelBuckets
)

// NewWheel makes a wheel for n slots. Memory is touched as slots are used.
func NewWheel(n int) *Wheel { return &Wheel{entries: make([]timer, n+1)} }

// Set makes slot expire at the deadline, replacing what was set before. A deadline of 0 clears it.
func (w *Wheel) Set(slot uint32, deadline int64) {
	t := &w.entries[slot+1]
	t.deadline = deadline
	if deadline == 0 {
		return
	}
	due := deadline>>tickShift + 1
	if t.due != 0 {
		if t.due <= due {
			return
		}
		w.unlink(slot + 1)
	}
	w.link(slot+1, due)
}

// Deadline is what was set; 0: none.
func (w *Wheel) Deadline(slot uint32) int64 { return w.entries[slot+1].deadline }

func (w *Wheel) link(i uint32, due int64) {
	if due <= w.tick {
		due = w.tick + 1
	}
	t := &w.entries[i]
	b := uint32(due % wheelBuckets)
	t.due, t.bucket, t.prev, t.next = due, b, 0, w.buckets[b]
	if t.next != 0 {
		w.entries[t.next].prev = i
	}
	w.buckets[b] = i
	w.occupied[b/64] |= 1 << (b % 64)
	w.words |= 1 << (b / 64)
	w.linked++
}

func (w *Wheel) unlink(i uint32) {
	t := &w.entries[i]
	b := t.bucket
	if t.prev != 0 {
		w.entries[t.prev].next = t.next
	} else {
		w.buckets[b] = t.next
		if t.next == 0 && b < working {
			w.vacate(b)
		}
	}
	if t.next != 0 {
		w.entries[t.next].prev = t.prev
	}
	t.due, t.next, t.prev = 0, 0, 0
	w.linked--
}

// vacate notes that bucket b is empty.
func (w *Wheel) vacate(b uint32) {
	w.occupied[b/64] &^= 1 << (b % 64)
	if w.occupied[b/64] == 0 {
		w.words &^= 1 << (b / 64)
	}
}

// detach moves the list of bucket b to the working list, so that entries linked from now on are not seen again.
func (w *Wheel) detach(b uint32) {
	w.buckets[working] = w.buckets[b]
	w.buckets[b] = 0
	w.vacate(b)
	for i := w.buckets[working]; i != 0; i = w.entries[i].next {
		w.entries[i].bucket = working
	}
}

// Next is the time of the next bucket that holds anything; negative when the wheel is empty. At that time there may
// turn out to be nothing to do.
func (w *Wheel) Next() int64 {
	if w.linked == 0 {
		return -1
	}
	start := uint32((w.tick + 1) % wheelBuckets)
	word, low := start/64, ^uint64(0)<<(start%64)
	if m := w.occupied[word] & low; m != 0 {
		return w.due(start, word*64+uint32(bits.TrailingZeros64(m)))
	}
	// The words behind this one come first, then those before it, then what is left of this one itself.
	turned := bits.RotateLeft64(w.words, -int(word+1))
	word = (word + 1 + uint32(bits.TrailingZeros64(turned))) % 64
	m := w.occupied[word]
	if word == start/64 {
		m &^= low
	}
	return w.due(start, word*64+uint32(bits.TrailingZeros64(m)))
}

// due is the time at which bucket b comes up, start being the next one.
func (w *Wheel) due(start, b uint32) int64 {
	return (w.tick + 1 + int64((b-start)%wheelBuckets)) << tickShift
}

// Advance moves the wheel to now and calls expired for each slot whose deadline has passed. The slot's deadline is
// cleared first; expired may set it anew.
func (w *Wheel) Advance(now int64, expired func(slot uint32)) {
	target := now >> tickShift
	if w.linked == 0 {
		w.tick = max(w.tick, target)
		return
	}
	if target-w.tick > wheelBuckets {
		w.tick = target - wheelBuckets // every bucket comes up once, which is enough
	}
	for w.tick < target {
		w.tick++
		w.detach(uint32(w.tick % wheelBuckets))
		for i := w.buckets[working]; i != 0; i = w.buckets[working] {
			t := &w.entries[i]
			w.unlink(i)
			switch {
			case t.deadline == 0:
			case t.deadline <= now:
				t.deadline = 0
				expired(i - 1)
			default:
				w.link(i, t.deadline>>tickShift+1)
			}
		}
	}
}
