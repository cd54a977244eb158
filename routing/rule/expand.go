package rule

import (
	"fmt"
	"slices"
)

// Expansion is a rule as alternatives.
type Expansion struct {
	Alternatives []Alternative
	// Impossible says, for each part of the rule that is in no alternative because nothing can fit it, why. There are
	// a few sentences at most.
	Impossible []string
}

// MaxAlternatives bounds what one rule may expand to.
const MaxAlternatives = 1 << 16

// Expand turns e into alternatives, in the order in which the rule has them: a request fits the rule if it fits one.
// Each is there once, and none that is another one with more tests. The error is an *Error: there would be more
// than MaxAlternatives, or fewer that are too long.
func (e *Expr) Expand() (Expansion, error) {
	if e == nil {
		return Expansion{Alternatives: []Alternative{{}}}, nil
	}
	if alternatives, ok := simple(e); ok {
		return Expansion{Alternatives: alternatives}, nil
	}
	return e.expand()
}

// expand is Expand for any rule.
func (e *Expr) expand() (Expansion, error) {
	x := newExpander()
	all, ok := x.conjunctions(e, false)
	if !ok {
		return Expansion{}, tooLarge(e)
	}
	c := collector{x: x, seen: map[choiceKey]struct{}{}, alive: map[int32]bool{}, values: map[atom]bool{}}
	for _, conj := range all {
		if !c.add(conj) {
			return Expansion{}, tooLarge(e)
		}
	}
	return Expansion{Alternatives: c.alternatives(), Impossible: c.impossible()}, nil
}

// choice is an alternative, with its tests by their index, in order.
type choice struct {
	host, path atom
	tests      []int32
}

type choiceKey struct {
	host, path atom
	tests      string
}

// collector gathers the alternatives of conjunctions.
type collector struct {
	x       *expander
	choices []choice
	seen    map[choiceKey]struct{}

	alive  map[int32]bool // literals that are in some alternative
	values map[atom]bool  // hosts and paths of alternatives
	dead   []dead         // hosts and paths that cannot fit
	failed []failure
}

// failure is a conjunction that nothing fits.
type failure struct {
	conj conjunction
	why  []dead
}

// add adds the alternatives of a conjunction. It is false when there are too many.
func (c *collector) add(conj conjunction) bool {
	hosts, paths := []part{{}}, []part{{}}
	var tests []int32
	var doomed []dead
	for _, s := range subjects(c.x.pick(conj)) {
		v, ok := c.x.judge(s)
		if !ok || !c.x.spend(len(v.tests)) {
			return false
		}
		split := s.kind == Host || s.kind == Path
		switch {
		case v.never != "":
			c.failed = append(c.failed, failure{conj, []dead{{why: v.never}}})
			return true
		case split && len(v.parts) == 0:
			c.failed = append(c.failed, failure{conj, v.dead})
			return true
		case s.kind == Host:
			hosts = v.parts
		case s.kind == Path:
			paths = v.parts
		}
		doomed = append(doomed, v.dead...)
		tests = append(tests, v.tests...)
	}
	for _, id := range conj {
		c.alive[id] = true
	}
	c.dead = append(c.dead, doomed...)
	return c.combine(hosts, paths, tests)
}

// combine adds an alternative for each host with each path. It is false when there are too many.
func (c *collector) combine(hosts, paths []part, tests []int32) bool {
	for _, h := range hosts {
		c.values[h.value] = true
		for _, p := range paths {
			c.values[p.value] = true
			all := slices.Concat(tests, h.tests, p.tests)
			if !c.x.spend(len(all)) {
				return false
			}
			slices.Sort(all)
			all = slices.Compact(all)
			key := choiceKey{h.value, p.value, idKey(all)}
			if _, ok := c.seen[key]; ok {
				continue
			}
			if len(c.choices) == MaxAlternatives {
				return false
			}
			c.seen[key] = struct{}{}
			c.choices = append(c.choices, choice{h.value, p.value, all})
		}
	}
	return true
}

// pick finds the literals of a conjunction.
func (x *expander) pick(conj conjunction) []*literal {
	literals := make([]*literal, len(conj))
	for i, id := range conj {
		literals[i] = x.literals[id]
	}
	return literals
}

// judge decides a subject, once for each set of literals. It is false when there is too much work.
func (x *expander) judge(s *subject) (*verdict, bool) {
	var ids []int32
	cost := 0
	for _, lit := range slices.Concat(s.pos, s.posR, s.neg, s.negR) {
		ids = append(ids, lit.id)
		cost += lit.cost
	}
	key := idKey(ids)
	if v := x.verdicts[key]; v != nil {
		return v, true
	}
	if !x.spend(cost) {
		return nil, false
	}
	decide := x.narrow
	switch s.kind {
	case Host, Path:
		decide = x.split
	case Header, Query, ALPN, CipherSuite, SNIRegexp, ClientCert:
		decide = x.weigh
	case CipherSuiteOnly:
		decide = x.enclose
	}
	v, ok := decide(s)
	x.verdicts[key] = &v
	return &v, ok
}

// impossible makes the sentences on parts of the rule that are in no alternative. A combination that fails is the
// user's concern only if some condition of it, or some value, is in no other one.
func (c *collector) impossible() []string {
	const most = 20
	sentences := slices.Clone(c.x.never)
	for _, f := range c.failed {
		if slices.ContainsFunc(f.conj, func(id int32) bool { return !c.alive[id] }) {
			for _, d := range f.why {
				sentences = append(sentences, d.why)
			}
		}
	}
	for _, d := range c.dead {
		if !c.values[d.value] {
			sentences = append(sentences, d.why)
		}
	}
	var list []string
	seen := map[string]bool{}
	for _, s := range sentences {
		if !seen[s] {
			seen[s] = true
			list = append(list, s)
		}
	}
	if len(list) > most {
		list = append(list[:most-1], fmt.Sprintf("and %d more like these", len(list)-most+1))
	}
	return list
}
