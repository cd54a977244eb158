package control

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func TestCycle(t *testing.T) {
	for _, c := range []struct {
		weights []int
		want    string
	}{
		{[]int{1}, "[0]"},
		{[]int{7}, "[0]"},
		{[]int{3, 3, 3}, "[0 1 2]"},
		{[]int{2, 1}, "[0 1 0]"},
		{[]int{5, 1, 1}, "[0 0 1 0 2 0 0]"},
		{[]int{100, 300}, "[1 0 1 1]"},
		{nil, "[]"},
	} {
		if got := fmt.Sprint(cycle(c.weights)); got != c.want {
			t.Errorf("cycle(%v) = %s, want %s", c.weights, got, c.want)
		}
	}
}

// TestCycleIsExactAndSmooth: every endpoint gets its share of a cycle exactly, and after any number of turns it is less
// than one and a half turns away from its ideal share.
func TestCycleIsExactAndSmooth(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		weights := make([]int, 1+rnd.IntN(8))
		for i := range weights {
			weights[i] = 1 + rnd.IntN(20)
		}
		reduced, total := reduce(weights)
		order := cycle(weights)
		if len(order) != total {
			t.Fatalf("%v: %d turns, want %d", weights, len(order), total)
		}
		turns := make([]int, len(weights))
		for n, i := range order {
			turns[i]++
			for j, w := range reduced {
				ideal := float64(w*(n+1)) / float64(total)
				if math.Abs(ideal-float64(turns[j])) > 1.5 {
					t.Errorf("%v: endpoint %d has %d turns after %d, ideal is %.2f", weights, j, turns[j], n+1, ideal)
				}
			}
		}
		for i, w := range reduced {
			if turns[i] != w || w*sum(weights) != weights[i]*total {
				t.Errorf("%v: endpoint %d has %d of %d turns", weights, i, turns[i], total)
			}
		}
	}
}

func TestCycleIsBounded(t *testing.T) {
	weights := make([]int, maxEndpoints)
	for i := range weights {
		weights[i] = 1 + i%1000
	}
	reduced, total := reduce(weights)
	if total > maxCycle+maxEndpoints {
		t.Errorf("%d turns", total)
	}
	for i, w := range reduced {
		exact := float64(weights[i]) * maxCycle / float64(sum(weights))
		if float64(w) < exact-0.51 || float64(w) > max(1, exact+0.51) {
			t.Errorf("weight %d became %d, exactly %.2f", weights[i], w, exact)
		}
	}
}

func sum(weights []int) (n int) {
	for _, w := range weights {
		n += w
	}
	return n
}

func BenchmarkLongestCycle(b *testing.B) {
	weights := make([]int, maxEndpoints)
	for i := range weights {
		weights[i] = 1 + i%7
	}
	for b.Loop() {
		cycle(weights)
	}
}
