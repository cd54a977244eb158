package rule

import "slices"

// residue finds what is left to test when the host or path fits value, within which the negative values inside are.
// If nothing can fit both, against is what value conflicts with. It is false when there is too much work.
func (d *divider) residue(value atom, inside []atom) (tests []int32, against []*literal, ok bool) {
	left, opponent := d.plainResidue(value, inside)
	if opponent != nil {
		return nil, []*literal{opponent}, true
	}
	if tests, ok = d.add(nil, &d.plain, left); !ok {
		return nil, nil, false
	}
	for _, c := range d.positive {
		left, settled := d.undecided(c.atoms, value)
		switch {
		case settled:
			continue
		case len(left) == 0:
			return nil, c.from, true
		}
		if tests, ok = d.add(tests, c, left); !ok {
			return nil, nil, false
		}
	}
	left, settled := d.undecided(d.refused.atoms, value)
	if settled {
		return nil, d.refusing(value), true
	}
	tests, ok = d.add(tests, &d.refused, left)
	return tests, nil, ok
}

// add adds tests for those values of a clause that are left.
func (d *divider) add(tests []int32, c *clause, left []atom) ([]int32, bool) {
	if len(left) < len(c.atoms) {
		return d.x.addTests(tests, "", c.not, left)
	}
	if c.whole == nil {
		whole, ok := d.x.addTests([]int32{}, "", c.not, left)
		if !ok {
			return nil, false
		}
		c.whole = whole
	}
	return append(tests, c.whole...), true
}

// plainResidue finds the negative plain values that value does not decide, or one that nothing within it can avoid.
func (d *divider) plainResidue(value atom, inside []atom) (left []atom, against *literal) {
	switch {
	case value.kind == None || value.kind.regexp() && d.x.regexps.spent():
		return d.plain.atoms, nil
	case !value.kind.regexp():
		n, _ := d.without.over(value)
		return inside, d.owner[n]
	}
	for _, n := range d.plain.atoms {
		if d.x.regexps.within(value.text, n) {
			return nil, d.owner[n]
		}
		if matches, known := d.x.regexps.decide(value.text, n); !known || matches {
			left = append(left, n)
		}
	}
	return left, nil
}

// undecided leaves out the expressions that nothing within value matches; settled says that all of it matches one.
func (d *divider) undecided(list []atom, value atom) (left []atom, settled bool) {
	if value.kind.regexp() {
		_, settled = slices.BinarySearchFunc(list, value, compareAtoms)
		return list, settled
	}
	if !decidable(value) || d.x.regexps.spent() {
		return list, false
	}
	for _, e := range list {
		matches, known := d.x.regexps.decide(e.text, value)
		if known && matches {
			return nil, true
		}
		if !known {
			left = append(left, e)
		}
	}
	return left, false
}

// refusing finds the condition on expressions that excludes value.
func (d *divider) refusing(value atom) []*literal {
	for _, lit := range d.negR {
		if _, settled := d.undecided(lit.atoms, value); settled {
			return []*literal{lit}
		}
	}
	return d.negR
}
