package config

import (
	"slices"

	"github.com/uringproxy/uringproxy/plan"
)

// Requests reports whether there are requests on the listener.
func (l *Listener) Requests() bool { return l.Protocol == plan.HTTP || l.Protocol == plan.Auto }

// For reports whether a route is for a listener: one that it names, or without names any for requests.
func (r *Route) For(l *Listener) bool {
	if len(r.Listeners) > 0 {
		return slices.Contains(r.Listeners, l.Name)
	}
	return l.Requests()
}

// For reports whether a route is for a listener: one that it names, or without names any that it can be for. A listener
// for requests over TLS is such only if the rule looks at the ClientHello, so that the requests are not taken from it,
// or if it has no certificate, so that there are none.
func (r *StreamRoute) For(l *Listener) bool {
	if len(r.Listeners) > 0 {
		return slices.Contains(r.Listeners, l.Name)
	}
	if r.Terminate && (l.TLS == nil || !l.TLS.Certified()) {
		return false
	}
	switch l.Protocol {
	case plan.UDP:
		return r.Datagrams
	case plan.TCP, plan.Auto:
		return !r.Datagrams
	}
	return !r.Datagrams && l.TLS != nil && (r.Hello || !l.TLS.Certified())
}

// can reports whether a listener speaks what a route of a kind is for.
func (k routeKind) can(l *Listener) bool {
	switch k {
	case forConnections:
		return l.Protocol == plan.TCP || l.Protocol == plan.Auto || l.Protocol == plan.HTTP && l.TLS != nil
	case forDatagrams:
		return l.Protocol == plan.UDP
	}
	return l.Requests()
}

// takes reports whether a service is one that a route of a kind may lead to.
func (k routeKind) takes(s *Service) bool {
	switch k {
	case forConnections:
		return s.Stream || s.Open
	case forDatagrams:
		return s.Datagrams
	}
	return !s.Stream && !s.Datagrams
}
