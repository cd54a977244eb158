package rule

import (
	"cmp"
	"slices"
)

// alternatives are the choices that none of the others implies.
func (c *collector) alternatives() []Alternative {
	order := c.x.testOrder()
	values := map[atom]Predicate{{}: {}}
	conjunctions := map[string][]Predicate{"": nil}
	var list []Alternative
	for _, ch := range c.unabsorbed() {
		for _, v := range []atom{ch.host, ch.path} {
			if _, ok := values[v]; !ok {
				values[v] = predicateOf("", false, []atom{v})
			}
		}
		key := idKey(ch.tests)
		tests, ok := conjunctions[key]
		if !ok {
			slices.SortFunc(ch.tests, func(a, b int32) int { return cmp.Compare(order[a], order[b]) })
			for _, id := range ch.tests {
				tests = append(tests, c.x.tests[id])
			}
			conjunctions[key] = tests
		}
		list = append(list, Alternative{values[ch.host], values[ch.path], tests})
	}
	return list
}

// testOrder gives each test its place in canonical order.
func (x *expander) testOrder() []int {
	ids := make([]int32, len(x.tests))
	for i := range ids {
		ids[i] = int32(i)
	}
	slices.SortFunc(ids, func(a, b int32) int { return comparePredicates(&x.tests[a], &x.tests[b]) })
	order := make([]int, len(ids))
	for place, id := range ids {
		order[id] = place
	}
	return order
}

// unabsorbed leaves out choices that have the host, the path and all tests of another, and more tests: they fit nothing
// that the other does not. So the alternatives do not depend on how a rule is written. Only rules that nobody writes by
// hand have more than a few hundred alternatives of one host and path; those are not compared.
func (c *collector) unabsorbed() []choice {
	const most = 512
	groups := map[[2]atom][]int{}
	for i, ch := range c.choices {
		key := [2]atom{ch.host, ch.path}
		groups[key] = append(groups[key], i)
	}
	absorbed := make([]bool, len(c.choices))
	for _, group := range groups {
		if len(group) > most {
			continue
		}
		for _, i := range group {
			absorbed[i] = slices.ContainsFunc(group, func(j int) bool {
				return subset(c.choices[j].tests, c.choices[i].tests)
			})
		}
	}
	var list []choice
	for i, ch := range c.choices {
		if !absorbed[i] {
			list = append(list, ch)
		}
	}
	return list
}

// subset reports whether the longer list of b, in order as a is, has all of a.
func subset(a, b []int32) bool {
	if len(a) >= len(b) {
		return false
	}
	for _, id := range b {
		if len(a) > 0 && a[0] == id {
			a = a[1:]
		}
	}
	return len(a) == 0
}
