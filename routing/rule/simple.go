package rule

import "slices"

// simple expands what most routes have: a conjunction whose conditions look at different things, so that there is
// nothing to decide. It gives what expand would, without its tables; there may be a hundred thousand routes.
func simple(e *Expr) (alternatives []Alternative, ok bool) {
	const most = 8
	terms := [...]*Expr{e}
	args := terms[:]
	if e.Op == OpAnd {
		args = e.Args
	}
	if len(args) > most {
		return nil, false
	}
	var host, path *Predicate
	var tests []Predicate
	for i, arg := range args {
		p, negated, plain := term(arg)
		switch {
		case !plain || slices.ContainsFunc(args[:i], func(other *Expr) bool { return sameSubject(other, p) }):
			return nil, false
		case p.always():
			if negated {
				return nil, false
			}
		case !negated && subjectKind(p.Kind) == Host:
			host = p
		case !negated && subjectKind(p.Kind) == Path:
			path = p
		case nested(p):
			return nil, false
		default:
			tests = append(tests, *p)
			tests[len(tests)-1].Not = negated
		}
	}
	slices.SortFunc(tests, func(a, b Predicate) int { return comparePredicates(&a, &b) })
	hosts, paths := host.count(), path.count()
	if hosts > MaxAlternatives/paths {
		return nil, false
	}
	alternatives = make([]Alternative, 0, hosts*paths)
	for i := range hosts {
		for j := range paths {
			alternatives = append(alternatives, Alternative{host.value(i), path.value(j), tests})
		}
	}
	return alternatives, true
}

// term takes a matcher, or the negation of one, apart.
func term(e *Expr) (p *Predicate, negated, ok bool) {
	if e.Op == OpNot {
		e, negated = e.Args[0], true
	}
	return &e.Pred, negated, e.Op == OpMatch
}

// sameSubject reports whether a term looks at what p looks at.
func sameSubject(e *Expr, p *Predicate) bool {
	q, _, _ := term(e)
	return subjectKind(p.Kind) == subjectKind(q.Kind) && p.Name == q.Name && !q.always() && !p.always()
}

// nested reports whether some of p's values may lie within others.
func nested(p *Predicate) bool {
	switch p.Kind {
	case Host, Path, PathPrefix, PathPrefixRaw, SNI, ClientIP:
		return len(p.Values)+len(p.Prefixes) > 1
	}
	return false
}

// always reports whether p fits every request.
func (p *Predicate) always() bool {
	return p.Kind == None || p.Kind == PathPrefix && p.Values[0] == ""
}

// count is how many alternatives p makes; 1 when there is no condition.
func (p *Predicate) count() int {
	if p == nil {
		return 1
	}
	return len(p.Values)
}

// value is p with its value i alone.
func (p *Predicate) value(i int) Predicate {
	if p == nil {
		return Predicate{}
	}
	return Predicate{Kind: p.Kind, Values: p.Values[i : i+1 : i+1]}
}
