package routing

import (
	"net/netip"
	"slices"

	"github.com/uringproxy/uringproxy/routing/rule"
)

// index finds the alternatives of a crowded spot by what a request says, instead of trying one after the other: each is
// filed under the values of one of its tests, that which fewest others share. It is persistent as node is.
type index struct {
	keys  hashMap[spot] // by the hash of kind, name and value
	names hashMap[use]  // by the hash of kind and name, for fields and queries: which are worth a look
	kinds [rule.Kinds]int32
	bits  [2][129]int32 // of client prefixes, IPv4 and IPv6: how many have that length
	count int
	edit  uint32
}

// use is what an index has under the name of a field or of a query's key.
type use struct {
	filed    int32
	patterns *patterns[spot]
}

func (x *index) own(edit uint32) *index {
	if x.edit == edit {
		return x
	}
	c := *x
	c.edit = edit
	return &c
}

// add files a, and reports false when it has no test that it could be filed under.
func (x *index) add(b *Builder, a alternative) bool {
	best, least := -1, 0
	for i := range a.tests {
		if t := &a.tests[i]; keyed(t) {
			if n := x.crowding(t); best < 0 || n < least {
				best, least = i, n
			}
		}
	}
	if best < 0 {
		return false
	}
	x.count++
	t := &a.tests[best]
	x.note(b, t, 1)
	filed := a
	if t.Kind == rule.HeaderRegexp { // whoever is found under an expression needs no test of it
		filed.tests = slices.Delete(slices.Clone(a.tests), best, best+1)
	}
	x.change(b, t, func(s *spot) { s.push(b, filed) })
	return true
}

// change applies do to the spots under all values of t.
func (x *index) change(b *Builder, t *test, do func(*spot)) {
	if t.Kind == rule.HeaderRegexp {
		h := namedHash(t)
		u := *x.names.find(h)
		if u.patterns == nil {
			u.patterns = &patterns[spot]{edit: b.edit}
		}
		u.patterns = changePattern(b, u.patterns, t.Values[0], do)
		x.names.set(h, &u, b.edit)
		return
	}
	for _, h := range keys(t) {
		s := x.keys.find(h).own(b.edit)
		if do(s); s.empty() {
			s = nil
		}
		x.keys.set(h, s, b.edit)
	}
}

// crowding is how many alternatives share the most common value of t. Looking for an expression costs more than for a
// value.
func (x *index) crowding(t *test) int {
	most := 0
	x.under(t, func(s *spot) { most = max(most, len(s.alts)) })
	if t.Kind == rule.HeaderRegexp {
		most += crowd
	}
	return most
}

// under calls do with each spot that there is under the values of t.
func (x *index) under(t *test, do func(*spot)) {
	if t.Kind == rule.HeaderRegexp {
		if u := x.names.find(namedHash(t)); u != nil && u.patterns != nil {
			if s := u.patterns.get(t.Values[0]); s != nil {
				do(s)
			}
		}
		return
	}
	for _, h := range keys(t) {
		if s := x.keys.find(h); s != nil {
			do(s)
		}
	}
}

// remove takes a away, which must be there.
func (x *index) remove(b *Builder, a *alternative) {
	t := x.filedUnder(a)
	x.change(b, t, func(s *spot) { s.remove(b, a) })
	x.note(b, t, -1)
	x.count--
}

// filedUnder is the test under all of whose values a is found: where values of one test are among another's, the one
// with most.
func (x *index) filedUnder(a *alternative) (under *test) {
	most := 0
	for i := range a.tests {
		t := &a.tests[i]
		if !keyed(t) {
			continue
		}
		found := 0
		x.under(t, func(s *spot) {
			if s.position(a) >= 0 {
				found++
			}
		})
		if found > most && found == max(1, len(t.Values)+len(t.Prefixes)+len(t.Numbers)/2) {
			most, under = found, t
		}
	}
	return under
}

// note counts that one more, or one less, is filed under t.
func (x *index) note(b *Builder, t *test, by int32) {
	x.kinds[t.Kind] += by
	switch t.Kind {
	case rule.Header, rule.HeaderRegexp, rule.Query:
		h := namedHash(t)
		var u use
		if have := x.names.find(h); have != nil {
			u = *have
		}
		if u.filed += by; u.filed == 0 {
			x.names.set(h, nil, b.edit)
		} else {
			x.names.set(h, &u, b.edit)
		}
	case rule.ClientIP:
		for _, p := range t.Prefixes {
			x.bits[family(p.Addr())][p.Bits()] += by
		}
	}
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// Hashes of what alternatives are filed under. A field of a request, or a pair of its query, continues the hash of its
// name with its value; presence is filed under a value that none can have.
const presence = "\x00"

func namedHash(t *test) uint64 {
	kind := t.Kind
	if kind == rule.HeaderRegexp {
		kind = rule.Header
	}
	return hashBytes(kindHash(kind), t.Name)
}

func kindHash(k rule.Kind) uint64 { return hashByte(hashSeed, byte(k)) }

// keys are the hashes of all values of a test that is keyed and no expression.
func keys(t *test) []uint64 {
	var all []uint64
	if t.Kind == rule.ClientIP {
		for _, p := range t.Prefixes {
			all = append(all, prefixHash(p))
		}
		return all
	}
	if t.Kind == rule.DestinationPort {
		for i := 0; i < len(t.Numbers); i += 2 {
			all = append(all, hashEnd(portHash(t.Numbers[i])))
		}
		return all
	}
	h := kindHash(t.Kind)
	if t.Kind == rule.Header || t.Kind == rule.Query {
		h = hashByte(namedHash(t), 0)
		if len(t.Values) == 0 {
			return append(all, hashEnd(hashBytes(h, presence)))
		}
	}
	for _, v := range t.Values {
		all = append(all, hashEnd(hashBytes(h, v)))
	}
	return all
}

// portHash is the hash of a port, not ended yet.
func portHash(port uint16) uint64 {
	return hashByte(hashByte(kindHash(rule.DestinationPort), byte(port>>8)), byte(port))
}

func prefixHash(p netip.Prefix) uint64 {
	h := hashByte(kindHash(rule.ClientIP), byte(p.Bits()))
	a := p.Addr().As16()
	return hashEnd(hashBytes(h, a[:]))
}
