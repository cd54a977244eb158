package routing

import "slices"

// hashMap maps hashes to values, persistently as node does: it is cut into shards, and a change copies the list
// of shards and the one shard that it is in. A hash stands for its key; who cannot live with two keys of one hash keeps
// a list of them as value.
type hashMap[V any] struct {
	shards []hashShard[V] // a power of two
	count  int
	edit   uint32
}

type hashShard[V any] struct {
	slots []hashSlot[V] // open addressing; a power of two, at most three quarters full
	count int32
	edit  uint32
}

type hashSlot[V any] struct {
	hash  uint64
	value *V // nil: free
}

// shardLoad is how many values a shard has on average when the number of shards is doubled: so many that the list of
// shards stays in the processor's cache, and so few that copying one shard costs microseconds.
const shardLoad = 512

// find is the value of hash, or nil.
func (m *hashMap[V]) find(hash uint64) *V {
	if len(m.shards) == 0 {
		return nil
	}
	s := &m.shards[hash>>32&uint64(len(m.shards)-1)]
	if len(s.slots) == 0 {
		return nil
	}
	mask := uint64(len(s.slots) - 1)
	for at := hash & mask; s.slots[at].value != nil; at = (at + 1) & mask {
		if counting {
			effort.probes.Add(1)
		}
		if s.slots[at].hash == hash {
			return s.slots[at].value
		}
	}
	return nil
}

// set makes v the value of hash; nil takes the hash out.
func (m *hashMap[V]) set(hash uint64, v *V, edit uint32) {
	if m.edit != edit {
		m.shards, m.edit = slices.Clone(m.shards), edit
	}
	if m.count >= shardLoad*len(m.shards) {
		m.double(edit)
	}
	s := &m.shards[hash>>32&uint64(len(m.shards)-1)]
	m.count -= int(s.count)
	s.set(hash, v, edit)
	m.count += int(s.count)
}

func (m *hashMap[V]) double(edit uint32) {
	old := m.shards
	m.shards = make([]hashShard[V], max(1, 2*len(old)))
	for i := range old {
		for _, slot := range old[i].slots {
			if slot.value != nil {
				m.shards[slot.hash>>32&uint64(len(m.shards)-1)].set(slot.hash, slot.value, edit)
			}
		}
	}
}

func (s *hashShard[V]) set(hash uint64, v *V, edit uint32) {
	size := len(s.slots)
	if v != nil && 4*int(s.count+1) > 3*size {
		size = max(2, 2*size) // never full: a search ends at a free slot
	}
	if v == nil || s.edit != edit || size != len(s.slots) {
		s.rebuild(hash, size)
		s.edit = edit
	}
	if v != nil {
		s.put(hashSlot[V]{hash, v})
	}
}

// rebuild gives s slots of its own, so many, with everything but hash.
func (s *hashShard[V]) rebuild(without uint64, size int) {
	old := s.slots
	s.slots, s.count = make([]hashSlot[V], size), 0
	for _, slot := range old {
		if slot.value != nil && slot.hash != without {
			s.put(slot)
		}
	}
}

func (s *hashShard[V]) put(slot hashSlot[V]) {
	mask := uint64(len(s.slots) - 1)
	at := slot.hash & mask
	for s.slots[at].value != nil && s.slots[at].hash != slot.hash {
		at = (at + 1) & mask
	}
	if s.slots[at].value == nil {
		s.count++
	}
	s.slots[at] = slot
}

// FNV-1a, with a final mix because both ends of a hash choose places. Keys come from the configuration, so a client
// cannot make places crowd; it can only ask.
const (
	hashSeed  = 0xcbf29ce484222325
	hashPrime = 0x100000001b3
)

func hashByte(h uint64, c byte) uint64 { return (h ^ uint64(c)) * hashPrime }

func hashBytes[T string | []byte](h uint64, b T) uint64 {
	for i := range len(b) {
		h = hashByte(h, b[i])
	}
	return h
}

// textHash is the hash of a text from its beginning to its end, nameHash from its end to its beginning.
func textHash[T string | []byte](s T) uint64 { return hashEnd(hashBytes(hashSeed, s)) }

func nameHash(s string) uint64 {
	h := uint64(hashSeed)
	for i := len(s) - 1; i >= 0; i-- {
		h = hashByte(h, s[i])
	}
	return hashEnd(h)
}

func hashEnd(h uint64) uint64 {
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	return h ^ h>>32
}
