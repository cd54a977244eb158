package bench

import (
	"fmt"

	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/perf/result"
)

// Bounds beyond which figures are not to be quoted; docs/bench.md explains them.
const (
	// maxForeign is the part of the proxy's core, or of the load generator's, that others may use in a round.
	maxForeign = 0.05
	// disturbedShare is the share of rounds from which on a cell with disturbed rounds is noisy. The median does not
	// mind fewer.
	disturbedShare = 1.0 / 3
	// maxSpread is how far the costs of the middle half of the rounds may be apart, as a part of their median: what a
	// virtual machine's neighbours do to single rounds does not move a median. maxTail is the same for costs that are
	// 99th percentiles, of which a single event can be the cause.
	maxSpread = 0.25
	maxTail   = 1.0
	// maxLag is the part of a p99 that may be the load generator's own delay, where p99 is the cost.
	maxLag = 0.5
)

// noise says why the figures of a cell must not be quoted; empty if they may.
func noise(o *Options, unit result.Unit, rounds []result.Round) string {
	memory := unit == result.PerConnection // which does not depend on who uses the cores
	switch {
	case memory:
	case o.ProxyCore == o.LoadCore:
		return "the proxy shared its core with load generator and upstream"
	case o.siblings:
		return "the proxy's core and that of load generator and upstream are two threads of one"
	}
	proxy, loads, lags := 0, 0, 0
	var costs []float64
	for i := range rounds {
		r := &rounds[i]
		costs = append(costs, r.Cost)
		proxy += one(r.Foreign > maxForeign)
		loads += one(r.LoadForeign > maxForeign)
		lags += one(r.Lag99 > maxLag*r.P99 || r.Lag99Before > maxLag*r.P99Before)
	}
	tail := unit == result.P99 || unit == result.P99Ratio
	many := func(n int) bool { return n > 0 && float64(n) >= disturbedShare*float64(len(rounds)) }
	switch {
	case many(proxy) && !memory:
		return fmt.Sprintf("others used more than %.0f %% of the proxy's core in %s", 100*maxForeign,
			words.GroupedCount(proxy, "round"))
	case many(loads) && !memory:
		return fmt.Sprintf("others used more than %.0f %% of the load generator's core in %s", 100*maxForeign,
			words.GroupedCount(loads, "round"))
	case tail && many(lags):
		return fmt.Sprintf("more than %.0f %% of p99 was the load generator's own delay in %s", 100*maxLag,
			words.GroupedCount(lags, "round"))
	}
	if spread := result.Middle(costs); disagree(unit, spread) {
		return fmt.Sprintf("the rounds disagree: %.3g to %.3g %s", spread.Low, spread.High, unit)
	}
	return ""
}

// disagree reports whether the middle half of costs in a unit, or of their ratios, is too far apart.
func disagree(unit result.Unit, middle result.Spread) bool {
	bound := maxSpread
	if unit == result.P99 || unit == result.P99Ratio {
		bound = maxTail
	}
	return middle.High-middle.Low > bound*middle.Median
}

// side is one of the two proxies of a ratio, with the rounds that it is made of.
type side struct {
	name   string
	rounds []result.Round
}

// unclear says why a ratio must not be quoted; empty if it may.
func unclear(o *Options, unit result.Unit, a, b side) string {
	for _, s := range []side{a, b} {
		if why := noise(o, unit, s.rounds); why != "" {
			return s.name + ": " + why
		}
	}
	if spread := result.Middle(result.Quotients(a.rounds, b.rounds)); disagree(unit, spread) {
		return fmt.Sprintf("the ratios of the rounds disagree: %.3g to %.3g", spread.Low, spread.High)
	}
	return ""
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
