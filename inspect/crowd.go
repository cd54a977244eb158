package inspect

import (
	"cmp"
	"slices"
	"strings"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/regset"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// family is the routes of a table of the configuration, and the words for them.
type family struct{ table, one, many, thing string }

var (
	ofRequests    = family{"routes", "a route", "routes", "request"}
	ofConnections = family{"tcp_routes", "a tcp route", "tcp routes", "connection"}
	ofDatagrams   = family{"udp_routes", "a udp route", "udp routes", "client"}
)

// crowd has the alternatives of all routes of a table, filed so that those that may cover a given one are found without
// asking all the others: by host, then by path, and where many share both, by a value that one of their tests asks for.
type crowd struct {
	*judge
	family
	routes  []*config.Route
	groups  int              // of listeners that have the same routes
	named   map[string]int   // the group of a listener that some route names
	hosts   map[string]*host // by the pattern; "" for none, with regexpMark for an expression
	members []*member
}

// regexpMark stands before an expression in crowd.hosts; no host begins with it.
const regexpMark = "~"

// member is one alternative of a route.
type member struct {
	rule.Alternative
	route  *config.Route
	spec   uint64
	groups []int // of listeners, in order; nil: all
	nth    int   // of the route's
	of     int   // alternatives of the route
	dead   bool  // nothing fits it
}

// before reports whether a goes before b, if both fit.
func (a *member) before(b *member) bool { return a.compare(b) < 0 }

func (a *member) compare(b *member) int {
	return cmp.Or(cmp.Compare(b.route.Priority, a.route.Priority), cmp.Compare(b.spec, a.spec),
		strings.Compare(a.route.Name, b.route.Name), a.nth-b.nth)
}

// host is what one host pattern has.
type host struct {
	places  map[pathKey]*place
	lengths []int // of the prefixes among them; in order, each once, after sort
}

type pathKey struct {
	kind rule.Kind
	text string
}

// place has the alternatives of one host and one path.
type place struct {
	members []*member // in the order of precedence, after sort
	filed   map[testKey][]*member
}

// newCrowd makes a crowd for routes, without their alternatives, on these listeners.
func newCrowd(listeners []*config.Listener, routes []*config.Route, of family) *crowd {
	x := &crowd{judge: newJudge(), family: of, routes: routes, named: map[string]int{}, hosts: map[string]*host{}}
	for _, r := range routes {
		for _, l := range r.Listeners {
			if _, ok := x.named[l]; !ok {
				x.named[l] = len(x.named)
			}
		}
	}
	x.groups = len(x.named)
	if len(x.named) < len(listeners) {
		x.groups++ // all others
	}
	return x
}

// add adds the alternatives of a route.
func (x *crowd) add(r *config.Route, alternatives []rule.Alternative) []*member {
	var groups []int
	for _, l := range r.Listeners {
		groups = append(groups, x.named[l])
	}
	slices.Sort(groups)
	if len(groups) == x.groups {
		groups = nil
	}
	all := make([]member, len(alternatives))
	list := make([]*member, len(alternatives))
	for i := range all {
		m := &all[i]
		*m = member{Alternative: alternatives[i], route: r, groups: groups, nth: i, of: len(all)}
		m.spec = routing.Specificity(&m.Alternative)
		list[i] = m
	}
	x.members = append(x.members, list...)
	return list
}

// text is a member's alternative as its rule has it.
func (x *crowd) text(m *member) string {
	a := m.Alternative
	if x.family != ofRequests {
		a = a.OverSNI()
	}
	return a.String()
}

// file puts a member where those that it may cover look for it.
func (x *crowd) file(m *member) {
	key := hostKey(&m.Host)
	h := x.hosts[key]
	if h == nil {
		h = &host{places: map[pathKey]*place{}}
		x.hosts[key] = h
	}
	at := pathKeyOf(&m.Path)
	p := h.places[at]
	if p == nil {
		p = &place{}
		h.places[at] = p
		if at.kind == rule.PathPrefix || at.kind == rule.PathPrefixRaw {
			h.lengths = append(h.lengths, len(at.text))
		}
	}
	p.members = append(p.members, m)
}

// sort ends the filing.
func (x *crowd) sort() {
	for _, h := range x.hosts {
		slices.Sort(h.lengths)
		h.lengths = slices.Compact(h.lengths)
		for _, p := range h.places {
			slices.SortFunc(p.members, (*member).compare)
			p.index()
		}
	}
}

func hostKey(p *rule.Predicate) string {
	switch p.Kind {
	case rule.None:
		return ""
	case rule.HostRegexp:
		return regexpMark + p.Values[0]
	}
	return p.Values[0]
}

func pathKeyOf(p *rule.Predicate) pathKey {
	if p.Kind == rule.None {
		return pathKey{}
	}
	return pathKey{p.Kind, p.Values[0]}
}

// around calls yield with each place whose host and path cover those of m, the most specific ones first, until yield
// returns false.
func (x *crowd) around(m *member, yield func(*place) bool) {
	more := true
	at := func(key string) bool {
		if h := x.hosts[key]; h != nil {
			more = h.around(x.judge, &m.Path, yield)
		}
		return more
	}
	switch m.Host.Kind {
	case rule.Host:
		aroundHost(m.Host.Values[0], at)
	case rule.HostRegexp:
		at(hostKey(&m.Host))
	}
	if more {
		at("")
	}
}

// around is crowd.around for one host. It returns false when yield has.
func (h *host) around(j *judge, path *rule.Predicate, yield func(*place) bool) bool {
	at := func(key pathKey) bool {
		p := h.places[key]
		j.left -= 1 + len(key.text)/32
		return p == nil || yield(p)
	}
	text, kind := "", path.Kind
	switch kind {
	case rule.Path:
		text = path.Values[0]
		if !at(pathKeyOf(path)) {
			return false
		}
	case rule.PathRegexp:
		if !at(pathKeyOf(path)) {
			return false
		}
		text, kind = regset.Prefix(path.Values[0]), rule.PathPrefixRaw
	case rule.PathPrefix, rule.PathPrefixRaw:
		text = path.Values[0]
	}
	for i := len(h.lengths) - 1; i >= 0 && kind != rule.None; i-- {
		n := h.lengths[i]
		if n > len(text) {
			continue
		}
		for _, wider := range []rule.Kind{rule.PathPrefix, rule.PathPrefixRaw} {
			if pathWithin(kind, text, wider, text[:n]) && !at(pathKey{wider, text[:n]}) {
				return false
			}
		}
	}
	return at(pathKey{})
}

// testKey is what members are filed under: a value that a test asks for, or that there is a negative test.
type testKey struct {
	value
	name string
	not  bool
	any  bool
}

// manyMembers is from how many members on a place has an index.
const manyMembers = 16

// index files the members of a large place, each under all values of one of its tests: that whose values the fewest
// others have. A request that fits the test has one of them.
func (p *place) index() {
	if len(p.members) < manyMembers {
		return
	}
	counts := map[testKey]int{}
	for _, m := range p.members {
		for i := range m.Tests {
			eachKey(&m.Tests[i], func(k testKey) { counts[k]++ })
		}
	}
	p.filed = map[testKey][]*member{}
	for _, m := range p.members {
		best, least := -1, 0
		for i := range m.Tests {
			n := 0
			eachKey(&m.Tests[i], func(k testKey) { n += counts[k] })
			if m.Tests[i].Not {
				n += len(p.members)
			}
			if best < 0 || n < least {
				best, least = i, n
			}
		}
		if best < 0 {
			p.filed[testKey{}] = append(p.filed[testKey{}], m)
			continue
		}
		eachKey(&m.Tests[best], func(k testKey) { p.filed[k] = append(p.filed[k], m) })
	}
}

// eachKey calls yield with the keys under which a member with the test p may be filed.
func eachKey(p *rule.Predicate, yield func(testKey)) {
	switch {
	case p.Not:
		yield(testKey{value: value{kind: subjectOf(p.Kind)}, name: p.Name, not: true})
		return
	case isAny(p):
		yield(testKey{value: value{kind: p.Kind}, name: p.Name, any: true})
		return
	}
	for _, text := range p.Values {
		yield(testKey{value: value{kind: p.Kind, text: text}, name: p.Name})
	}
	for _, prefix := range p.Prefixes {
		yield(testKey{value: value{kind: p.Kind, prefix: prefix}, name: p.Name})
	}
	for v := range numbersOf(p) {
		yield(testKey{value: v, name: p.Name})
	}
}
