package config

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/uringproxy/uringproxy/plan"
)

// routeKind is one of the three kinds of routes.
type routeKind uint8

const (
	forRequests routeKind = iota
	forConnections
	forDatagrams
)

// routeKinds are the groups of the three kinds, and the words for them.
var routeKinds = [...]struct {
	in       group
	one      string
	listener string // that it needs
	service  string // that it needs
	hint     string // how to make such a listener
}{
	forRequests: {routesGroup, "a route", "listeners for requests", "a service with http or https endpoints",
		`requests come to listeners with protocol = "http" or "auto"`},
	forConnections: {streamsGroup, "a tcp route", "listeners for connections",
		`a service with endpoints such as "tcp://10.0.0.1:5432"`,
		`connections come to listeners with protocol = "tcp" or "auto", or with a tls table`},
	forDatagrams: {datagramsGroup, "a udp route", "listeners for datagrams",
		`a service with endpoints such as "udp://10.0.0.1:53"`,
		`datagrams come to listeners with protocol = "udp"`},
}

// reference is what a route of any kind refers to.
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
	for _, kind := range routeKinds {
		changed := g.changed(kind.in)
		for _, u := range g.next.units[kind.in] {
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
	all := g.kindsChanged()
	for _, kind := range []routeKind{forRequests, forConnections, forDatagrams} {
		in := routeKinds[kind].in
		if all || kind != forRequests { // there may be a million of these, and few of the others
			for _, u := range g.next.units[in] {
				g.fits(kind, u)
			}
			continue
		}
		for _, e := range g.edits[in] {
			if e.add != nil {
				g.fits(kind, e.add)
			}
		}
	}
	g.anywhere()
	for _, u := range g.next.units[streamsGroup] {
		g.terminates(u)
	}
	g.certified()
}

// kindsChanged tells whether there are other services or listeners that are not for requests than there were.
func (g *loading) kindsChanged() bool {
	changed := func(in group, special func(any) bool) bool {
		return slices.ContainsFunc(g.edits[in], func(e edit) bool {
			return e.add != nil && special(e.add.value) || e.drop && special(g.last.units[in][e.at].value)
		})
	}
	return changed(servicesGroup, func(v any) bool {
		s, _ := v.(*Service)
		return s != nil && !forRequests.takes(s)
	}) || changed(listenersGroup, func(v any) bool {
		l, _ := v.(*Listener)
		return l != nil && !forRequests.can(l)
	})
}

// fits checks the service and the listeners that a route names.
func (g *loading) fits(kind routeKind, u *unit) {
	r, ok := referenceOf(u)
	if !ok {
		return
	}
	words := &routeKinds[kind]
	if s := g.service(r.service); s != nil && len(s.Endpoints) > 0 && !kind.takes(s) {
		g.in = append(g.in[:0], g.next.locate(u))
		g.at(child(u.path(), "service"), quote(r.service)+", "+s.says(), words.service, s.leads(kind))
	}
	for i, name := range r.listeners {
		if l := g.listener(name); l != nil && !kind.can(l) {
			at := g.next.locate(u)
			g.in = append(g.in[:0], at)
			g.at(item(at, child(u.path(), "listeners"), i), quote(name)+", "+l.says(kind), words.listener, words.hint)
		}
	}
}

// says is what there is to say of a service that a route cannot lead to.
func (s *Service) says() string {
	switch {
	case s.Stream:
		return "whose endpoints take connections as they are"
	case s.Datagrams:
		return "whose endpoints take datagrams"
	case s.Open:
		return "whose endpoints are unix sockets"
	}
	return "whose endpoints take requests"
}

// leads is the hint for a route of another kind.
func (s *Service) leads(from routeKind) string {
	to := forRequests
	switch {
	case s.Stream:
		to = forConnections
	case s.Datagrams:
		to = forDatagrams
	case s.Open && from == forDatagrams:
		return "unix sockets are not supported for datagrams"
	}
	return "a route in " + groupNames[routeKinds[to].in] + " leads there"
}

// says is what there is to say of a listener that a route of a kind cannot be for.
func (l *Listener) says(kind routeKind) string {
	if kind == forConnections && l.Protocol == plan.HTTP {
		return "which is for plain requests"
	}
	return fmt.Sprintf("which has protocol = %q", protocolWord(l.Protocol))
}

// anywhere checks that there is a listener at all for each route that names none, of the kinds of which there are few.
func (g *loading) anywhere() {
	for _, kind := range []routeKind{forRequests, forConnections, forDatagrams} {
		some := func(takes func(*Listener) bool) bool {
			all := g.next.units[listenersGroup]
			return len(all) == 0 || slices.ContainsFunc(all, func(u *unit) bool { // none at all is a fault of its own
				l, _ := u.value.(*Listener)
				return l == nil || takes(l) // a faulty one may be meant
			})
		}
		words := &routeKinds[kind]
		for _, u := range g.next.units[words.in] {
			r, ok := referenceOf(u)
			if !ok || len(r.listeners) > 0 {
				continue
			}
			hint := words.hint
			if s, isStream := u.value.(*StreamRoute); isStream {
				if some(s.For) {
					continue
				}
				if s.Terminate {
					hint = `with tls = "terminate", it needs one with certificates in a tls table`
				}
			} else if some(forRequests.can) {
				break // and so for all the others
			}
			g.in = append(g.in[:0], g.next.locate(u))
			g.atKey(u.path(), words.one+", and no listener for it", words.listener, hint)
			if kind == forRequests {
				break
			}
		}
	}
}

// terminates checks that a tcp route that ends TLS has listeners that can.
func (g *loading) terminates(u *unit) {
	r, _ := u.value.(*StreamRoute)
	if r == nil || !r.Terminate {
		return
	}
	for _, name := range r.Listeners {
		l := g.listener(name)
		if l == nil || l.TLS != nil && l.TLS.Certified() || !forConnections.can(l) {
			continue
		}
		without := "without a tls table"
		if l.TLS != nil {
			without = "without certificates"
		}
		g.in = append(g.in[:0], g.next.locate(u))
		g.at(child(u.path(), "tls"), `"terminate" on listener `+quote(name)+" "+without,
			"a listener with a certificate to show", "add [listeners."+name+".tls] with certificates")
	}
}

// certified checks that a listener without certificates has something that can be done with its connections.
func (g *loading) certified() {
	for _, u := range g.next.units[listenersGroup] {
		l, _ := u.value.(*Listener)
		if l == nil || l.TLS == nil || l.TLS.Certified() {
			continue
		}
		takes := func(u *unit) bool {
			r, _ := u.value.(*StreamRoute)
			return r != nil && r.For(l)
		}
		hint := "a listener without any is for tcp_routes alone"
		if l.Protocol == plan.TCP {
			hint = "to pass TLS on as it is, a listener for tcp needs no tls table"
		} else if slices.ContainsFunc(g.next.units[streamsGroup], takes) {
			continue
		}
		at := g.next.locate(u)
		if at.has(child(child(u.path(), "tls"), "certificates")) { // which has faults of its own
			continue
		}
		g.in = append(g.in[:0], at)
		g.atKey(child(u.path(), "tls"), "tls without certificates",
			"certificates, certificate_dir or self_signed = true", hint)
	}
}

func (g *loading) listener(name string) *Listener {
	l, _ := g.next.value(listenersGroup, name).(*Listener)
	return l
}

func (g *loading) service(name string) *Service {
	s, _ := g.next.value(servicesGroup, name).(*Service)
	return s
}

// value is what a named table was decoded to; nil when there is none.
func (l *Loader) value(in group, name string) any {
	units := l.units[in]
	if i, ok := slices.BinarySearchFunc(units, name, compareName); ok {
		return units[i].value
	}
	return nil
}
