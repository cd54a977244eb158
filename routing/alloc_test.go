package routing

import (
	"math/rand/v2"
	"testing"
)

// TestMatchDoesNotAllocate, in tables of every shape and of rules of all matchers.
func TestMatchDoesNotAllocate(t *testing.T) {
	for _, s := range shapes {
		_, table := s.build(300)
		requests, _ := s.requests(300, 20)
		none(t, s.name, table, requests)
	}
	for seed := range uint64(40) {
		m := maker{rand.New(rand.NewPCG(seed, 7))}
		b := NewBuilder()
		for i := range 60 {
			if err := b.Set(m.route(string(rune('A'+i)), i)); err != nil {
				t.Fatal(err)
			}
		}
		table, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		var requests []*Request
		for range 20 {
			requests = append(requests, m.request())
		}
		none(t, "random", table, requests)
	}
}

func none(t *testing.T, name string, table *Table, requests []*Request) {
	for _, r := range requests {
		if n := testing.AllocsPerRun(10, func() { table.Match(r) }); n != 0 {
			t.Errorf("%s: %v allocations for %s%s?%s", name, n, r.Host, r.Path, r.Query)
		}
	}
}
