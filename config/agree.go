package config

import (
	"slices"
	"strconv"
)

// reference is what a route of either kind refers to.
type reference struct {
	listeners []string
	service   string
}

// referenceOf is that of u; ok is false for what is no route, or could not be read.
func referenceOf(u *unit) (r reference, ok bool) {
	switch v := u.value.(type) {
	case *Route:
		return reference{v.Listeners, v.Service}, v != nil
	case *StreamRoute:
		return reference{v.Listeners, v.Service}, v != nil
	}
	return r, false
}

// lostNames looks for routes that refer to what this change took away. Those that changed themselves are checked
// already.
func (g *loading) lostNames() {
	if !g.lost(listenersGroup, g.listeners) && !g.lost(servicesGroup, g.services) {
		return
	}
	missing := func(name string) bool { return !g.listeners.has(name) }
	for _, in := range []group{routesGroup, streamsGroup} {
		changed := g.changed(in)
		for _, u := range g.next.units[in] {
			r, ok := referenceOf(u)
			if changed[u] || !ok || g.services.has(r.service) && !slices.ContainsFunc(r.listeners, missing) {
				continue
			}
			l := g.next.locate(u)
			g.in = append(g.in[:0], l)
			g.checkService(child(u.path(), "service"), r.service)
			for i, name := range r.listeners {
				g.checkListener(item(l, child(u.path(), "listeners"), i), name)
			}
		}
	}
}

// item is the path of an item of a list, or of what stands for a list of one.
func item(l *locator, path string, i int) string {
	if item := path + "[" + strconv.Itoa(i) + "]"; l.has(item) {
		return item
	}
	return path
}

// changed are the units of a group that are not what they were.
func (g *loading) changed(in group) map[*unit]bool {
	changed := map[*unit]bool{}
	for _, e := range g.edits[in] {
		changed[e.add] = true
	}
	return changed
}

// agree checks that routes lead to services of their kind, and from listeners of their kind.
func (g *loading) agree() {
	if g.streamsChanged() {
		for _, u := range g.next.units[routesGroup] {
			g.leads(u, false)
		}
	} else {
		for _, e := range g.edits[routesGroup] {
			if e.add != nil {
				g.leads(e.add, false)
			}
		}
	}
	for _, u := range g.next.units[streamsGroup] {
		g.leads(u, true)
		g.onTLS(u)
	}
	g.certified()
}

// streamsChanged tells whether there is another set of services for streams than there was.
func (g *loading) streamsChanged() bool {
	stream := func(u *unit) bool {
		s, _ := u.value.(*Service)
		return s != nil && s.Stream
	}
	return slices.ContainsFunc(g.edits[servicesGroup], func(e edit) bool {
		return e.add != nil && stream(e.add) || e.drop && stream(g.last.units[servicesGroup][e.at])
	})
}

// leads checks the service of a route.
func (g *loading) leads(u *unit, stream bool) {
	r, ok := referenceOf(u)
	if !ok {
		return
	}
	s, _ := g.next.value(servicesGroup, r.service).(*Service)
	if s == nil || len(s.Endpoints) == 0 || s.Stream == stream {
		return
	}
	g.in = append(g.in[:0], g.next.locate(u))
	found, expected, hint := ", whose endpoints take connections as they are", "a service with http or https endpoints",
		"a route in tcp_routes leads there"
	if stream {
		found, expected, hint = ", whose endpoints take requests", `a service with endpoints such as "tcp://10.0.0.1:5432"`,
			"a route in routes leads there"
	}
	g.at(child(u.path(), "service"), quote(r.service)+found, expected, hint)
}

// onTLS checks the listeners of a stream route.
func (g *loading) onTLS(u *unit) {
	r, ok := referenceOf(u)
	if !ok {
		return
	}
	const expected = "listeners with tls"
	const hint = "this version serves tcp_routes on listeners with a tls table"
	l := g.next.locate(u)
	g.in = append(g.in[:0], l)
	for i, name := range r.listeners {
		if on, _ := g.next.value(listenersGroup, name).(*Listener); on != nil && on.TLS == nil {
			g.at(item(l, child(u.path(), "listeners"), i), quote(name)+", which is plain", expected, hint)
		}
	}
	speaks := func(u *unit) bool {
		l, _ := u.value.(*Listener)
		return l == nil || l.TLS != nil
	}
	if len(r.listeners) == 0 && !slices.ContainsFunc(g.next.units[listenersGroup], speaks) {
		g.atKey(u.path(), "a tcp route, and no listener with tls", expected, hint)
	}
}

// certified checks that a listener without certificates has stream routes at least.
func (g *loading) certified() {
	for _, u := range g.next.units[listenersGroup] {
		l, _ := u.value.(*Listener)
		if l == nil || l.TLS == nil || l.TLS.Certified() {
			continue
		}
		takes := func(u *unit) bool {
			r, ok := referenceOf(u)
			return ok && (len(r.listeners) == 0 || slices.Contains(r.listeners, l.Name))
		}
		if slices.ContainsFunc(g.next.units[streamsGroup], takes) {
			continue
		}
		at := g.next.locate(u)
		if at.has(child(child(u.path(), "tls"), "certificates")) { // which has faults of its own
			continue
		}
		g.in = append(g.in[:0], at)
		g.atKey(child(u.path(), "tls"), "tls without certificates",
			"certificates, certificate_dir or self_signed = true", "a listener without any is for tcp_routes alone")
	}
}

// value is what a named table was decoded to; nil when there is none.
func (l *Loader) value(in group, name string) any {
	units := l.units[in]
	if i, ok := slices.BinarySearchFunc(units, name, compareName); ok {
		return units[i].value
	}
	return nil
}
