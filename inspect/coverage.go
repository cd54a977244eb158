package inspect

import (
	"maps"
	"slices"
	"strings"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/routing/rule"
	"github.com/uringproxy/uringproxy/tls/certs"
)

// hostsOf is what the routes of a listener ask of the host.
type hostsOf struct {
	first map[string]*config.Route // by the pattern, the first route that has it
	above map[string]bool          // the names that have one of them below themselves
	all   bool                     // a route takes hosts that cannot be listed
}

// hosts gathers the hosts of the routes that are for a listener.
func (k *checker) hosts(l *config.Listener) *hostsOf {
	h := &hostsOf{first: map[string]*config.Route{}, above: map[string]bool{}}
	for _, r := range k.config.Routes {
		if !r.For(l) {
			continue
		}
		e, err := r.Rule.Expand()
		if err != nil {
			continue
		}
		for i := range e.Alternatives {
			p := &e.Alternatives[i].Host
			if p.Kind != rule.Host {
				h.all = true
				continue
			}
			for _, v := range p.Values {
				h.add(v, r)
			}
		}
	}
	return h
}

// add notes a pattern.
func (h *hostsOf) add(pattern string, r *config.Route) {
	if h.first[pattern] != nil {
		return
	}
	h.first[pattern] = r
	rest, ok := pattern, true
	for _, rest, ok = strings.Cut(rest, "."); ok && !h.above[rest]; _, rest, ok = strings.Cut(rest, ".") {
		h.above[rest] = true
	}
}

// takes reports whether a route may get requests for a certificate's name.
func (h *hostsOf) takes(name string) bool {
	if h.all || h.first[name] != nil {
		return true
	}
	host, wildcard := strings.CutPrefix(name, "*.")
	if wildcard && h.above[host] {
		return true
	}
	_, rest, ok := strings.Cut(host, ".")
	if !wildcard && h.first["*."+rest] != nil {
		return true
	}
	for ; ok; _, rest, ok = strings.Cut(rest, ".") {
		if h.first["**."+rest] != nil {
			return true
		}
	}
	return false
}

// coverage compares the hosts of routes with the names of certificates.
func (m *material) coverage(l *config.Listener, set *certs.Set) {
	h := m.hosts(l)
	for _, host := range slices.Sorted(maps.Keys(h.first)) {
		if strings.HasPrefix(host, "**.") || l.TLS.SelfSigned {
			continue
		}
		if _, ok := set.Find([]byte(host)); ok || m.passed(l, host) {
			continue
		}
		r := h.first[host]
		becomes := "clients get one for another name"
		if l.TLS.Strict {
			becomes = "clients are refused"
		}
		m.warnRoute(ofRequests, Uncovered, r, rule.Host,
			"the host "+host+", for which listener "+l.Name+" has no certificate: "+becomes,
			"add one, or name other listeners in the route")
	}
	path := config.Path("listeners", l.Name, "tls")
	var unused []string
	for c := range set.All() {
		for _, name := range c.Names {
			if len(unused) > maxUnused || h.takes(name) || slices.Contains(unused, name) || m.passed(l, name) {
				continue
			}
			unused = append(unused, name)
		}
	}
	if len(unused) > 0 {
		more := ""
		if len(unused) > maxUnused {
			unused, more = unused[:maxUnused], ", and more"
		}
		m.warn(UnusedName, path, "add a route, or leave them out of certificates",
			"names of certificates that no route is for: "+strings.Join(unused, ", ")+more)
	}
}

// maxUnused bounds how many names are listed of those that no route is for.
const maxUnused = 10

// passed reports whether connections for a host may be taken by a tcp route.
func (m *material) passed(l *config.Listener, host string) bool {
	return slices.ContainsFunc(m.config.Streams, func(r *config.StreamRoute) bool {
		if !r.For(l) {
			return false
		}
		named := false
		eachPredicate(r.Rule, false, func(p *rule.Predicate, _ bool) {
			named = named || p.Kind == rule.SNI && slices.Contains(p.Values, host)
		})
		return named || r.Rule == nil
	})
}
