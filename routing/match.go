package routing

import "math/bits"

// Match returns the target of the route that r takes, or -1: the one that goes first of all that fit. It may be called
// from any goroutine; it allocates nothing, except where a value of a query longer than 2 KiB, with escapes, meets an
// expression, or where an expression is loose (see regset).
//
// The most specific hosts and paths are tried first, and trying ends as soon as nothing can go before what was found.
func (t *Table) Match(r *Request) int {
	m := match{subject: subject{Request: r, name: canonicalHost(r.Host, &r.host)}, top: t.top}
	if len(m.name) > 0 {
		for b := t.hosts.find(textHash(m.name)); b != nil; b = b.twin {
			if string(m.name) == b.name {
				m.bucket(b)
				break
			}
		}
		if t.wild != nil && !m.done() {
			m.wildcards(t.wild)
		}
	}
	if t.hostPatterns != nil && !m.done() {
		for _, g := range t.hostPatterns.groups {
			for set := g.set.Match(m.name); set != 0; set &= set - 1 {
				m.bucket(g.values[g.places[bits.TrailingZeros64(set)]])
			}
		}
	}
	if t.any != nil && !m.done() {
		m.bucket(t.any)
	}
	if m.best == nil {
		return -1
	}
	return int(m.best.target)
}

// match is one search.
type match struct {
	subject
	best *alternative
	top  int32 // the greatest priority in the table

	later  [8]*patterns[spot] // those met on the way down a path
	laters int
	random bool // hosts are not tried in the order of their specificity just now
}

// done reports whether nothing in a less specific place can go before what was found.
func (m *match) done() bool { return m.best != nil && m.best.prio >= m.top && !m.random }

// wildcards tries the wildcards that the host fits, from the longest on.
func (m *match) wildcards(root *node[wildcard]) {
	var reversed [maxHost]byte
	n := len(m.name)
	for i, c := range m.name {
		reversed[n-1-i] = c
	}
	type found struct {
		*wildcard
		more bool // more than one label stands for the wildcard
	}
	var stack [8]found
	depth := 0
	name := reversed[:n]
	for at := root.next(name); at != nil; at = at.next(name) {
		if at.value == nil {
			continue
		}
		if !at.begins(name) {
			break
		}
		rest := name[len(at.text):]
		if len(rest) < 2 || rest[0] != '.' {
			continue
		}
		f := found{at.value, hasDot(rest[1:])}
		if depth == len(stack) {
			m.random = true
			m.wildcard(stack[0].wildcard, stack[0].more)
			copy(stack[:], stack[1:])
			depth--
		}
		stack[depth] = f
		depth++
	}
	for ; depth > 0 && !m.done(); depth-- {
		m.wildcard(stack[depth-1].wildcard, stack[depth-1].more)
	}
	m.random = false
}

func (m *match) wildcard(w *wildcard, more bool) {
	if w.star != nil && !more {
		m.bucket(w.star)
	}
	if w.deep != nil && !m.done() {
		m.bucket(w.deep)
	}
}

// bucket tries the paths of one host pattern.
func (m *match) bucket(b *bucket) {
	m.laters = 0
	for at := &b.paths; at != nil; at = at.next(m.Path) {
		if at.value == nil {
			continue
		}
		if !at.begins(m.Path) {
			break
		}
		m.spot(at.value, ends(m.Path[len(at.text):]))
	}
	if m.laters == 0 || m.done() && m.best.spec>>pathShift&rankExact > rankRegexp {
		return
	}
	for _, p := range m.later[:m.laters] {
		m.visitPatterns(p, m.Path, endAny)
	}
}

// spot tries what stands at a node that the path has led to. Expressions wait until all prefixes have been tried, which
// go before them.
func (m *match) spot(s *spot, here end) {
	m.best = m.first(s.alts, here, m.best)
	if s.index != nil {
		m.look(s.index, here)
	}
	if s.patterns == nil {
		return
	}
	if m.laters == len(m.later) {
		m.visitPatterns(s.patterns, m.Path, endAny)
		return
	}
	m.later[m.laters] = s.patterns
	m.laters++
}

// visitPatterns tries what stands under the expressions that match b.
func (m *match) visitPatterns(p *patterns[spot], b []byte, here end) {
	for _, g := range p.groups {
		for set := g.set.Match(b); set != 0; set &= set - 1 {
			s := g.values[g.places[bits.TrailingZeros64(set)]]
			m.best = m.first(s.alts, here, m.best)
			if s.index != nil {
				m.look(s.index, here)
			}
		}
	}
}
