package rule

import (
	"cmp"
	"slices"
	"strings"
)

// subject is what a conjunction says of one thing of a request: its host, its path, the fields of one name...
type subject struct {
	kind Kind // the least of its kinds
	name string
	pos  []*literal // positive conditions on plain values, all of which must hold
	posR []*literal // positive conditions on expressions
	neg  []*literal // negative ones; none of their atoms may fit
	negR []*literal
}

// subjectKind is the kind by which the kinds that look at the same thing are grouped.
func subjectKind(k Kind) Kind {
	switch k {
	case HostRegexp:
		return Host
	case PathPrefix, PathPrefixRaw, PathRegexp:
		return Path
	case HeaderRegexp:
		return Header
	case QueryRegexp:
		return Query
	case ClientCertRegexp:
		return ClientCert
	}
	return k
}

// subjects groups the literals of a conjunction.
func subjects(literals []*literal) []*subject {
	type key struct {
		kind Kind
		name string
	}
	var list []*subject
	index := map[key]*subject{}
	for _, lit := range literals {
		k := key{subjectKind(lit.pred.Kind), lit.pred.Name}
		s := index[k]
		if s == nil {
			s = &subject{kind: k.kind, name: k.name}
			index[k] = s
			list = append(list, s)
		}
		group := &s.pos
		switch isRegexp := lit.pred.Kind.regexp(); {
		case isRegexp && lit.pred.Not:
			group = &s.negR
		case isRegexp:
			group = &s.posR
		case lit.pred.Not:
			group = &s.neg
		}
		*group = append(*group, lit)
	}
	return list
}

// atomsOf are the atoms of all literals, in order, each once.
func atomsOf(literals []*literal) []atom {
	var all []atom
	for _, lit := range literals {
		all = append(all, lit.atoms...)
	}
	slices.SortFunc(all, compareAtoms)
	return slices.Compact(all)
}

// without are those of atoms that are not in a set.
func without(atoms []atom, set atomSet) []atom {
	return slices.DeleteFunc(slices.Clone(atoms), func(a atom) bool {
		_, is := set[a]
		return is
	})
}

// fold is what all of the literals have in common; why says which of them have nothing.
func fold(literals []*literal) (common []atom, why string) {
	common = literals[0].atoms
	for i, lit := range literals[1:] {
		if common = intersect(common, lit.atoms); len(common) > 0 {
			continue
		}
		for _, before := range literals[:i+1] {
			if len(intersect(before.atoms, lit.atoms)) == 0 {
				return nil, conflict(before, lit)
			}
		}
		return nil, conflict(literals[:i+2]...)
	}
	return common, ""
}

// conflict is the sentence that conditions cannot hold together. They are named in the order of kinds.
func conflict(literals ...*literal) string {
	literals = slices.Clone(literals)
	slices.SortStableFunc(literals, func(a, b *literal) int { return comparePredicates(&a.pred, &b.pred) })
	var b strings.Builder
	for i, lit := range literals {
		switch {
		case i == 0:
		case i == len(literals)-1:
			b.WriteString(" and ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(lit.pred.brief())
	}
	if len(literals) == 2 {
		return b.String() + " cannot both hold"
	}
	return b.String() + " cannot all hold"
}

// single is the literal of one value, for sentences.
func single(name string, a atom) *literal {
	return &literal{pred: predicateOf(name, false, []atom{a})}
}

// rank is the place of a kind among tests: what costs least comes first.
var rank = [...]int{
	Method: 1, DestinationPort: 2, ClientIP: 3, Host: 4, Path: 5, PathPrefix: 6, PathPrefixRaw: 7, Header: 8, Query: 9,
	SNI: 10, ALPN: 11, TLSVersion: 12, CipherSuite: 13, CipherSuiteOnly: 14, JA4: 15, ClientCert: 16,
	HostRegexp: 17, SNIRegexp: 18, PathRegexp: 19, HeaderRegexp: 20, QueryRegexp: 21, ClientCertRegexp: 22,
}

// comparePredicates is the canonical order of tests.
func comparePredicates(a, b *Predicate) int {
	if c := cmp.Or(rank[a.Kind]-rank[b.Kind], compareBools(a.Not, b.Not), strings.Compare(a.Name, b.Name)); c != 0 {
		return c
	}
	return cmp.Or(slices.Compare(a.Values, b.Values), slices.CompareFunc(a.Prefixes, b.Prefixes, comparePrefixes),
		slices.Compare(a.Numbers, b.Numbers))
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
