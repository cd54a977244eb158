package routing

import "math/bits"

// Match returns the target of the route that r takes, or -1: the one that goes first of all that fit. It may be called
// from any goroutine; it allocates nothing, except where a value of a query longer than 2 KiB, with escapes, meets an
// expression, or where an expression is loose (see regset).
//
// The most specific hosts and paths are tried first, and trying ends as soon as nothing can go before what was found.
func (t *Table) Match(r *Request) int {
	m := match{subject: subject{Request: r, name: canonicalHost(r.Host, &r.host)}, top: t.top}
	return m.search(t)
}

// MatchHello is Match for a table of a stream builder: it returns the target of the tcp route that a connection takes
// when all that is known of it is its ClientHello, r.TLS, and its addresses, r.Client and r.Port. The rest of r is not
// looked at. The server name must be as Hello has it; a client that named none fits only what asks for no name. With a
// nil TLS, for a client that speaks no TLS and for datagrams, no matcher of TLS fits. It allocates nothing, with the
// exception of loose expressions.
func (t *Table) MatchHello(r *Request) int {
	m := match{subject: helloSubject(r), top: t.top}
	return m.search(t)
}

// search finds the target of what goes first of all that fit.
func (m *match) search(t *Table) int {
	if len(m.name) > 0 {
		m.names(t)
	}
	if t.hostPatterns != nil && !m.silent && !m.done() {
		m.random = true
		for _, g := range t.hostPatterns.groups {
			for set := g.set.Match(m.name); set != 0; set &= set - 1 {
				m.bucket(g.values[g.places[bits.TrailingZeros64(set)]])
			}
		}
		m.random = false
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
	random bool // hosts are not tried in an order just now, or are equally specific
}

// done reports whether nothing in a less specific place can go before what was found.
func (m *match) done() bool { return m.best != nil && m.best.prio >= m.top && !m.random }

// names tries the host's exact name and then the wildcards that it fits, from the longest on.
func (m *match) names(t *Table) {
	var fitting [8]*bucket
	n, labels := 0, 0
	h := uint64(hashSeed)
	found := func(b *bucket) {
		if b == nil {
			return
		}
		if n == len(fitting) {
			m.random = true
			m.bucket(fitting[0])
			n = copy(fitting[:], fitting[1:])
		}
		fitting[n] = b
		n++
	}
	for i := len(m.name) - 1; i >= 0; i-- {
		if m.name[i] == '.' {
			labels++
			if t.deeps.labels&bit(labels) != 0 {
				found(t.deeps.find(hashEnd(h), m.name[i+1:]))
			}
			if t.stars.labels&bit(labels) != 0 && !hasDot(m.name[:i]) {
				found(t.stars.find(hashEnd(h), m.name[i+1:]))
			}
		}
		h = hashByte(h, m.name[i])
	}
	if b := t.hosts.find(hashEnd(h), m.name); b != nil {
		m.bucket(b)
	}
	for ; n > 0 && !m.done(); n-- {
		m.bucket(fitting[n-1])
	}
	m.random = false
}

// bucket tries the paths of one host pattern.
func (m *match) bucket(b *bucket) {
	m.laters = 0
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
	if !m.done() {
		m.spot(&b.root, endAny)
	}
	if m.laters == 0 || m.done() && m.best.spec>>pathShift&rankExact > rankRegexp {
		return
	}
	for _, p := range m.later[:m.laters] {
		m.visitPatterns(p, m.Path, endAny)
	}
}

// segments tries the whole path, and then what it begins with up to each slash, the longest first.
func (m *match) segments(b *bucket) {
	var ends [16]struct {
		hash uint64
		at   int
	}
	n, slashes, all := 0, 0, false
	h := uint64(hashSeed)
	for i, c := range m.Path {
		if c == '/' {
			if b.slashes&bit(slashes) != 0 {
				if n == len(ends) {
					all = true // since the shortest goes first now
					m.segment(b, ends[0].hash, ends[0].at)
					n = copy(ends[:], ends[1:])
				}
				ends[n].hash, ends[n].at = hashEnd(h), i
				n++
			}
			slashes++
		}
		h = hashByte(h, c)
	}
	if b.slashes&bit(slashes) != 0 {
		m.segment(b, hashEnd(h), len(m.Path))
	}
	for ; n > 0 && (all || !m.done()); n-- {
		m.segment(b, ends[n-1].hash, ends[n-1].at)
	}
}

// segment tries the first at bytes of the path, which have that hash.
func (m *match) segment(b *bucket, hash uint64, at int) {
	if s := b.segments.find(hash, m.Path[:at]); s != nil {
		m.spot(s, ends(m.Path[at:]))
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
