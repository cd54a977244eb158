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
		m.names(t)
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

// wild is a wildcard that the host fits.
type wild struct {
	*wildcard
	more bool // more than one label stands for the star
}

// names tries the host's exact name and then the wildcards that it fits, from the longest on.
func (m *match) names(t *Table) {
	var fitting [8]wild
	n, labels := 0, 0
	h := uint64(hashSeed)
	for i := len(m.name) - 1; i >= 0; i-- {
		if m.name[i] == '.' {
			if labels++; t.labels&bit(labels) != 0 {
				if w := t.suffixes.find(hashEnd(h), m.name[i+1:]); w != nil {
					if n == len(fitting) {
						m.random = true
						m.wildcard(fitting[0])
						n = copy(fitting[:], fitting[1:])
					}
					fitting[n] = wild{w, hasDot(m.name[:i])}
					n++
				}
			}
		}
		h = hashByte(h, m.name[i])
	}
	if b := t.hosts.find(hashEnd(h), m.name); b != nil {
		m.bucket(b)
	}
	for ; n > 0 && !m.done(); n-- {
		m.wildcard(fitting[n-1])
	}
	m.random = false
}

func (m *match) wildcard(w wild) {
	if w.star != nil && !w.more {
		m.bucket(w.star)
	}
	if w.deep != nil && !m.done() {
		m.bucket(w.deep)
	}
}

// bucket tries the paths of one host pattern.
func (m *match) bucket(b *bucket) {
	m.laters = 0
	m.spot(&b.root, endAny)
	if b.slashes != 0 {
		m.segments(b)
	}
	for at := b.tree; at != nil; at = at.next(m.Path) {
		if at.value == nil {
			continue
		}
		if !at.begins(m.Path) {
			break
		}
		m.spot(at.value, endAny)
	}
	if m.laters == 0 || m.done() && m.best.spec>>pathShift&rankExact > rankRegexp {
		return
	}
	for _, p := range m.later[:m.laters] {
		m.visitPatterns(p, m.Path, endAny)
	}
}

// segments tries the path, and what it begins with up to each slash.
func (m *match) segments(b *bucket) {
	slashes := 0
	h := uint64(hashSeed)
	for i, c := range m.Path {
		if c == '/' {
			if b.slashes&bit(slashes) != 0 {
				if s := b.segments.find(hashEnd(h), m.Path[:i]); s != nil {
					m.spot(s, endSegment)
				}
			}
			slashes++
		}
		h = hashByte(h, c)
	}
	if b.slashes&bit(slashes) != 0 {
		if s := b.segments.find(hashEnd(h), m.Path); s != nil {
			m.spot(s, endSegment|endHere)
		}
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
