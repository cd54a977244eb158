package certs

import "weak"

// memo remembers values as long as somebody else holds them. The zero memo is ready.
type memo[K comparable, V any] struct {
	values map[K]weak.Pointer[V]
	sweep  int // at this size those that are gone are taken out
}

// recall is the value that is remembered under a key, nil when there is none.
func (m *memo[K, V]) recall(key K) *V { return m.values[key].Value() }

// remember keeps a value under a key, until nobody holds it any more.
func (m *memo[K, V]) remember(key K, value *V) {
	if m.values == nil {
		m.values = map[K]weak.Pointer[V]{}
	}
	if len(m.values) >= m.sweep {
		for k, pointer := range m.values {
			if pointer.Value() == nil {
				delete(m.values, k)
			}
		}
		m.sweep = max(1024, 2*len(m.values))
	}
	m.values[key] = weak.Make(value)
}
