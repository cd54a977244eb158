package bench

import (
	"maps"
	"slices"

	"github.com/uringproxy/uringproxy/perf/result"
)

// conclude makes figures of what the rounds of a scenario found.
func (b *bench) conclude(s scenario) (*result.Scenario, error) {
	a := s.about()
	done := &result.Scenario{Name: a.name, Title: a.title, Unit: a.unit, Load: s.words(&b.o)}
	for _, t := range b.targets {
		c, err := b.cell(a, t)
		if err != nil {
			return nil, err
		}
		if t.kind.ours && a.unit != result.P99Ratio {
			b.compare(a, c, t)
		}
		done.Cells = append(done.Cells, *c)
	}
	return done, nil
}

// cell is what one proxy did.
func (b *bench) cell(a *profile, t *target) (*result.Cell, error) {
	c := &result.Cell{Peer: t.kind.name, Problem: t.problem, Rounds: t.rounds, Rate: t.rate, Notes: b.remarks(a, t)}
	for _, rounds := range append(slices.Collect(maps.Values(t.at)), t.rounds, t.found) {
		failed, _ := failures(rounds)
		c.Errors += failed
	}
	var err error
	if c.Config, err = t.kind.text(t.site); err != nil {
		return nil, err
	}
	if len(t.rounds) == 0 {
		return c, nil
	}
	spread := func(of func(r *result.Round) float64) result.Spread { return spreadOf(t.rounds, of) }
	if c.Noisy, c.Histogram = noise(&b.o, a.unit, t.rounds), t.latencies; c.Noisy == "" {
		c.Noisy = t.doubt
	}
	c.Cost = spread(cost)
	c.Memory = spread(func(r *result.Round) float64 { return r.Memory })
	if a.unit == result.PerConnection {
		return c, nil
	}
	c.BytesRate = spread(func(r *result.Round) float64 { return float64(r.Bytes) / r.Seconds })
	if a.endless {
		return c, nil
	}
	c.Throughput = spread(func(r *result.Round) float64 { return float64(r.Requests) / r.Seconds })
	c.P50 = spread(func(r *result.Round) float64 { return r.P50 })
	c.P99 = spread(func(r *result.Round) float64 { return r.P99 })
	c.P999 = spread(func(r *result.Round) float64 { return r.P999 })
	c.Max = spread(func(r *result.Round) float64 { return r.Max })
	if a.changing {
		c.Changes = t.reloads.figures()
	}
	return c, nil
}

func spreadOf(rounds []result.Round, of func(r *result.Round) float64) result.Spread {
	var figures []float64
	for i := range rounds {
		figures = append(figures, of(&rounds[i]))
	}
	return result.SpreadOf(figures)
}

func cost(r *result.Round) float64 { return r.Cost }

// compare adds the ratios of one of ours to all others.
func (b *bench) compare(a *profile, c *result.Cell, t *target) {
	c.Ratios, c.At, c.Unclear = map[string]result.Spread{}, map[string]result.Spread{}, map[string]string{}
	for _, other := range b.targets {
		if other == t {
			continue
		}
		name := other.kind.name
		ours := side{t.kind.name, t.rounds}
		if at := t.at[name]; at != nil {
			ours = side{t.kind.name + " at the rate of " + name, at}
			c.At[name] = spreadOf(at, cost)
		} else if t.rate > 0 {
			continue // each had its own rate
		}
		if ratio := result.Ratios(ours.rounds, other.rounds); ratio.Known() {
			c.Ratios[name] = ratio
			if why := unclear(&b.o, a.unit, ours, side{name, other.rounds}); why != "" {
				c.Unclear[name] = why
			}
		}
	}
}

// Measured reports whether there is a figure of ours, or of anybody if ours were not to be measured.
func Measured(r *result.Run) bool {
	ours := map[string]bool{}
	for _, p := range r.Peers {
		if p.Ours {
			ours[p.Name] = true
		}
	}
	for _, s := range r.Scenarios {
		for _, c := range s.Cells {
			if (ours[c.Peer] || len(ours) == 0) && c.Problem == "" && len(c.Rounds) > 0 {
				return true
			}
		}
	}
	return false
}
