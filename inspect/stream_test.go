package inspect

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
)

// streamQuestions are what is asked of testdata/explain/streams.toml; the answer is in a file of that name.
var streamQuestions = map[string]Question{
	"stream-silent":    {Listener: "pg", ClientIP: "192.0.2.1"},
	"stream-plain":     {Listener: "pg", ClientIP: "10.1.2.3"},
	"stream-proxied":   {Listener: "pg", ClientIP: "10.1.2.3", Port: 6050},
	"stream-name":      {Listener: "pg", TLS: TLS{SNI: "orders.example.com", Version: "1.3"}},
	"stream-port":      {Port: 6379},
	"stream-elsewhere": {Listener: "raw", Port: 6380},
	"stream-ended":     {Listener: "mqtts", TLS: TLS{SNI: "mqtt.example.com", Version: "1.3"}, Routes: []string{"ssh"}},
	"stream-untold":    {Listener: "mqtts", ClientIP: "10.1.2.3"},
	"stream-ssh":       {Listener: "front"},
	"stream-https":     {Listener: "front", URL: "https://example.com/"},
	"stream-http":      {URL: "http://example.com:8443/"},
	"stream-chat": {Listener: "web", URL: "/", Fields: []string{
		"Host: tunnel.example.com", "Upgrade: websocket, h2c,Custom/2", "Connection: upgrade",
	}},
	"stream-connect": {Listener: "web", URL: "tunnel.example.com:443", Method: "CONNECT"},
	"stream-refused": {Listener: "web", URL: "example.com:443", Method: "CONNECT"},
	"stream-udp":     {Listener: "dns", ClientIP: "10.1.2.3"},
	"stream-drop":    {Listener: "dns", ClientIP: "192.0.2.1"},
}

func TestExplainStreams(t *testing.T) {
	c := load(t, "testdata/explain/streams.toml")
	for name, q := range streamQuestions {
		r, err := Explain(c, &q)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		golden(t, "testdata/explain/"+name+".txt", r.Text())
	}
}

// TestBadStreamQuestions: questions about connections that make no sense.
func TestBadStreamQuestions(t *testing.T) {
	c := load(t, "testdata/explain/streams.toml")
	for _, tt := range []struct {
		q    Question
		want string
	}{
		{Question{Listener: "raw", URL: "/"}, `listener raw has protocol = "tcp", on which there are no requests`},
		{Question{Listener: "dns", TLS: TLS{SNI: "a.b"}}, "nothing is read of what is in them"},
		{Question{Port: 5432}, "find listener: the URL does not tell which"},
		{Question{Port: 70000}, "70000 is none"},
		{Question{Listener: "web", Port: 8080}, "it is empty"},
		{Question{Listener: "raw", ClientIP: "10.0.0"}, "read client address"},
	} {
		if _, err := Explain(c, &tt.q); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v, want %s", tt.q, err, tt.want)
		}
	}
}

// TestDocsOfStreams: check has nothing to say of the configurations in the chapter on streams.
func TestDocsOfStreams(t *testing.T) {
	text, err := os.ReadFile("../docs/streams.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range strings.Split(string(text), "\n```toml\n")[1:] {
		example, _, _ := strings.Cut(block, "```\n")
		if r := Check(context.Background(), parse(t, example), Options{}); !r.OK || len(r.Warnings) > 0 {
			t.Errorf("%s\n%+v %+v", example, r.Faults, r.Warnings)
		}
	}
}

func (m maker) streamMatcher(datagrams bool) string {
	switch n := m.IntN(8); {
	case n < 2:
		return "ClientIP(" + m.quoted("10.0.0.0/8", "10.0.0.1", "10.0.0.0/31", "fe80::/10") + ")"
	case n < 4 || datagrams:
		return "DestinationPort(" + m.quoted("1", "1-2", "2-3", "3", "4-65535") + ")"
	case n < 7:
		return m.pick("SNI(`a.x`)", "SNI(`*.x`)", "SNIRegexp(`^a`)", "SNIRegexp(`^$`)", "SNI(`b.x`, `y`)")
	}
	return m.pick("ALPN(`h2`)", "TLSVersion(`1.2`)", "TLSVersion(`1.2`, `1.3`)", "CipherSuiteOnly(`0xc02f`)")
}

func (m maker) streamRule(depth int, datagrams bool) string {
	if depth == 0 || m.IntN(2) == 0 {
		return m.pick("", "", "", "!") + m.streamMatcher(datagrams)
	}
	return m.pick("", "", "", "!") + "(" + m.streamRule(depth-1, datagrams) + m.pick(" && ", " || ") +
		m.streamRule(depth-1, datagrams) + ")"
}

// streamText is a configuration of n tcp and n udp routes on listeners of all kinds.
func (m maker) streamText(n int) string {
	var b strings.Builder
	b.WriteString("[listeners.web]\naddress = \":1\"\ntls.self_signed = true\n" +
		"[listeners.raw]\naddress = \":4\"\nprotocol = \"tcp\"\nproxy_protocol = \"10.0.0.0/8\"\n" +
		"[listeners.ended]\naddress = \":2\"\nprotocol = \"tcp\"\ntls.self_signed = true\n" +
		"[listeners.auto]\naddress = \":3\"\nprotocol = \"auto\"\n" +
		"[listeners.dns]\naddress = \":1\"\nprotocol = \"udp\"\n" +
		"[listeners.ntp]\naddress = \":2\"\nprotocol = \"udp\"\n" +
		"[services.tcp]\nendpoints = \"tcp://10.0.0.1:1\"\n[services.udp]\nendpoints = \"udp://10.0.0.1:1\"\n")
	for _, of := range []struct {
		table, service string
		listeners      []string
	}{
		{"tcp_routes.t", "tcp", []string{"web", "raw", "ended", "auto"}},
		{"udp_routes.u", "udp", []string{"dns", "ntp"}},
	} {
		for i := range n {
			fmt.Fprintf(&b, "[%s%02d]\nservice = \"%s\"\n", of.table, i, of.service)
			if m.IntN(10) > 0 {
				fmt.Fprintf(&b, "rule = '%s'\n", m.streamRule(m.IntN(3), of.service == "udp"))
			}
			fmt.Fprintf(&b, "priority = %d\n", m.IntN(3))
			if m.IntN(3) == 0 {
				fmt.Fprintf(&b, "listeners = %q\n", m.pick(of.listeners...))
			}
		}
	}
	return b.String()
}

// streamTruth compiles what leads on from a listener.
func streamTruth(t *testing.T, l *config.Listener, routes []*config.StreamRoute) *routing.Table {
	t.Helper()
	var list []routing.Route
	for i, r := range routes {
		if r.For(l) {
			list = append(list, routing.Route{Name: r.Name, Priority: r.Priority, Rule: r.Rule, Target: i})
		}
	}
	table, err := routing.CompileStreams(list)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// compareStreams makes one configuration, and holds what is said of its tcp and udp routes to what happens. It returns
// how many are said to be out of reach.
func compareStreams(t *testing.T, seed uint64) (idle int) {
	m := maker{rand.New(rand.NewPCG(seed, 11))}
	text := m.streamText(2 + m.IntN(20))
	c := parse(t, text)
	unreachable := map[string]string{}
	result := Check(context.Background(), c, Options{})
	for i := range result.Warnings {
		if w := &result.Warnings[i]; w.Code == Shadowed || w.Code == Duplicate || w.Code == Never {
			unreachable[strings.Split(w.Key, ".")[1]] = w.String()
		}
	}
	for _, l := range c.Listeners {
		routes := c.Streams
		if l.Protocol == plan.UDP {
			routes = c.Datagrams
		}
		table := streamTruth(t, l, routes)
		for i := range 30 {
			q := &Question{Listener: l.Name, ClientIP: m.pick("", "10.0.0.1", "10.0.0.3", "fe80::1")}
			if l.Protocol != plan.UDP && (l.Protocol == plan.HTTP || m.IntN(2) == 0) {
				q.TLS = m.offer()
			}
			if len(l.Proxied) > 0 {
				q.Port = m.IntN(6)
			}
			a, err := ask(c, q)
			if err != nil {
				t.Fatal(err)
			}
			e := &explainer{config: c, asked: a, question: q, listener: l}
			if e.arriveAt(); a.TLS != nil {
				e.assume()
			}
			name := ""
			if n := table.MatchHello(&a.Request); n >= 0 {
				name = routes[n].Name
			}
			if unreachable[name] != "" {
				t.Fatalf("seed %d: %s\nbut it gets %+v\n%s", seed, unreachable[name], q, text)
			}
			if i < 3 {
				compareStanding(t, c, q, name)
			}
		}
	}
	return len(unreachable)
}

// compareStanding holds a report to what the tables say.
func compareStanding(t *testing.T, c *config.Config, q *Question, name string) {
	t.Helper()
	r, err := Explain(c, q)
	if err != nil {
		t.Fatalf("%v: %+v", err, q)
	}
	s, all := r.Streams, len(c.Streams)
	if r.Datagrams != nil {
		s, all = r.Datagrams, len(c.Datagrams)
	}
	told := len(s.Later) + len(s.Misses)
	if s.Winner != nil {
		told++
	}
	for _, o := range s.Omitted {
		told += o.Count
	}
	if got := s.Winner; told != all || (got == nil) != (name == "") || got != nil && got.Route != name {
		t.Fatalf("%+v gets %q, and %+v says %+v of %d among %d", q, name, r.Listener, got, told, all)
	}
	if text := r.Text(); name != "" && !strings.Contains(text, " "+name+" takes ") {
		t.Fatalf("%s is not told:\n%s", name, text)
	}
}

func TestWhatIsSaidOfStreamsIsTrue(t *testing.T) {
	idle := 0
	for seed := range uint64(60) {
		idle += compareStreams(t, seed)
	}
	if idle < 60 {
		t.Errorf("only %d routes were found that nothing reaches", idle)
	}
}

func FuzzWhatIsSaidOfStreamsIsTrue(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { compareStreams(t, seed) })
}

// TestExplainAutoRedirect: of a listener on which the first bytes decide, it is requests without TLS that are sent
// away.
func TestExplainAutoRedirect(t *testing.T) {
	c := load(t, "testdata/check/passage.toml")
	for _, tt := range []struct {
		q      Question
		status int
		says   string
		route  string
	}{
		{Question{Listener: "front", URL: "http://f.test/x"}, 308, "https://f.test:8443", ""},
		{Question{Listener: "front", URL: "https://f.test/x"}, 0, "", "over-tls"},
		{Question{Listener: "front", URL: "a.test:443", Method: "CONNECT"}, 405, "sends clients to https", ""},
		{Question{
			Listener: "front", URL: "a.test:443", Method: "CONNECT", TLS: TLS{SNI: "a.test", Version: "1.3"},
		}, 0, "", "connect-fine"},
	} {
		r, err := Explain(c, &tt.q)
		if err != nil {
			t.Errorf("%+v: %v", tt.q, err)
			continue
		}
		route := ""
		if r.Winner != nil {
			route = r.Winner.Route
		}
		if r.Status != tt.status || !strings.Contains(r.Reason, tt.says) || route != tt.route {
			t.Errorf("%+v: %d, %q, %q", tt.q, r.Status, r.Reason, route)
		}
	}
}

// TestExplainUpgrades: what is no offer is not said to be one, and what is answered with an error is.
func TestExplainUpgrades(t *testing.T) {
	c := load(t, "testdata/explain/streams.toml")
	const host, connection = "Host: tunnel.example.com", "Connection: keep-alive, upgrade"
	for _, tt := range []struct {
		method  string
		fields  []string
		status  int
		upgrade string
		note    string
	}{
		{"GET", []string{host, "Upgrade: websocket", connection}, 0, "websocket", ""},
		{"GET", []string{host, "Upgrade: websocket"}, 0, "", "Connection does not name it"},
		{"GET", []string{host, "Upgrade: h2c", connection}, 0, "", "no upgrade to h2c"},
		{"POST", []string{host, "Upgrade: custom, WebSocket/13", connection}, 400, "", ""},
		{"POST", []string{host, "Upgrade: custom", connection}, 0, "custom", ""},
	} {
		r, err := Explain(c, &Question{Listener: "web", URL: "/", Method: tt.method, Fields: tt.fields})
		if err != nil {
			t.Errorf("%v: %v", tt.fields, err)
			continue
		}
		upgrade := ""
		if r.Forward != nil {
			upgrade = strings.Join(r.Forward.Upgrade, ", ")
		}
		if notes := strings.Join(r.Notes, "\n"); r.Status != tt.status || upgrade != tt.upgrade ||
			!strings.Contains(notes, tt.note) {
			t.Errorf("%v: %d, upgrade to %q, %q", tt.fields, r.Status, upgrade, notes)
		}
	}
}
