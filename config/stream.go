package config

import (
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// stream reads [tcp_routes.NAME].
func (d *decoder) stream(t *table) *StreamRoute {
	r := &StreamRoute{Name: t.name}
	d.routeListeners(t, &r.Listeners, "names of the listeners with tls that the route is for; without it, all of them")
	r.Service = d.serviceRef(t, "the service that gets the connections, one with tcp:// endpoints")
	t.count("priority", prioritySays, &r.Priority, routing.MinPriority, routing.MaxPriority)
	all := []*rule.Expr{d.ruleText(t, rule.ParseStream, "which connections the route is for, by their ClientHello: "+
		matchersSay+streamRule, streamRule)}
	for i := range conditions {
		if c := &conditions[i]; c.kind.Stream() {
			all = append(all, d.condition(t, c))
		} else if _, ok := t.m[c.key]; ok {
			t.known = append(t.known, c.key)
			d.atKey(t.child(c.key), "a condition on requests", "one on connections, such as sni or alpn",
				"this is a tcp route, which is asked before there is a request")
		}
	}
	r.Rule = rule.All(all...)
	t.done()
	return r
}
