package config

import (
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// Bounds of the limits of streams.
const (
	maxStreams = 10_000_000
	maxRate    = 10_000_000
)

// stream reads [tcp_routes.NAME].
func (d *decoder) stream(t *table) *StreamRoute {
	r := &StreamRoute{Name: t.name}
	d.routeListeners(t, &r.Listeners, `names of the listeners that the route is for; without it, all with protocol `+
		`"tcp" or "auto", and those for requests over TLS if its rule looks at TLS`)
	t.count("priority", prioritySays, &r.Priority, routing.MinPriority, routing.MaxPriority)
	r.Service = d.serviceRef(t, "the service that gets the connections, one with tcp:// or tls:// endpoints")
	r.Rule = d.streamRule(t, "which connections the route is for, by their ClientHello and addresses: "+matchersSay+
		streamRule, streamRule, rule.ParseStream, rule.Kind.Stream, misplacedInStream)
	r.Hello = r.Rule.LooksAtTLS()
	how := "passthrough"
	t.choice("tls", "what becomes of TLS: it is passed on as it is, or it ends here and what was in it is passed on",
		&how, "passthrough", "terminate")
	r.Terminate = how == "terminate"
	d.streamLimits(t, r, "connections")
	t.done()
	return r
}

// datagrams reads [udp_routes.NAME].
func (d *decoder) datagrams(t *table) *StreamRoute {
	r := &StreamRoute{Name: t.name, Datagrams: true}
	d.routeListeners(t, &r.Listeners,
		`names of the listeners that the route is for; without it, all with protocol "udp"`)
	t.count("priority", prioritySays, &r.Priority, routing.MinPriority, routing.MaxPriority)
	r.Service = d.serviceRef(t, "the service that gets the datagrams, one with udp:// endpoints")
	r.Rule = d.streamRule(t, "which clients the route is for, by addresses: "+matchersSay+clientRule, clientRule,
		rule.ParseDatagram, rule.Kind.Datagram, misplacedInDatagrams)
	d.streamLimits(t, r, "clients")
	t.done()
	return r
}

// misfit is what to say of a condition that cannot be asked in a route.
type misfit struct{ found, expected, hint string }

var (
	misplacedInStream = misfit{"a condition on requests", "one on connections, such as sni or alpn",
		"this is a tcp route, which is asked before there is a request"}
	misplacedInDatagrams = misfit{"a condition on requests or TLS", "client_ip or destination_port",
		"this is a udp route, of which nothing but addresses is known"}
)

// streamRule reads rule and the keys that stand for matchers, as far as they may be asked.
func (d *decoder) streamRule(t *table, says, expected string, parse func(string) (*rule.Expr, error),
	may func(rule.Kind) bool, no misfit) *rule.Expr {
	all := []*rule.Expr{d.ruleText(t, parse, says, expected)}
	refuse := func(key string) {
		if _, ok := t.m[key]; ok {
			t.refused = append(t.refused, key)
			d.atKey(t.child(key), no.found, no.expected, no.hint)
		}
	}
	for i := range conditions {
		if c := &conditions[i]; may(c.kind) {
			all = append(all, d.condition(t, c))
		} else {
			refuse(c.key)
		}
	}
	refuse("headers")
	refuse("query")
	return rule.All(all...)
}

// streamLimits reads how many connections, or clients, there may be.
func (d *decoder) streamLimits(t *table, r *StreamRoute, what string) {
	t.count("max_connections", what+" at one time; more are turned away. 0: no limit", &r.Connections, 0, maxStreams)
	t.count("connection_rate", what+" that may begin in a second; more are turned away. 0: no limit",
		&r.Rate, 0, maxRate)
	t.count("connection_burst", what+" that may begin at once, at the pace of connection_rate after that; 0: as many "+
		"as in a second", &r.Burst, 0, maxRate)
	switch {
	case r.Burst > 0 && r.Rate == 0:
		d.atKey(t.child("connection_burst"), "connection_burst without connection_rate",
			"connection_rate beside it", "")
		r.Burst = 0
	case r.Burst == 0:
		r.Burst = r.Rate
	}
}
