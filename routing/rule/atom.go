package rule

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// atom is one value of a predicate: a set of hosts, of paths, of addresses and so on. Two atoms of one subject are
// equal, or one lies within the other, or they have nothing in common; expressions are the exception.
type atom struct {
	kind   Kind
	any    bool // Header and Query without a value: present
	text   string
	prefix netip.Prefix
	number uint16
	bits   uint8 // DestinationPort: number is the first of 2^bits ports
}

// atoms are the values of p, in order.
func (p *Predicate) atoms() []atom {
	var list []atom
	for _, v := range p.Values {
		list = append(list, atom{kind: p.Kind, text: v})
	}
	for _, v := range p.Prefixes {
		list = append(list, atom{kind: p.Kind, prefix: v})
	}
	if p.Kind == DestinationPort {
		for first, bits := range PortBlocks(p.Numbers) {
			list = append(list, atom{kind: p.Kind, number: first, bits: uint8(bits)})
		}
		return list
	}
	for _, v := range p.Numbers {
		list = append(list, atom{kind: p.Kind, number: v})
	}
	if len(list) == 0 {
		list = append(list, atom{kind: p.Kind, any: true})
	}
	return list
}

// predicateOf is the predicate that has atoms of one kind as its values.
func predicateOf(name string, negated bool, atoms []atom) Predicate {
	p := Predicate{Kind: atoms[0].kind, Not: negated, Name: name}
	for _, a := range atoms {
		switch {
		case a.any:
		case a.prefix.IsValid():
			p.Prefixes = append(p.Prefixes, a.prefix)
		case a.kind == DestinationPort:
			p.Numbers = append(p.Numbers, a.number, a.number+(1<<a.bits-1))
		case a.kind == TLSVersion || a.kind == CipherSuite || a.kind == CipherSuiteOnly:
			p.Numbers = append(p.Numbers, a.number)
		default:
			p.Values = append(p.Values, a.text)
		}
	}
	p.normalize()
	return p
}

func compareAtoms(a, b atom) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), strings.Compare(a.text, b.text), comparePrefixes(a.prefix, b.prefix),
		cmp.Compare(a.number, b.number), cmp.Compare(a.bits, b.bits))
}

// around calls yield with a, and with every other atom that a lies within, until yield returns false.
func (a atom) around(yield func(atom) bool) {
	if !yield(a) {
		return
	}
	switch a.kind {
	case Host, SNI:
		a.aroundHost(yield)
	case Path, PathPrefix, PathPrefixRaw:
		a.aroundPath(yield)
	case ClientIP:
		for bits := a.prefix.Bits() - 1; bits >= 0; bits-- {
			wider, err := a.prefix.Addr().Prefix(bits)
			if err != nil || !yield(atom{kind: ClientIP, prefix: wider}) {
				return
			}
		}
	case DestinationPort:
		for bits := int(a.bits) + 1; bits <= 16; bits++ {
			if !yield(atom{kind: a.kind, number: WiderPorts(a.number, bits), bits: uint8(bits)}) {
				return
			}
		}
	case Header, Query:
		if !a.any {
			yield(atom{kind: a.kind, any: true})
		}
	}
}

func (a atom) aroundHost(yield func(atom) bool) {
	star, name := cutWildcard(a.text)
	if star == "*." && !yield(atom{kind: a.kind, text: "**." + name}) {
		return
	}
	_, parent, more := strings.Cut(name, ".")
	if star == "" && more && !yield(atom{kind: a.kind, text: "*." + parent}) {
		return
	}
	for more {
		if !yield(atom{kind: a.kind, text: "**." + parent}) {
			return
		}
		_, parent, more = strings.Cut(parent, ".")
	}
}

func (a atom) aroundPath(yield func(atom) bool) {
	for i := len(a.text); i > 0; i-- {
		head := a.text[:i]
		whole := i == len(a.text)
		if whole && a.kind == Path || !whole && a.text[i] == '/' {
			if !yield(atom{kind: PathPrefix, text: head}) {
				return
			}
		}
		if !whole || a.kind != PathPrefixRaw {
			if !yield(atom{kind: PathPrefixRaw, text: head}) {
				return
			}
		}
	}
}

// atomSet is a set of atoms. An expression lies within itself only.
type atomSet map[atom]struct{}

func setOf(atoms []atom) atomSet {
	s := make(atomSet, len(atoms))
	for _, a := range atoms {
		s[a] = struct{}{}
	}
	return s
}

// over finds a member that a lies within.
func (s atomSet) over(a atom) (member atom, ok bool) {
	if len(s) == 0 {
		return atom{}, false
	}
	a.around(func(wider atom) bool {
		if _, ok = s[wider]; ok {
			member = wider
		}
		return !ok
	})
	return member, ok
}

// covers reports whether a lies within a member.
func (s atomSet) covers(a atom) bool {
	_, ok := s.over(a)
	return ok
}

// coversAll reports whether each of atoms lies within a member.
func (s atomSet) coversAll(atoms []atom) bool {
	for _, a := range atoms {
		if !s.covers(a) {
			return false
		}
	}
	return true
}

// intersect is what two lists have in common, in order.
func intersect(a, b []atom) []atom {
	var both []atom
	for _, pair := range [2][2][]atom{{a, b}, {b, a}} {
		other := setOf(pair[1])
		for _, x := range pair[0] {
			if other.covers(x) {
				both = append(both, x)
			}
		}
	}
	slices.SortFunc(both, compareAtoms)
	return slices.Compact(both)
}

// widest leaves out of a list what lies within another of the list. The result is in order.
func widest(atoms []atom) []atom {
	all := setOf(atoms)
	var list []atom
	for a := range all {
		within := false
		a.around(func(wider atom) bool {
			_, within = all[wider]
			within = within && wider != a
			return !within
		})
		if !within {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, compareAtoms)
	return list
}
