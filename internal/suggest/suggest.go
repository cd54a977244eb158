// Package suggest finds what somebody probably meant by a misspelt word. It imports nothing of the project, and the
// control plane and the commands use it.
package suggest

// Nearest returns the candidate that is fewest slips of the finger away from word, or "" when none is near enough to be
// worth naming: where as many letters are wrong as word has, nothing is left of it, and "on" is not "none" misspelt.
// Case is ignored, and a hyphen counts as an underscore. Among equals the first candidate wins.
func Nearest(word string, candidates []string) string {
	best, least := "", mostSlips+1
	for _, c := range candidates {
		limit := min(slips(max(len(word), len(c))), len(word)-1, least-1)
		if d := Distance(word, c, limit); d <= limit {
			best, least = c, d
		}
	}
	return best
}

const mostSlips = 3

// slips is how many slips leave a word of n letters recognisable.
func slips(n int) int {
	switch {
	case n < 3:
		return 0
	case n == 3:
		return 1
	case n <= 7:
		return 2
	}
	return mostSlips
}

// Distance counts the letters to insert, drop, replace or swap with their neighbour to get from a to b. It gives up
// with limit+1 once the distance is known to be greater than limit.
func Distance(a, b string, limit int) int {
	if len(a)-len(b) > limit || len(b)-len(a) > limit {
		return limit + 1
	}
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			x, y := fold(a[i-1]), fold(b[j-1])
			cost := 1
			if x == y {
				cost = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+cost)
			if i > 1 && j > 1 && x == fold(b[j-2]) && fold(a[i-2]) == y {
				row[j] = min(row[j], before[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least > limit {
			return limit + 1
		}
		before, above, row = above, row, before
	}
	return min(above[len(b)], limit+1)
}

func fold(c byte) byte {
	switch {
	case 'A' <= c && c <= 'Z':
		return c | 0x20
	case c == '-':
		return '_'
	}
	return c
}
