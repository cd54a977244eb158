package config

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/plan"
)

// TestEveryStreamKey: what the keys of tcp and udp routes become.
func TestEveryStreamKey(t *testing.T) {
	c := everything(t)
	if len(c.Streams) != 3 || len(c.Datagrams) != 2 {
		t.Fatalf("%d and %d", len(c.Streams), len(c.Datagrams))
	}
	db, rest, socket := c.Streams[0], c.Streams[1], c.Streams[2]
	const want = "SNI(`db.a.test`) && ClientIP(`10.0.0.0/8`) && SNI(`*.db.a.test`, `db.a.test`) && " +
		"SNIRegexp(`^db`) && ALPN(`postgresql`) && TLSVersion(`1.3`) && CipherSuite("
	if got := db.Rule.String(); !strings.HasPrefix(got, want) || !strings.Contains(got, "CipherSuiteOnly(") ||
		!strings.HasSuffix(got, "JA4(`t13d1516h2_8daaf6152771_e5627efa2ab1`)") {
		t.Errorf("%s", got)
	}
	db.Rule = nil
	if want := (&StreamRoute{
		Name: "db", Priority: 3, Service: "db", Listeners: []string{"secure", "strict"}, Hello: true,
	}); !reflect.DeepEqual(db, want) {
		t.Errorf("%+v", db)
	}
	if got := rest.Rule.String(); got != "DestinationPort(`5432`)" {
		t.Errorf("%s", got)
	}
	rest.Rule = nil
	if want := (&StreamRoute{
		Name: "rest", Service: "safe-db", Terminate: true, Connections: 100, Rate: 10, Burst: 50,
	}); !reflect.DeepEqual(rest, want) {
		t.Errorf("%+v", rest)
	}
	if socket.Rate != 10 || socket.Burst != 10 {
		t.Errorf("a burst that is not written: %+v", socket)
	}
	dns := c.Datagrams[0]
	if got := dns.Rule.String(); got != "ClientIP(`10.0.0.0/8`) && DestinationPort(`53`) && ClientIP(`10.0.0.0/9`)" {
		t.Errorf("%s", got)
	}
	dns.Rule = nil
	if want := (&StreamRoute{
		Name: "dns", Service: "dns", Priority: 1, Listeners: []string{"dns"}, Datagrams: true, Connections: 5, Rate: 6,
		Burst: 7,
	}); !reflect.DeepEqual(dns, want) {
		t.Errorf("%+v", dns)
	}
}

// TestEveryStreamService: what services for streams become, and what their defaults are.
func TestEveryStreamService(t *testing.T) {
	c := everything(t)
	for name, want := range map[string]Service{
		"app":     {},
		"db":      {Stream: true},
		"socket":  {Open: true},
		"sent":    {Stream: true, Proxy: plan.ProxyV1},
		"safe-db": {Stream: true, Proxy: plan.ProxyV2, ByClient: true},
		"dns":     {Datagrams: true, ByClient: true},
		"turns":   {Datagrams: true},
	} {
		got := *serviceOf(t, c, name)
		if secure := got.TLS != nil; secure != (name == "safe-db") {
			t.Errorf("%s: tls %v", name, got.TLS)
		}
		want.Name, want.Endpoints, want.TLS = name, got.Endpoints, got.TLS
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if db := serviceOf(t, c, "safe-db").Endpoints; !db[0].TLS || db[0].Port != 5433 || db[0].Host != "db" || db[1].TLS {
		t.Errorf("%+v", db)
	}
}

// TestUpgrades: what routes let through, and that most of them share it.
func TestUpgrades(t *testing.T) {
	c := everything(t)
	for _, r := range c.Routes {
		want := []string{"websocket"}
		switch r.Name {
		case "chat":
			want = []string{"custom/2", "websocket"}
		case "many":
			want = []string{"*"}
		case "still":
			want = nil
		default:
			if &r.Upgrades[0] != &defaultUpgrades[0] {
				t.Errorf("%s has a list of its own", r.Name)
			}
		}
		if !slices.Equal(r.Upgrades, want) || r.Connect != (r.Name == "chat") {
			t.Errorf("%s: %q, %v", r.Name, r.Upgrades, r.Connect)
		}
	}
}

// TestListenersOfTCP: TLS that ends at a listener for tcp offers what it is told to, and nothing otherwise.
func TestListenersOfTCP(t *testing.T) {
	raw := listenerOf(t, everything(t), "raw")
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	if raw.Protocol != plan.TCP || !slices.Equal(raw.TLS.Policy.ALPN, []string{"postgresql", "x"}) ||
		!slices.Equal(raw.Proxied, proxies) {
		t.Errorf("%+v", raw)
	}
	c, faults := Parse("x", []byte(streamRig("[listeners.pg]\naddress=':1'\nprotocol='tcp'\ntls.self_signed=true\n")))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if alpn := listenerOf(t, c, "pg").TLS.Policy.ALPN; len(alpn) > 0 {
		t.Errorf("%q", alpn)
	}
}

// streamRig is a configuration with a listener of each kind.
func streamRig(more string) string {
	return `
[listeners.web]
address = ":80"
[listeners.secure]
address = ":443"
tls.self_signed = true
[listeners.pass]
address = ":444"
tls = {}
[listeners.raw]
address = ":5432"
protocol = "tcp"
[listeners.ended]
address = ":5433"
protocol = "tcp"
tls.self_signed = true
[listeners.auto]
address = ":8443"
protocol = "auto"
[listeners.both]
address = ":8444"
protocol = "auto"
tls.self_signed = true
[listeners.dns]
address = ":53"
protocol = "udp"
[routes.app]
service = "app"
[tcp_routes.all]
service = "db"
[tcp_routes.named]
sni = "a.test"
service = "db"
[tcp_routes.ended]
tls = "terminate"
service = "db"
[tcp_routes.ended-name]
tls = "terminate"
rule = "!SNI(` + "`b.test`" + `)"
service = "socket"
[tcp_routes.web]
listeners = "secure"
service = "db"
[udp_routes.dns]
service = "dns"
[services.app]
endpoints = "http://10.0.0.1"
[services.db]
endpoints = "tcp://10.0.0.1:5432"
[services.socket]
endpoints = "unix:/run/db.sock"
[services.dns]
endpoints = "udp://10.0.0.1:53"
` + more
}

// TestFor: which listeners a route is for that names none.
func TestFor(t *testing.T) {
	c, faults := Parse("x", []byte(streamRig("")))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want := map[string]string{
		"app":        "auto both pass secure web",
		"all":        "auto both ended pass raw",
		"named":      "auto both ended pass raw secure",
		"ended":      "both ended",
		"ended-name": "both ended secure",
		"web":        "secure",
		"dns":        "dns",
	}
	check := func(name string, takes func(*Listener) bool) {
		var on []string
		for _, l := range c.Listeners {
			if takes(l) {
				on = append(on, l.Name)
			}
		}
		if got := strings.Join(on, " "); got != want[name] {
			t.Errorf("%s is for %s, want %s", name, got, want[name])
		}
	}
	check("app", c.Routes[0].For)
	for _, r := range append(c.Streams, c.Datagrams...) {
		check(r.Name, r.For)
	}
}

// TestKindsChangeLater: what becomes of routes that did not change, when listeners and services become others.
func TestKindsChangeLater(t *testing.T) {
	good := streamRig("")
	for _, c := range []struct{ old, new, want string }{
		{"[listeners.web]\naddress = \":80\"", "[listeners.web]\naddress = \":80\"\nprotocol = \"tcp\"", ""},
		{"endpoints = \"http://10.0.0.1\"", "endpoints = \"udp://10.0.0.1:1\"", "routes.app.service"},
		{"endpoints = \"udp://10.0.0.1:53\"", "endpoints = \"tcp://10.0.0.1:53\"", "udp_routes.dns.service"},
		{"protocol = \"udp\"", "protocol = \"tcp\"", "udp_routes.dns: found a udp route, and no listener for it"},
		{"unix:/run/db.sock", "http://10.0.0.1", "tcp_routes.ended-name.service"},
		{"address = \":443\"\ntls.self_signed = true", "address = \":443\"", "tcp_routes.web.listeners"},
		{"address = \":443\"\n", "address = \":443\"\nprotocol = \"udp\"\n", "listeners.secure.tls"},
		{"[udp_routes.dns]\nservice = \"dns\"", "", ""},
		{"[services.dns]", "[services.dnt]", `udp_routes.dns.service: found "dns", which is no service`},
	} {
		l := NewLoader()
		if _, faults := l.load("x", []revised{{source: newSource("x", good)}}); len(faults) > 0 {
			t.Fatal(faults)
		}
		text := strings.Replace(good, c.old, c.new, 1)
		cfg, faults := l.load("x", []revised{{source: newSource("x", text)}})
		if c.want == "" && cfg != nil {
			continue
		}
		if len(faults) == 0 || !strings.Contains(faults.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.new, faults, c.want)
		}
		if _, whole := Parse("x", []byte(text)); whole.Error() != faults.Error() {
			t.Errorf("%q: read again it is %v, read whole %v", c.new, faults, whole)
		}
	}
}

// TestRoutesLoseTheirListeners: routes for requests that nobody changed, when the last listener for them becomes
// another.
func TestRoutesLoseTheirListeners(t *testing.T) {
	const good = "[listeners.a]\naddress = \":1\"\n[routes.r]\nservice = \"s\"\n" +
		"[routes.named]\nlisteners = \"a\"\nservice = \"s\"\n[services.s]\nendpoints = \"http://10.0.0.1\"\n"
	l := NewLoader()
	if _, faults := l.load("x", []revised{{source: newSource("x", good)}}); len(faults) > 0 {
		t.Fatal(faults)
	}
	text := strings.Replace(good, "[routes.r]", "protocol = \"tcp\"\n[routes.r]", 1)
	_, faults := l.load("x", []revised{{source: newSource("x", text)}})
	if len(faults) != 2 || !strings.Contains(faults[0].Error(), "routes.r: found a route, and no listener for it") ||
		!strings.Contains(faults[1].Error(), `routes.named.listeners: found "a", which has protocol = "tcp"`) {
		t.Errorf("%v", faults)
	}
}

// TestRedirectsOfAuto: where plain requests are sent that come to a listener for TLS and everything else.
func TestRedirectsOfAuto(t *testing.T) {
	for more, want := range map[string]uint16{
		"redirect_https = true\ntls.self_signed = true\n":                 8443,
		"redirect_https = { port = 443 }\ntls.self_signed = true\n":       443,
		"redirect_https = { code = 301 }\ntls.self_signed = true\n":       8443,
		"redirect_https = true\n":                                         443,
		"redirect_https = true\ntls.self_signed = true\nhsts='max-age=1'": 8443,
	} {
		text := "[listeners.front]\naddress = \":8443\"\nprotocol = \"auto\"\n" + more +
			"\n[routes.app]\nservice = \"app\"\n[services.app]\nendpoints = \"http://10.0.0.1\"\n"
		c, faults := Parse("x", []byte(text))
		if len(faults) > 0 {
			t.Errorf("%s\n%v", more, faults)
			continue
		}
		if r := listenerOf(t, c, "front").Redirect; r == nil || r.Port != want {
			t.Errorf("%s\n%+v", more, r)
		}
	}
}
