package proxy

import (
	"hash/maphash"
	"sync/atomic"
)

// addressCounts counts connections per client address over all shards, without a lock: a fixed table of words, each
// holding 48 bits of an address's hash and a count of 16 bits. It is touched when a connection begins and ends.
//
// It errs to the client's side: an address for which its bucket has no room is not counted, nor is one seen for the
// first time by two shards at the same moment counted together. The hash is keyed, so that nobody who has many
// addresses can choose those that fill a bucket. Use newAddressCounts.
type addressCounts struct {
	words *[addressWords]atomic.Uint64
	seed  maphash.Seed
}

const (
	addressWords = 1 << 16
	bucketWords  = 8
	countBits    = 16
	countMask    = 1<<countBits - 1
)

func newAddressCounts() addressCounts {
	return addressCounts{words: new([addressWords]atomic.Uint64), seed: maphash.MakeSeed()}
}

// tagged hashes an address to its bucket's first word and the tag that its word carries. An IPv6 address stands for its
// /64, which is what one subscriber is given.
func (t *addressCounts) tagged(addr [16]byte, is6 bool) (bucket uint64, tag uint64) {
	n := len(addr)
	if is6 {
		n = 8
	}
	h := maphash.Bytes(t.seed, addr[:n])
	return h >> 48 &^ (bucketWords - 1), h << countBits
}

// add counts a connection of addr, unless there are max already.
func (t *addressCounts) add(addr [16]byte, is6 bool, max int) bool {
	bucket, tag := t.tagged(addr, is6)
	for range bucketWords { // a lost race is tried again; more rivals than words at once give up counting
		free := -1
		for i := range bucketWords {
			w := &t.words[bucket+uint64(i)]
			v := w.Load()
			if v != 0 && v&^countMask == tag {
				if int(v&countMask) >= min(max, countMask) {
					return false
				}
				if w.CompareAndSwap(v, v+1) {
					return true
				}
				free = -2
				break
			}
			if v == 0 && free == -1 {
				free = i
			}
		}
		if free == -1 {
			return true
		}
		if free >= 0 && t.words[bucket+uint64(free)].CompareAndSwap(0, tag|1) {
			return true
		}
	}
	return true
}

// remove takes a connection of addr off the count. A word whose count reaches 0 is free again.
func (t *addressCounts) remove(addr [16]byte, is6 bool) {
	bucket, tag := t.tagged(addr, is6)
	for i := range bucketWords {
		w := &t.words[bucket+uint64(i)]
		for v := w.Load(); v&countMask != 0 && v&^countMask == tag; v = w.Load() {
			next := v - 1
			if next&countMask == 0 {
				next = 0
			}
			if w.CompareAndSwap(v, next) {
				return
			}
		}
	}
}
