package rule

import "slices"

// enclose decides a subject of which a request has a set, not empty, that must lie within each positive list of values,
// and within no negative one: the suites that a client offers. It is false when there is too much work.
func (x *expander) enclose(s *subject) (v verdict, ok bool) {
	n := min(mostClauses, len(s.pos)+len(s.neg))
	if !x.spend(n * n) {
		return v, false
	}
	var common []atom
	if len(s.pos) > 0 {
		var why string
		if common, why = fold(s.pos); why != "" {
			return verdict{never: why}, true
		}
		if v.tests, ok = x.addTests(nil, s.name, false, common); !ok {
			return v, false
		}
	}
	var negative [][]atom
	for _, lit := range s.neg {
		list := lit.atoms
		if len(s.pos) > 0 {
			list = intersect(list, common)
		}
		switch {
		case len(s.pos) > 0 && len(list) == len(common):
			return verdict{never: conflict(append(slices.Clone(s.pos), lit)...)}, true
		case len(list) > 0:
			negative = append(negative, list)
		}
	}
	for _, list := range widestLists(negative) {
		if v.tests, ok = x.addTests(v.tests, s.name, true, list); !ok {
			return v, false
		}
	}
	return v, true
}

// widestLists leaves out what lies within another list: a set that is not within the wider one is not within this one
// either. Of equal ones, the first stays. Lists so many that nobody wrote them stay as they are.
func widestLists(lists [][]atom) (kept [][]atom) {
	if len(lists) < 2 || len(lists) > mostClauses {
		return lists
	}
	sets := make([]atomSet, len(lists))
	for i, list := range lists {
		sets[i] = setOf(list)
	}
	for i, list := range lists {
		needless := false
		for by := range lists {
			within := by != i && sets[by].coversAll(list)
			needless = needless || within && (by < i || !sets[i].coversAll(lists[by]))
		}
		if !needless {
			kept = append(kept, list)
		}
	}
	return kept
}
