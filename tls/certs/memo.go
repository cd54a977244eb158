package certs

import "weak"

// memo remembers values, each with a note about it, as long as somebody else holds them. The zero memo is ready.
type memo[K comparable, N, V any] struct {
	values map[K]memory[N, V]
	sweep  int // at this size those that are gone are taken out
}

type memory[N, V any] struct {
	note  N
	value weak.Pointer[V]
}

// recall is the value that is remembered under a key, nil when there is none, and the note about it.
func (m *memo[K, N, V]) recall(key K) (*V, N) {
	known := m.values[key]
	return known.value.Value(), known.note
}

// remember keeps a value under a key, until nobody holds it any more, or another takes its place.
func (m *memo[K, N, V]) remember(key K, note N, value *V) {
	if m.values == nil {
		m.values = map[K]memory[N, V]{}
	}
	if len(m.values) >= m.sweep {
		for k, known := range m.values {
			if known.value.Value() == nil {
				delete(m.values, k)
			}
		}
		m.sweep = max(1024, 2*len(m.values))
	}
	m.values[key] = memory[N, V]{note, weak.Make(value)}
}
