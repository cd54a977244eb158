package routing

import (
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/uringproxy/uringproxy/routing/rule"
)

// Route is what a table is made of.
type Route struct {
	Name     string
	Priority int        // a greater one goes first
	Rule     *rule.Expr // nil: every request
	Target   int        // what Match returns; not negative
}

// Bounds of Route.Priority.
const (
	MinPriority = -1_000_000
	MaxPriority = 1_000_000
)

// Builder makes tables, one after the other: each differs from the one before by the routes that were set and deleted
// in between, and shares with it all that they do not touch. A Builder is for one goroutine.
type Builder struct {
	Table // as it is being changed
	edit  uint32

	routes     map[string]Route
	priorities map[int32]int // how many alternatives have it
	looks      [needBits]int // how many tests need what, by the bits of Needs
	streams    bool          // rules are those of tcp routes
	unsettled  []*spot
	uncompiled map[compiler]struct{}
	sets       map[string]*anyOf // of this edit's tests
}

// compiler is a set of patterns that have changed.
type compiler interface{ compile() error }

// NewBuilder makes a builder whose table is empty.
func NewBuilder() *Builder {
	return &Builder{
		edit: 1, routes: map[string]Route{}, priorities: map[int32]int{}, uncompiled: map[compiler]struct{}{},
		sets: map[string]*anyOf{},
	}
}

// NewStreamBuilder makes a builder of tables for MatchHello. Rules are those that rule.ParseStream reads, or are built
// of matchers of which Kind.Stream says yes; another is an error of Set. The server name takes the place of the host:
// conditions on it are found and ordered as others are by Host.
func NewStreamBuilder() *Builder {
	b := NewBuilder()
	b.streams = true
	return b
}

// Compile makes the table of routes, for once.
func Compile(routes []Route) (*Table, error) { return NewBuilder().compile(routes) }

// CompileStreams is Compile for NewStreamBuilder.
func CompileStreams(routes []Route) (*Table, error) { return NewStreamBuilder().compile(routes) }

func (b *Builder) compile(routes []Route) (*Table, error) {
	for _, r := range routes {
		if err := b.Set(r); err != nil {
			return nil, err
		}
	}
	return b.Build()
}

// Set adds r, or puts it in the place of the route that has its name. A route that cannot be compiled changes nothing.
func (b *Builder) Set(r Route) error {
	if r.Target < 0 || r.Target > math.MaxInt32 || r.Priority < MinPriority || r.Priority > MaxPriority {
		return fmt.Errorf("compile route %q: target %d or priority %d out of range", r.Name, r.Target, r.Priority)
	}
	alts, err := b.expand(r, b.set)
	if err != nil {
		return fmt.Errorf("compile route %q: %w", r.Name, err)
	}
	b.Delete(r.Name)
	b.routes[r.Name] = r
	for i := range alts {
		b.count(&alts[i], 1)
		b.at(&alts[i].Alternative, func(s *spot) { s.add(b, alts[i].alternative) })
	}
	return nil
}

// Delete takes the route of that name out, if there is one.
func (b *Builder) Delete(name string) {
	r, ok := b.routes[name]
	if !ok {
		return
	}
	alts, _ := b.expand(r, noSet) // it could be expanded when it was set
	for i := range alts {
		b.count(&alts[i], -1)
		b.at(&alts[i].Alternative, func(s *spot) { s.remove(b, &alts[i].alternative) })
	}
	delete(b.routes, name)
}

// Len is the number of routes.
func (b *Builder) Len() int { return len(b.routes) }

// Build returns the table of all routes. What the builder does afterwards leaves it as it is.
func (b *Builder) Build() (*Table, error) {
	for p := range b.uncompiled {
		if err := p.compile(); err != nil {
			return nil, fmt.Errorf("compile expressions: %w", err)
		}
	}
	for _, s := range b.unsettled {
		s.settle()
	}
	clear(b.uncompiled)
	clear(b.sets)
	b.unsettled = b.unsettled[:0]
	b.top = math.MinInt32
	for p := range b.priorities {
		b.top = max(b.top, p)
	}
	b.needs = 0
	for i, n := range b.looks {
		if n > 0 {
			b.needs |= 1 << i
		}
	}
	b.edit++
	t := b.Table
	return &t, nil
}

// placed is an alternative with the conditions that say where it is placed.
type placed struct {
	rule.Alternative
	alternative
}

// automata makes the automata of a test's own expressions.
type automata func(texts []string) (*anyOf, error)

// noSet is for alternatives that are to be found, and never to be matched.
func noSet([]string) (*anyOf, error) { return nil, nil }

// expand turns a route into alternatives, always in the same order.
func (b *Builder) expand(r Route, set automata) ([]placed, error) {
	e, err := b.placeable(r.Rule)
	if err != nil {
		return nil, err
	}
	x, err := e.Expand()
	if err != nil {
		return nil, err
	}
	all := make([]placed, len(x.Alternatives))
	for i := range all {
		p := &all[i]
		p.Alternative = x.Alternatives[i]
		p.alternative = alternative{
			spec: Specificity(&p.Alternative), name: r.Name, prio: int32(r.Priority), target: int32(r.Target),
			nth: int32(i), at: endOf(p.Path.Kind),
		}
		for j := range p.Alternative.Tests {
			t, err := newTest(&p.Alternative.Tests[j], set)
			if err != nil {
				return nil, err
			}
			p.tests = append(p.tests, t)
		}
	}
	return all, nil
}

// placeable is a rule as the table has it.
func (b *Builder) placeable(e *rule.Expr) (*rule.Expr, error) {
	if !b.streams {
		return e, nil
	}
	if kind, ok := notOfStreams(e); ok {
		return nil, fmt.Errorf("%s needs a request, and this is a tcp route", kind)
	}
	return e.OverHost(), nil
}

// notOfStreams finds a matcher that cannot be asked before there is a request.
func notOfStreams(e *rule.Expr) (kind rule.Kind, found bool) {
	if e == nil {
		return rule.None, false
	}
	for _, arg := range e.Args {
		if kind, found = notOfStreams(arg); found {
			return kind, true
		}
	}
	return e.Pred.Kind, e.Op == rule.OpMatch && e.Pred.Kind != rule.None && !e.Pred.Kind.Stream()
}

func endOf(path rule.Kind) end {
	switch path {
	case rule.Path:
		return endHere
	case rule.PathPrefix:
		return endSegment
	}
	return endAny
}

func newTest(p *rule.Predicate, set automata) (test, error) {
	t := test{Predicate: p}
	switch p.Kind {
	case rule.HostRegexp, rule.PathRegexp, rule.HeaderRegexp, rule.QueryRegexp, rule.SNIRegexp, rule.ClientCertRegexp:
		var err error
		t.set, err = set(p.Values)
		return t, err
	case rule.ClientIP:
		if len(p.Prefixes) > few {
			t.Predicate = &rule.Predicate{Kind: p.Kind, Not: p.Not, Prefixes: disjoint(p.Prefixes)}
		}
	}
	return t, nil
}

// disjoint leaves out prefixes that others contain, and sorts the rest.
func disjoint(prefixes []netip.Prefix) []netip.Prefix {
	sorted := slices.Clone(prefixes)
	slices.SortFunc(sorted, netip.Prefix.Compare)
	var all []netip.Prefix
	for _, p := range sorted {
		if n := len(all); n == 0 || !all[n-1].Overlaps(p) {
			all = append(all, p)
		}
	}
	return all
}

// set shares automata among all tests of an edit that have the same expressions.
func (b *Builder) set(texts []string) (*anyOf, error) {
	key := fmt.Sprintf("%q", texts)
	if s := b.sets[key]; s != nil {
		return s, nil
	}
	s, err := compileAnyOf(texts)
	if err == nil {
		b.sets[key] = s
	}
	return s, err
}

// count notes what an alternative that comes, or goes, means to the table as a whole.
func (b *Builder) count(p *placed, by int) {
	if b.priorities[p.prio] += by; b.priorities[p.prio] == 0 {
		delete(b.priorities, p.prio)
	}
	for i := range p.tests {
		b.look(p.tests[i].needs(), by)
		if b.streams {
			b.look(helloNeeds(p.tests[i].Kind), by)
		}
	}
	if b.streams {
		b.look(helloNeeds(p.Host.Kind), by)
	}
}

func (b *Builder) look(at Needs, by int) {
	for bit := range b.looks {
		if at>>bit&1 != 0 {
			b.looks[bit] += by
		}
	}
}

// helloNeeds says what a condition in the place of the host looks at, in the rule of a tcp route.
func helloNeeds(k rule.Kind) Needs {
	if k == rule.Host || k == rule.HostRegexp {
		return needHello
	}
	return 0
}
