package result

import "slices"

// SpreadOf is the spread of figures, which it does not change.
func SpreadOf(figures []float64) Spread {
	if len(figures) == 0 {
		return Spread{}
	}
	sorted := slices.Clone(figures)
	slices.Sort(sorted)
	n := len(sorted)
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Low: sorted[0], High: sorted[n-1], Count: n}
}

// Known reports whether there is a figure.
func (s Spread) Known() bool { return s.Count > 0 }

// Ratios is the spread of Quotients.
func Ratios(a, b []Round) Spread { return SpreadOf(Quotients(a, b)) }

// Quotients divides the costs of a by those of the same round of b, as far as both have one that is not zero.
func Quotients(a, b []Round) (all []float64) {
	for i := range min(len(a), len(b)) {
		if a[i].Cost > 0 && b[i].Cost > 0 {
			all = append(all, a[i].Cost/b[i].Cost)
		}
	}
	return all
}

// Middle leaves out the quarter of figures that is lowest and the quarter that is highest: what a virtual machine's
// neighbours do to single rounds does not move what is left.
func Middle(figures []float64) Spread {
	sorted := slices.Sorted(slices.Values(figures))
	quarter := len(sorted) / 4
	return SpreadOf(sorted[quarter : len(sorted)-quarter])
}
