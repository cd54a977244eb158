package control

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
)

// streaming has a name of its own for everything but what may have the same one.
const streaming = `
[listeners.web]
address = "127.0.0.1:80"
[listeners.both]
address = "127.0.0.1:53"
protocol = "auto"
proxy_protocol = ["10.0.0.0/8"]
[listeners.db]
address = "127.0.0.1:5432"
protocol = "tcp"
[listeners.dns]
address = "127.0.0.1:53"
protocol = "udp"
[routes.all]
service = "app"
upgrades = ["*"]
connect = true
[tcp_routes.dns]
rule = "SNI(` + "`dns.test`" + `)"
service = "db"
max_connections = 7
[tcp_routes.db]
listeners = ["db"]
service = "db"
connection_rate = 5
connection_burst = 50
[udp_routes.dns]
service = "resolver"
[services.app]
endpoints = ["http://10.0.0.1:53"]
[services.db]
endpoints = ["tcp://10.0.0.1:53"]
proxy_protocol = "v2"
[services.resolver]
endpoints = ["udp://10.0.0.1:53"]
`

// streamFor is the stream to which a connection leads, or a client; nil: there is none.
func streamFor(s *plan.Snapshot, l *plan.Listener, name string) *plan.Stream {
	r := &routing.Request{Client: netip.MustParseAddr("10.9.9.9")}
	if name != "" {
		r.TLS = &routing.Hello{SNI: []byte(name)}
	}
	if l.Streams == nil {
		return nil
	}
	if at := l.Streams.MatchHello(r); at >= 0 {
		return &s.Streams[at]
	}
	return nil
}

func TestStreamsCompile(t *testing.T) {
	r := newRig(t)
	s := r.start(streaming)
	web, both, db, dns := listener(t, s, "web"), listener(t, s, "both"), listener(t, s, "db"), listener(t, s, "dns")
	spoken := map[*plan.Listener]plan.Protocol{web: plan.HTTP, both: plan.Auto, db: plan.TCP, dns: plan.UDP}
	for l, want := range spoken {
		if l.Protocol != want || l.Vacant() {
			t.Errorf("listener %s has protocol %v, vacant %v", l.Name, l.Protocol, l.Vacant())
		}
		request := &routing.Request{Host: []byte("a.test"), Path: []byte("/")}
		if on := l.Table.Match(request) >= 0; on != (want == plan.HTTP || want == plan.Auto) {
			t.Errorf("listener %s has requests: %v", l.Name, on)
		}
	}
	if len(both.Proxied) != 1 || both.Proxied[0].String() != "10.0.0.0/8" || web.Proxied != nil {
		t.Errorf("PROXY headers from %v and %v", both.Proxied, web.Proxied)
	}
	for _, c := range []struct {
		l           *plan.Listener
		name        string
		to, service string
	}{
		{web, "dns.test", "", ""}, {both, "dns.test", "dns", "db"}, {both, "", "", ""}, {db, "dns.test", "dns", "db"},
		{db, "", "db", "db"}, {dns, "", "dns", "resolver"},
	} {
		got := streamFor(s, c.l, c.name)
		lost := got == nil
		if lost != (c.to == "") || !lost && (got.Name != c.to || s.Services[got.Service].Name != c.service) {
			t.Errorf("%q on %s leads to %+v", c.name, c.l.Name, got)
		}
	}
	one, other, third := streamFor(s, db, "dns.test"), streamFor(s, dns, ""), streamFor(s, db, "")
	if one.Connections != 7 || one.Rate != 0 || third.Rate != 5 || third.Burst != 50 || third.Connections != 0 {
		t.Errorf("limits: %+v and %+v", one, third)
	}
	if one.ID == other.ID || one.ID == third.ID || other.ID == third.ID {
		t.Errorf("IDs of %+v, %+v and %+v", one, other, third)
	}
	app, tcp, udp := &s.Services[0], &s.Services[1], &s.Services[2]
	if !tcp.Stream || tcp.Datagrams || tcp.Proxy != plan.ProxyV2 || tcp.ByClient || app.Stream || app.Proxy != 0 {
		t.Errorf("services %+v and %+v", app, tcp)
	}
	if !udp.Datagrams || udp.Stream || !udp.ByClient || udp.Endpoints[0].ID == tcp.Endpoints[0].ID {
		t.Errorf("services %+v and %+v", tcp, udp)
	}
	if route := &s.Routes[0]; len(route.Upgrades) != 1 || route.Upgrades[0] != "*" || !route.Connect {
		t.Errorf("route %+v", route)
	}
}

// What stays keeps its numbers, whatever comes and goes beside it, tcp and udp routes of one name among it; and the IDs
// of listeners are those of their addresses, of which TCP and UDP have each their own.
func TestStreamsKeepNumbers(t *testing.T) {
	r := newRig(t)
	first := r.start(streaming)
	type numbers struct {
		id     uint32
		series plan.Series
	}
	of := func(s *plan.Snapshot) map[string]numbers {
		all := map[string]numbers{}
		for _, v := range s.Streams {
			if v.Name != "" {
				all[s.Services[v.Service].Name+" "+v.Name] = numbers{v.ID, v.Series}
			}
		}
		return all
	}
	want := of(first)
	check := func(what string, s *plan.Snapshot, n int) {
		t.Helper()
		got := of(s)
		if len(got) != n {
			t.Errorf("%s: %d streams, want %d: %v", what, len(got), n, got)
		}
		for name, was := range want {
			if is, ok := got[name]; ok && is != was || is.series == metrics.Other && ok {
				t.Errorf("%s: %s had %v and has %v", what, name, was, is)
			}
		}
		for i := range min(len(s.Listeners), len(first.Listeners)) {
			is, was := &s.Listeners[i], &first.Listeners[i]
			if is.Addr != was.Addr || (is.Protocol == plan.UDP) != (was.Protocol == plan.UDP) {
				t.Errorf("%s: listener %d was %+v and is %+v", what, i, was, is)
			}
		}
	}
	check("at first", first, 3)
	check("a limit", r.reload(strings.Replace(streaming, "= 7", "= 8", 1)), 3)
	check("a rule", r.reload(strings.Replace(streaming, "`dns.test`", "`ns.test`", 1)), 3)
	const more = "[listeners.more]\naddress = \"127.0.0.1:9\"\nprotocol = \"tcp\"\n"
	wide := r.reload(streaming + more)
	check("a listener", wide, 3)
	if to := streamFor(wide, listener(t, wide, "more"), "dns.test"); to == nil || to.Name != "dns" {
		t.Errorf("a route that names no listener is not for a new one: %v", to)
	}
	i, j := strings.Index(streaming, "[udp_routes.dns]"), strings.Index(streaming, "[services.app]")
	check("no udp route", r.reload(streaming[:i]+streaming[j:]), 2)
	const another = "[udp_routes.a]\nservice = \"resolver\"\nrule = 'ClientIP(`10.0.0.1`)'\n"
	check("another udp route", r.reload(streaming+another), 4)
	spoken := r.reload(strings.Replace(streaming, `protocol = "auto"`, `protocol = "tcp"`, 1))
	check("another protocol", spoken, 3)
	r.m.forget()
	check("from nothing", r.reload(streaming), 3)
}
