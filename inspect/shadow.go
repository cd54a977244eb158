package inspect

import (
	"slices"

	"github.com/uringproxy/uringproxy/routing/rule"
)

// mostCompared is how many others an alternative is compared with.
const mostCompared = 512

// cover finds members that go before m and fit all that m fits: one, or several if each is for some of m's listeners.
// It returns none if there are listeners left. partly tells that there were more to compare with.
func (x *crowd) cover(m *member) (by []*member, partly bool) {
	given := append([]rule.Predicate{m.Host, m.Path}, m.Tests...)
	compared := 0
	var open []int // the groups of listeners for which there is none yet; nil: all of m's
	x.around(m, func(p *place) bool {
		for o := range p.candidates(m) {
			if compared++; compared > mostCompared || x.spent() {
				partly = true
				return false
			}
			if o.route == m.route || !x.followsAll(o.Tests, given) {
				continue
			}
			if covers(o.groups, m.groups) {
				by, open = []*member{o}, []int{}
				return false
			}
			if open == nil {
				open = m.groups
				if open == nil {
					open = everyGroup(x.groups)
				}
			}
			left := slices.DeleteFunc(slices.Clone(open), func(g int) bool { return slices.Contains(o.groups, g) })
			if len(left) == len(open) {
				continue
			}
			by, open = append(by, o), left
			if len(open) == 0 {
				return false
			}
		}
		return true
	})
	if open == nil || len(open) > 0 {
		return nil, partly
	}
	return by, false
}

// covers reports whether a set of groups has all of another.
func covers(all, some []int) bool {
	if all == nil || some == nil {
		return all == nil
	}
	return !slices.ContainsFunc(some, func(g int) bool { return !slices.Contains(all, g) })
}

func everyGroup(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// candidates are the members of p that go before m, as far as they may be filed for what m's tests ask for.
func (p *place) candidates(m *member) func(yield func(*member) bool) {
	return func(yield func(*member) bool) {
		try := func(list []*member) bool {
			for _, o := range list {
				if !o.before(m) {
					return true
				}
				if !yield(o) {
					return false
				}
			}
			return true
		}
		if p.filed == nil {
			try(p.members)
			return
		}
		if !try(p.filed[testKey{}]) {
			return
		}
		for _, key := range keysAround(m) {
			if !try(p.filed[key]) {
				return
			}
		}
	}
}

// keysAround are the keys under which a member is filed one of whose tests follows from m.
func keysAround(m *member) (keys []testKey) {
	for _, t := range append([]rule.Predicate{m.Host, m.Path}, m.Tests...) {
		if t.Kind == rule.None {
			continue
		}
		keys = append(keys, testKey{value: value{kind: subjectOf(t.Kind)}, name: t.Name, not: true})
		if t.Not {
			continue
		}
		if k := subjectOf(t.Kind); k == rule.Header || k == rule.Query {
			keys = append(keys, testKey{value: value{kind: k}, name: t.Name, any: true})
		}
		switch {
		case t.Kind == rule.ClientIP:
			for bits := t.Prefixes[0].Bits(); bits >= 0; bits-- {
				if wider, err := t.Prefixes[0].Addr().Prefix(bits); err == nil {
					keys = append(keys, testKey{value: value{kind: t.Kind, prefix: wider}})
				}
			}
		case t.Kind == rule.DestinationPort:
			for first, size := range rule.PortBlocks(t.Numbers) {
				for bits := size; bits <= 16; bits++ {
					v := value{kind: t.Kind, number: rule.WiderPorts(first, bits), bits: bits}
					keys = append(keys, testKey{value: v})
				}
				break
			}
		case t.Kind == rule.SNI:
			aroundHost(t.Values[0], func(pattern string) bool {
				keys = append(keys, testKey{value: value{kind: t.Kind, text: pattern}})
				return true
			})
		case len(t.Values) > 0:
			keys = append(keys, testKey{value: value{kind: t.Kind, text: t.Values[0]}, name: t.Name})
		case len(t.Numbers) > 0:
			keys = append(keys, testKey{value: value{kind: t.Kind, number: t.Numbers[0]}})
		}
	}
	return keys
}
