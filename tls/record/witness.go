package record

import (
	"crypto/sha256"
	"encoding/binary"
	"sync/atomic"

	"github.com/uringproxy/uringproxy/internal/invariant"
)

// seen is what the witness knows of one key: its name, and the first sequence number that was not sealed with.
type seen struct{ id, next atomic.Uint64 }

// keys is the witness's memory, in builds with the tag invariant only: the first tens of thousands of keys that the
// process used. What comes when it is full is not recorded, so that nothing has to be forgotten.
var keys [1 << 16]seen

// identify names a key and its IV. Two halves with the same get the same name, wherever they came from.
func identify(key, iv []byte) uint64 {
	h := sha256.New()
	h.Write(key)
	h.Write(iv)
	return binary.LittleEndian.Uint64(h.Sum(nil)) | 1 // zero is an empty place
}

// remembered finds what is known of a key, or a place for it; nil when there is none.
func remembered(id uint64) *seen {
	const probes = 64
	for i := range uint64(probes) {
		k := &keys[(id>>1+i)%uint64(len(keys))]
		if k.id.Load() == id || k.id.CompareAndSwap(0, id) || k.id.Load() == id {
			return k
		}
	}
	return nil
}

// witness fails when a key has already sealed a record with this number or a later one.
func witness(id, seq uint64) {
	k := remembered(id)
	if k == nil {
		return
	}
	if next := k.next.Load(); seq < next || !k.next.CompareAndSwap(next, seq+1) {
		invariant.Fail("record %d sealed again with key %x: the next is %d", seq, id, next)
	}
}

// witnessed says that somebody else has sealed with a key up to this number.
func witnessed(id, next uint64) {
	k := remembered(id)
	for k != nil {
		was := k.next.Load()
		if was >= next || k.next.CompareAndSwap(was, next) {
			return
		}
	}
}
