package bench

import (
	"fmt"
	"maps"
	"slices"

	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/perf/result"
)

const (
	// fullCore is the part of the load generator's core from which on it may be what limits requests per second.
	fullCore = 0.95
	// manyConnections is the part of the requests for which a proxy may open a connection to the upstream and still be
	// said to keep them.
	manyConnections = 0.1
)

// remarks are what there is to say about a target besides its figures.
func (b *bench) remarks(a *profile, t *target) (notes []string) {
	add := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if t.forwards != "" {
		add("%s", t.forwards)
	}
	notes = append(notes, t.notes...)
	full := func(rounds []result.Round) bool {
		busy := spreadOf(rounds, func(r *result.Round) float64 { return r.LoadBusy })
		return b.o.ProxyCore != b.o.LoadCore && busy.Median > fullCore
	}
	if t.maximum > 0 {
		add("%s a second at most", words.GroupedCount(t.maximum, "request"))
		if full(t.found) {
			add("while the maximum was looked for, the load generator's core was full, which may have been the limit")
		}
		if why := noise(&b.o, "requests/s", t.found); why != "" {
			add("the maximum is not certain: %s", why)
		}
	} else if a.unit != result.PerConnection && full(t.rounds) {
		add("the load generator's core was full: the requests per second may be its limit, and not the proxy's")
	}
	for _, other := range slices.Sorted(maps.Keys(t.at)) {
		if failed, why := failures(t.at[other]); failed > 0 {
			add("%s at the rate of %s: %s", words.GroupedCount(failed, "error"), other, why)
		}
	}
	if failed, why := failures(t.found); failed > 0 {
		add("%s while its maximum was looked for: %s", words.GroupedCount(failed, "error"), why)
	}
	if note := opened(t.rounds); note != "" && !a.renewing && a.unit != result.PerConnection {
		notes = append(notes, note)
	}
	return notes
}

// failures counts the errors of rounds, and tells the first.
func failures(rounds []result.Round) (count int, why string) {
	var samples []string
	for i := range rounds {
		count += rounds[i].Errors
		samples = append(samples, rounds[i].Samples...)
	}
	return count, first(samples)
}

// opened says that a proxy did not keep its connections to the upstream; empty if it did.
func opened(rounds []result.Round) string {
	requests, connections := 0, 0
	for i := range rounds {
		requests += rounds[i].Requests
		connections += rounds[i].UpstreamConnections
	}
	if float64(connections) <= manyConnections*float64(requests) {
		return ""
	}
	return fmt.Sprintf("%s to the upstream were opened for %s", words.GroupedCount(connections, "connection"),
		words.GroupedCount(requests, "request"))
}
