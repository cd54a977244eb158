package routing

import (
	"math"
	"slices"
	"sort"

	"github.com/uringproxy/uringproxy/routing/rule"
)

// spot is all that stands at one place of a table: at a node of a path tree, under an expression, under a key of an
// index. It is persistent as node is.
type spot struct {
	alts     []alternative   // by precedence, once the edit is over
	index    *index          // those that one equality tells apart, where there are many; nil: none
	patterns *patterns[spot] // those whose paths an expression describes; nil: none
	edit     uint32
	dead     uint16         // how many of alts have been taken away; they fit nothing, and go when there is time
	unsorted bool           // alts are in no order
	noted    bool           // among Builder.unsettled
	room     [1]alternative // for the first of alts, since mostly there is one
}

// crowd is the number of alternatives from which on a spot has an index.
const crowd = 16

// own is s if it belongs to edit, else a copy that does; of nil, a new one.
func (s *spot) own(edit uint32) *spot {
	if s == nil {
		return &spot{edit: edit}
	}
	if s.edit == edit {
		return s
	}
	c := *s
	c.claim(edit)
	return &c
}

// claim makes s, which may be a copy, belong to edit.
func (s *spot) claim(edit uint32) {
	if s.edit == edit {
		return
	}
	if s.edit = edit; s.alts != nil {
		s.alts = slices.Clone(s.alts)
		s.room = [1]alternative{}
	}
}

// add puts a to the others.
func (s *spot) add(b *Builder, a alternative) {
	if s.index != nil {
		s.index = s.index.own(b.edit)
		if s.index.add(b, a) {
			return
		}
	}
	s.push(b, a)
	if s.index != nil || len(s.alts) <= crowd {
		return
	}
	s.index = &index{edit: b.edit}
	all := s.alts
	s.alts, s.dead = nil, 0
	for _, a := range all {
		if a.at != endNowhere && !s.index.add(b, a) {
			s.push(b, a)
		}
	}
}

// push adds a to the alternatives that are tried one after the other.
func (s *spot) push(b *Builder, a alternative) {
	if n := len(s.alts); n > 0 && a.before(&s.alts[n-1]) {
		s.unsorted = true
		s.note(b)
	}
	if s.alts == nil {
		s.alts = s.room[:0]
	}
	s.alts = append(s.alts, a)
}

// note has the spot settled at the end of the edit.
func (s *spot) note(b *Builder) {
	if !s.noted {
		s.noted = true
		b.unsettled = append(b.unsettled, s)
	}
}

// settle brings what an edit has changed into the form in which it is searched.
func (s *spot) settle() {
	s.bury()
	if s.unsorted {
		slices.SortFunc(s.alts, func(x, y alternative) int { return x.compare(&y) })
	}
	s.unsorted, s.noted = false, false
}

// bury closes the gaps that dead alternatives have left.
func (s *spot) bury() {
	if s.dead > 0 {
		s.alts = slices.DeleteFunc(s.alts, func(a alternative) bool { return a.at == endNowhere })
		s.dead = 0
	}
}

// remove takes a away. Gaps are closed many at a time, so that it costs little to take all of a crowd away.
func (s *spot) remove(b *Builder, a *alternative) {
	i := s.position(a)
	if i < 0 {
		s.index = s.index.own(b.edit)
		s.index.remove(b, a)
		return
	}
	if len(s.alts) <= crowd {
		s.bury()
		i = s.position(a)
		s.alts = slices.Delete(s.alts, i, i+1)
		return
	}
	s.alts[i].at = endNowhere
	s.alts[i].tests = nil
	s.note(b)
	if s.dead++; s.dead == math.MaxUint16 || 2*int(s.dead) > len(s.alts) {
		s.bury()
	}
}

// position is the index of a, or -1.
func (s *spot) position(a *alternative) int {
	first := 0
	if !s.unsorted {
		first = sort.Search(len(s.alts), func(i int) bool { return s.alts[i].compare(a) >= 0 })
	}
	for i := first; i < len(s.alts); i++ {
		have := &s.alts[i]
		switch {
		case have.is(a) && have.at != endNowhere:
			return i
		case !s.unsorted && !have.is(a):
			return -1
		}
	}
	return -1
}

func (s *spot) empty() bool {
	return len(s.alts) == int(s.dead) && (s.index == nil || s.index.count == 0) &&
		(s.patterns == nil || s.patterns.empty())
}

// change applies do to the spot under an expression, and takes the expression out when nothing is left.
func (s *spot) change(b *Builder, text string, do func(*spot)) {
	if s.patterns == nil {
		s.patterns = &patterns[spot]{edit: b.edit}
	}
	s.patterns = changePattern(b, s.patterns, text, do)
	if s.patterns.empty() {
		delete(b.uncompiled, s.patterns)
		s.patterns = nil
	}
}

// changePattern is spot.change for the patterns p.
func changePattern(b *Builder, p *patterns[spot], text string, do func(*spot)) *patterns[spot] {
	p = p.own(b.edit)
	b.uncompiled[p] = struct{}{}
	under := p.get(text).own(b.edit)
	if do(under); under.empty() {
		under = nil
	}
	p.set(text, under, b.edit)
	return p
}

// first is the alternative that goes first of those that fit and go before best; best if there is none.
func (s *subject) first(alts []alternative, here end, best *alternative) *alternative {
	for i := range alts {
		a := &alts[i]
		if counting {
			effort.alternatives.Add(1)
		}
		if best != nil && !a.before(best) {
			break
		}
		if a.at&here != 0 && s.fit(a.tests) {
			return a
		}
	}
	return best
}

// keyed reports whether an index can file alternatives under the values of a test.
func keyed(t *test) bool {
	if t.Not {
		return false
	}
	switch t.Kind {
	case rule.Header, rule.Query, rule.Method, rule.ClientIP, rule.JA4, rule.ClientCert:
		return true
	case rule.HeaderRegexp:
		return len(t.Values) == 1
	case rule.DestinationPort:
		return singlePorts(t.Numbers)
	case rule.SNI:
		return !slices.ContainsFunc(t.Values, func(v string) bool { return v[0] == '*' })
	}
	return false
}

// singlePorts reports whether each range is one port.
func singlePorts(ranges []uint16) bool {
	for i := 0; i < len(ranges); i += 2 {
		if ranges[i] != ranges[i+1] {
			return false
		}
	}
	return true
}
