package proxy

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// assocKey is what the datagrams of an association have in common. The address that they were sent to is in it, because
// replies have to leave from there: a client that asks two addresses of ours from one socket has two associations.
type assocKey struct {
	peer  engine.IPPort
	local engine.IPPort // as Datagram.Local has it: without a port
	from  uint16        // index of the listener
}

// standing is what an association may expect when there is no room for another.
type standing uint8

const (
	standingNone       standing = iota
	standingAwaiting            // it has had no reply: whoever sends with a false address gets no further than this
	standingSettled             // it was one datagram, and it was answered: a question and its answer
	standingConversing          // it goes to and fro
)

// assocTable finds associations by their key, and those that give way to others by their age. They lie in a slab that
// is reserved whole; the hash is a secret of the process, so that nobody can choose addresses that collide.
type assocTable struct {
	all     *mem.Slab[association]
	buckets []uint32 // by hash: the first association of a chain; 0: none
	shift   uint8    // of a hash, to have a bucket's index
	seed    maphash.Seed
	queues  [standingConversing]assocQueue // by standing, of those that may have to give way
}

// assocQueue is a doubly linked list of associations in the order in which they came to their standing.
type assocQueue struct{ oldest, newest uint32 }

// newAssocTable reserves a table of n associations.
func newAssocTable(n int) (assocTable, error) {
	all, err := mem.NewSlab[association](n)
	if err != nil {
		return assocTable{}, err
	}
	log := bits.Len(uint(max(n, 2) - 1)) // at least as many buckets as associations
	return assocTable{
		all: all, buckets: make([]uint32, 1<<log), shift: uint8(64 - log), seed: maphash.MakeSeed(),
	}, nil
}

func (t *assocTable) at(i uint32) *association { return t.all.At(i) }

// hash is k's hash. Everything of k goes into it.
func (t *assocTable) hash(k *assocKey) uint64 {
	var b [44]byte
	*(*[16]byte)(b[0:]) = k.peer.IP
	*(*[16]byte)(b[16:]) = k.local.IP
	binary.NativeEndian.PutUint32(b[32:], k.peer.Zone)
	binary.NativeEndian.PutUint32(b[36:], k.local.Zone)
	binary.NativeEndian.PutUint16(b[40:], k.peer.Port)
	binary.NativeEndian.PutUint16(b[42:], k.from)
	return maphash.Bytes(t.seed, b[:])
}

// find is the association with key k, whose hash is h; 0: there is none.
func (t *assocTable) find(k *assocKey, h uint64) uint32 {
	i := t.buckets[h>>t.shift]
	for i != 0 {
		a := t.at(i)
		if a.hash == h && a.key == *k {
			return i
		}
		i = a.next
	}
	return 0
}

// add makes an association with key k, which has none yet; 0: there is no room. It has no standing, and otherwise
// nothing but its key.
func (t *assocTable) add(k *assocKey, h uint64) uint32 {
	i := t.all.Take()
	if i == 0 {
		return 0
	}
	bucket := &t.buckets[h>>t.shift]
	*t.at(i) = association{key: *k, hash: h, next: *bucket}
	*bucket = i
	return i
}

// remove takes association i out.
func (t *assocTable) remove(i uint32) {
	a := t.at(i)
	t.stand(i, standingNone)
	at := &t.buckets[a.hash>>t.shift]
	for *at != i {
		at = &t.at(*at).next
	}
	*at = a.next
	t.all.Put(i)
}

// stand gives association i another standing, as the newest of those who have it.
func (t *assocTable) stand(i uint32, s standing) {
	a := t.at(i)
	if a.standing == s {
		return
	}
	if q := t.queue(a.standing); q != nil {
		if a.older != 0 {
			t.at(a.older).newer = a.newer
		} else {
			q.oldest = a.newer
		}
		if a.newer != 0 {
			t.at(a.newer).older = a.older
		} else {
			q.newest = a.older
		}
		a.older, a.newer = 0, 0
	}
	a.standing = s
	if q := t.queue(s); q != nil {
		if a.older = q.newest; a.older != 0 {
			t.at(a.older).newer = i
		} else {
			q.oldest = i
		}
		q.newest = i
	}
}

// queue is that of a standing; nil: it has none.
func (t *assocTable) queue(s standing) *assocQueue {
	if s == standingAwaiting || s == standingSettled {
		return &t.queues[s]
	}
	return nil
}

// weakest is the association that gives way to a newcomer; 0: none has to. Who has got an answer to the only question
// loses nothing; then it is the turn of those who have had no reply for longest, and whoever floods us with false
// addresses pushes out their own.
func (t *assocTable) weakest() uint32 {
	if i := t.queues[standingSettled].oldest; i != 0 {
		return i
	}
	return t.queues[standingAwaiting].oldest
}
