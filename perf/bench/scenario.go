package bench

import (
	"context"
	"slices"
	"time"

	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/result"
)

// scenario is one kind of load. A scenario of a new kind is a file with a type that has these methods, and a line in
// scenarios.
type scenario interface {
	about() *profile
	// words tell the load: connections, lengths, and what else somebody has to know who reads the figures.
	words(o *Options) string
	// prepare starts the target, and loads it once without counting.
	prepare(ctx context.Context, b *bench, t *target) error
	// round measures the target once, and adds a round to it. An error ends the target's part in the scenario.
	round(ctx context.Context, b *bench, t *target) error
}

// profile is what all scenarios have.
type profile struct {
	name, title string
	unit        result.Unit
	conns       int           // connections that carry load
	idle        int           // connections beside them
	routes      int           // unrelated ones
	length      time.Duration // of a phase; 0: defaultLength
	extra       bool          // takes long or tells little: only when asked for by name
	tls         encrypted
	wire        load.Wire // what is passed on
	endless     bool      // nothing is asked for, and so nothing has a rate or a latency
	beside      int       // connections of another load that runs beside
	changing    bool      // needs proxies whose configuration can change
	renewing    bool      // opens connections all the time, and the proxy may do so as well
}

func (p *profile) about() *profile { return p }

// lengthOf is the length of a phase.
func (a *profile) lengthOf(o *Options) time.Duration {
	switch {
	case o.Length > 0:
		return o.Length
	case a.length > 0:
		return a.length
	}
	return defaultLength
}

// connsOf is the number of connections that carry load.
func (a *profile) connsOf(o *Options) int {
	if o.Conns > 0 && a.idle == 0 {
		return o.Conns
	}
	return a.conns
}

// fewIdle are so many connections that what a process allocates besides does not count; with less there is no figure.
const fewIdle = 1000

// idleOf is the number of connections that only wait: as many as are asked for, or as the descriptors allow.
func (a *profile) idleOf(o *Options) int {
	switch {
	case a.idle == 0:
		return 0
	case o.Conns > 0:
		return o.Conns
	}
	room := descriptorLimit() - descriptorReserve
	if a.wire != load.HTTP {
		room /= 2 // each has a connection to the upstream
	}
	return max(min(a.idle, room), fewIdle)
}

// scenarios are all of them, in the order in which they are run.
func scenarios() []scenario {
	return slices.Concat(closedLoops(), encryptedLoops(), passedOn(), []scenario{
		fixedRate(), idleMemory(), idleTLS(), idleWebSockets(), reloadUnderLoad(), handshakeFlood(),
	})
}

// allScenarios stands for every scenario, on the command line.
const allScenarios = "all"

// choose finds scenarios by their names.
func choose(names []string) ([]scenario, error) {
	var known []string
	for _, s := range scenarios() {
		known = append(known, s.about().name)
	}
	for _, name := range names {
		if name != allScenarios && !slices.Contains(known, name) {
			return nil, unknown("scenario", name, append(known, allScenarios))
		}
	}
	var chosen []scenario
	for _, s := range scenarios() {
		a := s.about()
		if len(names) == 0 && !a.extra || slices.Contains(names, a.name) || slices.Contains(names, allScenarios) {
			chosen = append(chosen, s)
		}
	}
	return chosen, nil
}

// Listed is a scenario as it is listed.
type Listed struct {
	Name, Title, Load string
	Unit              result.Unit
	Extra             bool // not run unless it is asked for
}

// List tells all scenarios, with what the options make of them.
func List(o Options) []Listed {
	if o.Rounds == 0 {
		o.Rounds = DefaultRounds
	}
	var all []Listed
	for _, s := range scenarios() {
		a := s.about()
		all = append(all, Listed{a.name, a.title, s.words(&o), a.unit, a.extra})
	}
	return all
}
