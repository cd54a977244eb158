package rule

import (
	"cmp"
	"slices"
)

// part is one way in which a host or a path can be right: a value, and tests for what the value leaves open.
type part struct {
	value atom // its kind is None when there is no positive condition
	tests []int32
}

// dead is a value of a rule that nothing can fit, and why.
type dead struct {
	value atom
	why   string
}

// verdict is what becomes of a subject. Nothing can fit it if there is a never, or no part of a host or path.
type verdict struct {
	parts []part // host and path: one of them must fit
	dead  []dead // host and path: values without a part, maxDead at most
	tests []int32
	never string
}

// narrow decides a subject of which a request has one value at most, all of whose conditions are plain. It is false
// when there is too much work.
func (x *expander) narrow(s *subject) (v verdict, ok bool) {
	negative := widest(atomsOf(s.neg))
	if len(s.pos) > 0 {
		common, why := fold(s.pos)
		if why != "" {
			return verdict{never: why}, true
		}
		refused := setOf(negative)
		left := slices.DeleteFunc(widest(common), refused.covers)
		if len(left) == 0 {
			return verdict{never: conflict(slices.Concat(s.pos, s.neg)...)}, true
		}
		within := setOf(left)
		negative = slices.DeleteFunc(negative, func(n atom) bool { return !within.covers(n) })
		if v.tests, ok = x.addTests(nil, s.name, false, left); !ok {
			return v, false
		}
	}
	v.tests, ok = x.addTests(v.tests, s.name, true, negative)
	return v, ok
}

// addTests adds a predicate for each kind among atoms. It is false when there is too much work.
func (x *expander) addTests(tests []int32, name string, negated bool, atoms []atom) ([]int32, bool) {
	if !x.spend(len(atoms)) {
		return nil, false
	}
	for len(atoms) > 0 {
		kind := atoms[0].kind
		var same, rest []atom
		for _, a := range atoms {
			if a.kind == kind {
				same = append(same, a)
			} else {
				rest = append(rest, a)
			}
		}
		tests = append(tests, x.test(predicateOf(name, negated, same)))
		atoms = rest
	}
	return tests, true
}

// split decides the host or the path: one part for each value of its most specific positive conditions. It is false
// when there is too much work.
func (x *expander) split(s *subject) (v verdict, ok bool) {
	d := newDivider(x, s)
	if d.never != "" {
		return verdict{never: d.never}, true
	}
	values := []atom{{}}
	switch {
	case len(s.pos) > 0:
		if values, v.never = fold(s.pos); v.never != "" {
			return v, true
		}
		v.dead = d.outside(values)
	case len(d.positive) > 0:
		values = d.takePrimary()
	}
	inside := d.negativesInside(values)
	for _, value := range values {
		tests, against, ok := d.residue(value, inside[value])
		switch {
		case !ok:
			return v, false
		case against == nil:
			v.parts = append(v.parts, part{value, tests})
		case len(v.dead) < maxDead:
			v.dead = append(v.dead, dead{value, conflict(append(slices.Clone(against), single("", value))...)})
		}
	}
	return v, true
}

// clause is a list of values, one of which must fit, or none of which may.
type clause struct {
	from  []*literal
	atoms []atom
	not   bool
	whole []int32 // the tests of all atoms, once they are asked for
}

// divider is the state of split.
type divider struct {
	x *expander
	*subject
	positive []*clause // expressions
	plain    clause    // plain values that must not fit
	without  atomSet   // the same
	owner    map[atom]*literal
	refused  clause // expressions that must not match
	never    string // why nothing can fit
}

func newDivider(x *expander, s *subject) *divider {
	d := &divider{x: x, subject: s}
	d.plain = clause{from: s.neg, atoms: widest(atomsOf(s.neg)), not: true}
	d.refused = clause{from: s.negR, atoms: atomsOf(s.negR), not: true}
	d.without = setOf(d.plain.atoms)
	d.owner = map[atom]*literal{}
	for _, lit := range s.neg {
		for _, a := range lit.atoms {
			d.owner[a] = lit
		}
	}
	refused := setOf(d.refused.atoms)
	for _, lit := range s.posR {
		c := &clause{from: []*literal{lit}, atoms: without(lit.atoms, refused)}
		if len(c.atoms) < len(lit.atoms) {
			c.from = append(c.from, s.negR...)
		}
		if len(c.atoms) == 0 {
			d.never = conflict(c.from...)
		}
		d.positive = append(d.positive, c)
	}
	return d
}

// maxDead bounds how many values are named that nothing can fit.
const maxDead = 20

// outside finds the values of conditions that have nothing in common with some other condition.
func (d *divider) outside(values []atom) (list []dead) {
	if len(d.pos) == 1 {
		return nil
	}
	all, around := setOf(values), atomSet{}
	for _, v := range values {
		v.around(func(a atom) bool {
			around[a] = struct{}{}
			return true
		})
	}
	for _, lit := range d.pos {
		for _, a := range lit.atoms {
			if _, wider := around[a]; wider || all.covers(a) || len(list) == maxDead {
				continue
			}
			for _, other := range d.pos {
				if len(intersect([]atom{a}, other.atoms)) == 0 {
					list = append(list, dead{a, conflict(single("", a), other)})
					break
				}
			}
		}
	}
	return list
}

// takePrimary takes out the expressions that make the parts: the shortest list, then the first in order.
func (d *divider) takePrimary() []atom {
	first := slices.MinFunc(d.positive, func(a, b *clause) int {
		return cmp.Or(len(a.atoms)-len(b.atoms), slices.CompareFunc(a.atoms, b.atoms, compareAtoms))
	})
	d.positive = slices.DeleteFunc(d.positive, func(c *clause) bool { return c == first })
	return first.atoms
}

// negativesInside finds the negative plain values within each of values.
func (d *divider) negativesInside(values []atom) map[atom][]atom {
	inside, all := map[atom][]atom{}, setOf(values)
	for _, n := range d.plain.atoms {
		n.around(func(wider atom) bool {
			if _, is := all[wider]; is {
				inside[wider] = append(inside[wider], n)
			}
			return true
		})
	}
	return inside
}
