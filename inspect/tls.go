package inspect

import (
	"net/netip"
	"slices"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// some reports whether one of the listeners that a route is for has a property.
func (k *checker) some(r *config.Route, property func(*config.Listener) bool) bool {
	return slices.ContainsFunc(k.config.Listeners, func(l *config.Listener) bool {
		return r.For(l) && property(l)
	})
}

func speaksTLS(l *config.Listener) bool { return l.TLS != nil }

// verifiesClients reports whether a certificate of a client can be a verified one.
func verifiesClients(l *config.Listener) bool {
	return l.TLS != nil && (l.TLS.Policy.Client.Verifies() || slices.ContainsFunc(l.TLS.Names,
		func(n config.NamedPolicy) bool { return n.Policy.Client.Verifies() }))
}

// agreesTo is the property of a listener to have TLS with a client whose latest version is one of these.
func agreesTo(versions []uint16) func(*config.Listener) bool {
	return func(l *config.Listener) bool {
		return l.TLS != nil && slices.ContainsFunc(versions, func(v uint16) bool {
			return v >= l.TLS.Policy.MinVersion || slices.ContainsFunc(l.TLS.Names,
				func(n config.NamedPolicy) bool { return v >= n.Policy.MinVersion })
		})
	}
}

// serves reports whether requests get as far as the routes.
func serves(l *config.Listener) bool {
	if l.TLS != nil {
		return l.TLS.Certified()
	}
	return l.Redirect == nil
}

func ofClientCert(kind rule.Kind) bool {
	return kind == rule.ClientCert || kind == rule.ClientCertRegexp
}

// streamed reports whether a tcp or udp route is for a listener.
func (k *checker) streamed(l *config.Listener) bool {
	takes := func(r *config.StreamRoute) bool { return r.For(l) }
	return slices.ContainsFunc(k.config.Streams, takes) || slices.ContainsFunc(k.config.Datagrams, takes)
}

// streams looks at what tcp routes and redirects leave for the routes.
func (k *checker) streams() {
	for _, r := range k.config.Streams {
		if r.Rule == nil {
			k.swallowed(r)
		}
	}
	for _, r := range k.config.Routes {
		if !k.some(r, serves) {
			k.warn(Redirected, config.Path("routes", r.Name), "name a listener that serves requests, or take it out",
				"a route that no request reaches: its listeners redirect all of them, or have tcp routes only",
				"listeners")
		}
	}
}

// swallowed notes a listener of which a tcp route without conditions leaves no requests over TLS.
func (k *checker) swallowed(r *config.StreamRoute) {
	for _, l := range k.config.Listeners {
		if l.Requests() && l.TLS != nil && l.TLS.Certified() && r.For(l) {
			what := "so that none of listener " + l.Name + " is served by routes"
			if l.Protocol == plan.Auto {
				what = "so that nothing over TLS on listener " + l.Name + " is served by routes"
			}
			k.warn(Swallowed, config.Path("tcp_routes", r.Name), "give it a condition, such as sni",
				"a tcp route for all connections, "+what, "listeners")
			return
		}
	}
}

// listener looks at what a listener says of connections.
func (k *checker) listener(l *config.Listener) {
	path := config.Path("listeners", l.Name)
	ends := func(r *config.StreamRoute) bool { return r.Terminate && r.For(l) }
	if l.Protocol == plan.TCP && l.TLS != nil && !slices.ContainsFunc(k.config.Streams, ends) {
		k.warn(IdleTLS, path, `write tls = "terminate" in a tcp route, or take the table out`,
			"a tls table, and no tcp route that ends TLS by it: TLS is passed on as it is", "tls")
	}
	if slices.ContainsFunc(l.Proxied, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		k.warn(OpenProxy, path, "name the addresses of the proxies before this one",
			"PROXY headers from everywhere: everybody can say to be anybody, also to rules on addresses and to limits",
			"proxy_protocol")
	}
}

// security looks for what makes TLS prove less than it might.
func (k *checker) security() {
	for _, l := range k.config.Listeners {
		if l.TLS != nil {
			k.listenerSecurity(l)
		}
	}
	for _, s := range k.config.Services {
		if s.TLS != nil && s.TLS.SkipVerify {
			k.warn(Unverified, config.Path("services", s.Name, "tls"), "name their authority in ca",
				"endpoints whose certificates nobody verifies: whoever is between can read and change everything",
				"insecure_skip_verify")
		}
	}
}

func (k *checker) listenerSecurity(l *config.Listener) {
	path := config.Path("listeners", l.Name, "tls")
	if l.TLS.SelfSigned {
		k.warn(SelfSigned, path, "name files in certificates or certificate_dir",
			"a certificate that is made up at start, which no client trusts", "self_signed")
	}
	asks := func(p *config.TLSPolicy) bool { return p.Client.Auth != 0 && !p.Client.Verifies() }
	unverified := func(path string) {
		k.warn(Unverified, path, "name their authority in ca",
			"certificates of clients that nobody verifies: everybody can make one", "client_certificate.mode")
	}
	if asks(&l.TLS.Policy) {
		unverified(path)
	}
	for i := range l.TLS.Names {
		if n := &l.TLS.Names[i]; asks(&n.Policy) && n.Policy.Client.Auth != l.TLS.Policy.Client.Auth {
			unverified(config.Path("listeners", l.Name, "tls", "names", n.Name))
		}
	}
}
