package routing

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// TestTablesAreImmutable: shards search a table while the builder changes what it shares with the next one. The race
// detector watches, and every answer must be the one that the table gave first.
func TestTablesAreImmutable(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(11, 12))}
	requests := make([]*Request, 60)
	for i := range requests {
		requests[i] = m.request()
	}
	b := NewBuilder()
	var current atomic.Pointer[Table]
	change := func() {
		for range 10 {
			if name := fmt.Sprint("r", m.IntN(120)); m.IntN(3) == 0 {
				b.Delete(name)
			} else if err := b.Set(m.route(name, m.IntN(1000))); err != nil {
				t.Error(err)
			}
		}
		table, err := b.Build()
		if err != nil {
			t.Error(err)
		}
		current.Store(table)
	}
	change()
	var done atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for !done.Load() {
				table := current.Load()
				var first [2][]int
				for round := range first {
					for _, r := range requests {
						own := *r // its scratch memory is one goroutine's
						first[round] = append(first[round], table.Match(&own))
					}
				}
				for i := range requests {
					if first[0][i] != first[1][i] {
						t.Errorf("a table answered %d, then %d", first[0][i], first[1][i])
					}
				}
			}
		})
	}
	for range 150 {
		change()
	}
	done.Store(true)
	readers.Wait()
}
