//go:build invariant

package routing

import (
	"slices"
	"testing"
)

// effortShapes are the shapes whose searches take the same effort however many routes there are, with what a search may
// take: on average of many, and the one that takes the most.
var effortShapes = []struct {
	name       string
	mean, most uint64
}{
	{"hosts", 4, 40},
	{"prefixes", 4, 40},
	{"deep", 7, 80},
	{"wildcards", 4, 40},
}

// A search takes as many steps among a million routes as among a thousand: places of dictionaries looked at, texts
// compared, alternatives tried.
func TestEffortDoesNotGrow(t *testing.T) {
	for _, es := range effortShapes {
		s := shapes[slices.IndexFunc(shapes, func(s shape) bool { return s.name == es.name })]
		for _, n := range []int{1000, million} {
			if testing.Short() && n > 1000 {
				continue
			}
			_, table := s.build(n)
			requests, want := s.requests(n, 10_000)
			var all, most uint64
			for i, r := range requests {
				before := steps()
				if got := table.Match(r); got != want[i] {
					t.Fatalf("%s: got %d, want %d", s.name, got, want[i])
				}
				took := steps() - before
				all, most = all+took, max(most, took)
			}
			mean := float64(all) / float64(len(requests))
			t.Logf("%s among %d routes: %.2f steps on average, at most %d", s.name, n, mean, most)
			if mean > float64(es.mean) || most > es.most {
				t.Errorf("%s among %d routes: %.2f steps on average and %d at most, expected are %d and %d", s.name, n,
					mean, most, es.mean, es.most)
			}
		}
	}
}

func steps() uint64 {
	return effort.probes.Load() + effort.compares.Load() + effort.alternatives.Load()
}
