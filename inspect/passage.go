package inspect

import (
	"net/netip"
	"slices"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// upgrades looks for upgrades to what routes know nothing of.
func (k *checker) upgrades() {
	for _, r := range k.config.Routes {
		if r.Connect && !connects(r) {
			k.warn(IdleConnect, config.Path("routes", r.Name),
				"take it out, or give CONNECT a route without such conditions",
				"connect = true in a route that no CONNECT can take: it has a host and a port, and the path /",
				"connect")
		}
		if i := slices.IndexFunc(r.Upgrades, config.CarriesRequests); i >= 0 {
			k.warn(OpenUpgrade, config.Path("routes", r.Name), "leave it out: clients go on with HTTP/1.1",
				"an upgrade to "+r.Upgrades[i]+", after which a client's requests get to the service by no route",
				"upgrades")
		}
	}
}

// connects reports whether a CONNECT may fit a route. It has a path to rules, and no query.
func connects(r *config.Route) bool {
	e, err := r.Rule.Expand()
	if err != nil {
		return true // that is a fault of its own
	}
	return slices.ContainsFunc(e.Alternatives, func(a rule.Alternative) bool {
		switch a.Path.Kind {
		case rule.Path, rule.PathPrefix, rule.PathPrefixRaw:
			if a.Path.Values[0] != "/" && a.Path.Values[0] != "" {
				return false
			}
		}
		return !slices.ContainsFunc(a.Tests, func(t rule.Predicate) bool {
			switch t.Kind {
			case rule.Method:
				return slices.Contains(t.Values, "CONNECT") == t.Not
			case rule.Query, rule.QueryRegexp:
				return !t.Not
			}
			return false
		})
	})
}

// circles looks for services that are this program itself, by a listener that leads there again.
func (k *checker) circles() {
	services := make(map[string]*config.Service, len(k.config.Services))
	for _, s := range k.config.Services {
		services[s.Name] = s
	}
	look := func(service string, takes func(*config.Listener) bool) {
		if s := services[service]; s != nil && k.circle(s, takes) {
			delete(services, service) // once is enough
		}
	}
	for _, r := range k.config.Routes {
		look(r.Service, r.For)
	}
	for _, r := range slices.Concat(k.config.Streams, k.config.Datagrams) {
		look(r.Service, r.For)
	}
}

// circle notes the first endpoint of a service that is a listener for which a route to it is, and reports whether there
// is one.
func (k *checker) circle(s *config.Service, takes func(*config.Listener) bool) bool {
	for _, l := range k.config.Listeners {
		i := slices.IndexFunc(s.Endpoints, func(e config.Endpoint) bool { return isListener(&e, l) })
		if i < 0 || !takes(l) {
			continue
		}
		k.warn(Circle, config.Path("services", s.Name), "name the endpoint that is meant", "the endpoint "+
			s.Endpoints[i].URL+", which is listener "+l.Name+": what comes there is led back to it", "endpoints")
		return true
	}
	return false
}

// isListener reports whether an endpoint is what a listener listens on, as far as an address tells.
func isListener(e *config.Endpoint, l *config.Listener) bool {
	if l.Unix != "" || e.Unix != "" {
		return l.Unix == e.Unix
	}
	if e.Port != l.Addr.Port() {
		return false
	}
	ip, err := netip.ParseAddr(e.Host)
	return err == nil && (ip.Unmap() == l.Addr.Addr().Unmap() || l.Addr.Addr().IsUnspecified() && ip.IsLoopback())
}
