package control

// Bounds of one service, which bound the work and the memory of its cycle.
const (
	maxEndpoints = 4096
	maxCycle     = 16384
)

// cycle is the order in which endpoints with these weights are used, by smooth weighted round robin: each gets exactly
// its share of a cycle, and its turns are spread over it. Equal weights give each one turn. Weights whose sum, after
// division by their greatest common divisor, is above maxCycle are scaled down to about that sum, each to at least 1.
func cycle(weights []int) []uint16 {
	weights, total := reduce(weights)
	order := make([]uint16, 0, total)
	credit := make([]int, len(weights))
	for range total {
		best := 0
		for i, w := range weights {
			credit[i] += w
			if credit[i] > credit[best] {
				best = i
			}
		}
		credit[best] -= total
		order = append(order, uint16(best))
	}
	return order
}

func reduce(weights []int) (reduced []int, total int) {
	divisor, sum := 0, 0
	for _, w := range weights {
		divisor = gcd(divisor, w)
		sum += w
	}
	reduced = make([]int, len(weights))
	for i, w := range weights {
		reduced[i] = w / divisor
		if sum/divisor > maxCycle {
			reduced[i] = max(1, (w*maxCycle+sum/2)/sum)
		}
		total += reduced[i]
	}
	return reduced, total
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
