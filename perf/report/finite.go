package report

import (
	"math"
	"slices"

	"github.com/uringproxy/uringproxy/perf/result"
)

// finite is a copy of a run without figures that are infinite or no number: a spread that has one becomes a figure that
// is not known, and a round's becomes 0. What it shares with r is only what nobody changes.
func finite(r *result.Run) *result.Run {
	c := *r
	c.Seconds = number(c.Seconds)
	c.Scenarios = slices.Clone(c.Scenarios)
	for i := range c.Scenarios {
		s := &c.Scenarios[i]
		s.Cells = slices.Clone(s.Cells)
		for j := range s.Cells {
			finiteCell(&s.Cells[j])
		}
	}
	return &c
}

func finiteCell(c *result.Cell) {
	for _, s := range []*result.Spread{
		&c.Cost, &c.Throughput, &c.BytesRate, &c.P50, &c.P99, &c.P999, &c.Max, &c.Memory,
	} {
		*s = finiteSpread(*s)
	}
	c.Ratios, c.At = finiteSpreads(c.Ratios), finiteSpreads(c.At)
	c.Rounds = slices.Clone(c.Rounds)
	for i := range c.Rounds {
		r := &c.Rounds[i]
		for _, x := range []*float64{
			&r.Seconds, &r.CPU, &r.Cost, &r.P50, &r.P99, &r.P999, &r.Max, &r.Memory, &r.Foreign, &r.LoadBusy,
			&r.LoadForeign, &r.Lag99, &r.P99Before, &r.Lag99Before,
		} {
			*x = number(*x)
		}
	}
}

func finiteSpreads(m map[string]result.Spread) map[string]result.Spread {
	if m == nil {
		return nil
	}
	c := make(map[string]result.Spread, len(m))
	for peer, s := range m {
		c[peer] = finiteSpread(s)
	}
	return c
}

func finiteSpread(s result.Spread) result.Spread {
	for _, x := range []float64{s.Median, s.Low, s.High} {
		if !isNumber(x) {
			return result.Spread{}
		}
	}
	return s
}

func isNumber(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// number is x, or 0 when it is none.
func number(x float64) float64 {
	if isNumber(x) {
		return x
	}
	return 0
}
