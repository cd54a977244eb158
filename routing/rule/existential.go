package rule

import "slices"

// weigh decides a subject of which a request can have several values, any of which may fit: fields and parameters of
// one name, protocols, suites. It is false when there is too much work.
func (x *expander) weigh(s *subject) (v verdict, ok bool) {
	n := min(mostClauses, len(s.pos)+len(s.posR))
	if !x.spend(n * n) {
		return v, false
	}
	negative := widest(atomsOf(s.neg))
	refused := atomsOf(s.negR)
	absent := len(negative) > 0 && negative[0].any
	if absent {
		refused = nil
	}
	negations, excluded := slices.Concat(s.neg, s.negR), setOf(negative)
	clauses := [2][][]atom{}
	for i, literals := range [2][]*literal{s.pos, s.posR} {
		for _, lit := range literals {
			left := x.possible(lit, excluded, refused)
			if len(left) == 0 {
				return verdict{never: x.refuted(lit, negations)}, true
			}
			clauses[i] = append(clauses[i], left)
		}
	}
	plain, expressions := x.unimplied(clauses[0], clauses[1])
	for _, c := range slices.Concat(plain, expressions) {
		if v.tests, ok = x.addTests(v.tests, s.name, false, c); !ok {
			return v, false
		}
	}
	if v.tests, ok = x.addTests(v.tests, s.name, true, negative); !ok {
		return v, false
	}
	v.tests, ok = x.addTests(v.tests, s.name, true, refused)
	return v, ok
}

// possible are the values of a positive condition that no negative one excludes.
func (x *expander) possible(lit *literal, negative atomSet, refused []atom) []atom {
	return slices.DeleteFunc(slices.Clone(lit.atoms), func(a atom) bool {
		if a.kind.regexp() {
			_, is := slices.BinarySearchFunc(refused, a, compareAtoms)
			return is || negative.covers(atom{kind: subjectKind(a.kind), any: true})
		}
		return negative.covers(a) || !x.regexps.spent() && slices.ContainsFunc(refused, func(r atom) bool {
			matches, known := x.regexps.decide(r.text, a)
			return known && matches
		})
	})
}

// refuted is the sentence for a positive condition without a possible value.
func (x *expander) refuted(lit *literal, negations []*literal) string {
	for _, n := range negations {
		negative, refused := setOf(n.atoms), n.atoms
		if n.pred.Kind.regexp() {
			negative = nil
		} else {
			refused = nil
		}
		if len(x.possible(lit, negative, refused)) == 0 {
			return conflict(lit, n)
		}
	}
	return conflict(append(slices.Clone(negations), lit)...)
}

// unimplied leaves out the positive conditions that follow from others.
func (x *expander) unimplied(plain, expressions [][]atom) (p, e [][]atom) {
	p, e = leaveOut(plain), leaveOut(expressions)
	if len(e) > 0 {
		p = slices.DeleteFunc(p, func(c []atom) bool { return c[0].any })
	}
	e = slices.DeleteFunc(e, func(c []atom) bool {
		return slices.ContainsFunc(p, func(by []atom) bool { return x.allMatch(by, c) })
	})
	return p, e
}

// mostClauses bounds how many conditions on one subject are compared with one another.
const mostClauses = 64

// leaveOut leaves out what is implied by another. Of those that imply each other, the first stays. A list so long that
// nobody wrote it stays as it is.
func leaveOut(clauses [][]atom) (kept [][]atom) {
	if len(clauses) < 2 || len(clauses) > mostClauses {
		return clauses
	}
	sets := make([]atomSet, len(clauses))
	for i, c := range clauses {
		sets[i] = setOf(c)
	}
	implied := func(i, by int) bool { return sets[i].coversAll(clauses[by]) }
	for i, c := range clauses {
		needless := false
		for by := range clauses {
			needless = needless || by != i && implied(i, by) && (by < i || !implied(by, i))
		}
		if !needless {
			kept = append(kept, c)
		}
	}
	return kept
}

// allMatch reports whether each of values matches one of the expressions.
func (x *expander) allMatch(values, expressions []atom) bool {
	for _, v := range values {
		if x.regexps.spent() || !slices.ContainsFunc(expressions, func(e atom) bool {
			matches, known := x.regexps.decide(e.text, v)
			return known && matches
		}) {
			return false
		}
	}
	return true
}
