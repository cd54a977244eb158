package inspect

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/routing"
)

// maker makes configurations and requests from words so few that they meet often.
type maker struct{ *rand.Rand }

func (m maker) pick(words ...string) string { return words[m.IntN(len(words))] }

func (m maker) host() string { return m.pick("", "a.", "b.", "a.b.") + m.pick("x", "x.y", "y") }

func (m maker) path() string {
	var b strings.Builder
	for range m.IntN(3) {
		b.WriteString("/" + m.pick("a", "ab", "b", "1"))
	}
	return b.String() + m.pick("", "", "/")
}

func (m maker) quoted(words ...string) string {
	list := make([]string, 1+m.IntN(5)/3)
	for i := range list {
		list[i] = "`" + m.pick(words...) + "`"
	}
	return strings.Join(list, ", ")
}

func (m maker) matcher() string {
	name := m.pick("X-A", "x-b")
	switch m.IntN(20) {
	case 0, 1, 2, 3:
		return "Host(" + m.quoted(m.host(), m.pick("*.", "**.")+m.host()) + ")"
	case 4:
		return "HostRegexp(" + m.quoted(`^a\.`, `x$`, `.*`) + ")"
	case 5, 6, 7:
		return "PathPrefix(" + m.quoted("/"+m.path(), "/a", "/a/b") + ")"
	case 8:
		return "PathPrefixRaw(" + m.quoted("/a", "/ab", "/a/") + ")"
	case 9:
		return "Path(" + m.quoted("/a", "/a//b", "/"+m.path()) + ")"
	case 10:
		return "PathRegexp(" + m.quoted(`^/a`, `^/a/[0-9]+$`, `b$`, `^/`) + ")"
	case 11:
		return "Method(" + m.quoted("GET", "POST") + ")"
	case 12:
		return "Header(`" + name + "`" + m.pick("", ", "+m.quoted("1", "2", "3")) + ")"
	case 13:
		return "HeaderRegexp(`" + name + "`, " + m.quoted("^[12]$", "3", "^$") + ")"
	case 14:
		return "Query(`q`" + m.pick("", ", "+m.quoted("1", "2")) + ")"
	case 16:
		return "DestinationPort(" + m.quoted("1", "1-2", "2-3", "3", "1-65535") + ")"
	case 15:
		return "ClientIP(" + m.quoted("10.0.0.0/8", "10.0.0.1", "10.0.0.0/31", "fe80::/10") + ")"
	}
	return m.pick("QueryRegexp(`q`, `^[12]$`)", "SNI(`a.x`)", "ALPN(`h2`)", "SNIRegexp(`^a`)", "SNI(`*.x`)",
		"CipherSuite(`0x1301`)", "CipherSuiteOnly(`0x1301`, `0xc02f`)", "CipherSuiteOnly(`0xc02f`)",
		"TLSVersion(`1.2`)", "TLSVersion(`1.2`, `1.3`)", "ClientCert(`a`)", "ClientCert(`a`, `b`)",
		"ClientCertRegexp(`^a`)")
}

func (m maker) rule(depth int) string {
	if depth == 0 || m.IntN(2) == 0 {
		return m.pick("", "", "", "!") + m.matcher()
	}
	return m.pick("", "", "", "!") + "(" + m.rule(depth-1) + m.pick(" && ", " && ", " || ") + m.rule(depth-1) + ")"
}

// text is a configuration of n routes; crowded, they have host and path in common.
func (m maker) text(n int, crowded bool) string {
	var b strings.Builder
	b.WriteString("[listeners.web]\naddress = \":1\"\n")
	if n%2 == 0 {
		b.WriteString("[listeners.web.tls]\nself_signed = true\n" +
			"client_certificate = { mode = \"request\", ca = \"testdata/ca.pem\" }\n")
	}
	b.WriteString("[listeners.other]\naddress = \":2\"\n" +
		"[listeners.third]\naddress = \":3\"\n[services.app]\nendpoints = \"http://10.0.0.1\"\n")
	for i := range n {
		fmt.Fprintf(&b, "[routes.r%02d]\nservice = \"app\"\n", i)
		text := m.rule(m.IntN(4))
		if crowded {
			text = "Host(`x`) && " + text
		}
		if m.IntN(15) > 0 {
			fmt.Fprintf(&b, "rule = '%s'\n", text)
		}
		if m.IntN(3) == 0 {
			fmt.Fprintf(&b, "priority = %d\n", m.IntN(4)-1)
		}
		switch m.IntN(6) {
		case 0:
			fmt.Fprintf(&b, "listeners = %q\n", m.pick("web", "other"))
		case 1:
			b.WriteString("listeners = [\"other\", \"web\"]\n")
		}
	}
	return b.String()
}

func (m maker) question() *Question {
	q := &Question{
		URL:      "http://" + m.pick(m.host(), strings.ToUpper(m.host())+":80", m.host()+".") + "/" + m.path(),
		Method:   m.pick("GET", "POST", "PUT"),
		ClientIP: m.pick("", "10.0.0.1", "10.0.0.3", "fe80::1"),
		Listener: m.pick("web", "other", "third"),
	}
	if m.IntN(10) == 0 {
		q.URL = "/" + m.path()
	}
	q.URL += m.pick("", "", "?q", "?q=1", "?q=%32", "?q=3&r")
	for range m.IntN(3) {
		q.Fields = append(q.Fields, m.pick("x-a", "X-B")+": "+m.pick("", "1", "2", "3"))
	}
	return q
}

// offer is what a client says with which a handshake succeeds.
func (m maker) offer() TLS {
	o := TLS{
		SNI: m.pick("a.x", "b.x", "y"), Version: m.pick("1.2", "1.3"), ALPN: []string{"http/1.1", "h2"}[:1+m.IntN(2)],
		Suites: []string{"0xc02f", "0x1301", "0x1302"}[:1+m.IntN(3)],
	}
	for range m.IntN(3) {
		o.ClientCert = append(o.ClientCert, m.pick("a", "ab", "b", "c"))
	}
	return o
}

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, faults := config.Parse("my.toml", []byte(text))
	if len(faults) > 0 {
		t.Fatalf("%v\n%s", faults, text)
	}
	return c
}

// truth compiles what control would compile for a listener.
func truth(t *testing.T, c *config.Config, listener string) *routing.Table {
	t.Helper()
	var routes []routing.Route
	for i, r := range c.Routes {
		if len(r.Listeners) == 0 || slices.Contains(r.Listeners, listener) {
			routes = append(routes, routing.Route{Name: r.Name, Priority: r.Priority, Rule: r.Rule, Target: i})
		}
	}
	table, err := routing.Compile(routes)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// compare makes one configuration, and holds what is said of it to what happens. It returns how many routes are said to
// be out of reach.
func compare(t *testing.T, seed uint64, requests int) (idle int) {
	m := maker{rand.New(rand.NewPCG(seed, 7))}
	text := m.text(2+m.IntN(50), m.IntN(3) == 0)
	c := parse(t, text)
	result := Check(context.Background(), c, Options{})
	if !result.OK {
		t.Fatalf("seed %d: %+v", seed, result.Faults)
	}
	unreachable := map[string]string{}
	for i := range result.Warnings {
		w := &result.Warnings[i]
		whole := w.Code == TLSOnPlain && strings.HasPrefix(w.Message, "a route")
		if w.Code == Shadowed || w.Code == Duplicate || w.Code == Never || whole {
			name, _ := strings.CutPrefix(w.Key, "routes.")
			name, _, _ = strings.Cut(name, ".")
			unreachable[name] = w.String()
		}
	}
	parts := coveredParts(c)
	tables := map[string]*routing.Table{}
	for _, l := range c.Listeners {
		tables[l.Name] = truth(t, c, l.Name)
	}
	for i := range requests {
		q := m.question()
		asked := func(l *config.Listener) bool { return l.Name == q.Listener }
		if c.Listeners[slices.IndexFunc(c.Listeners, asked)].TLS != nil {
			q.TLS = m.offer()
		}
		a, err := ask(c, q)
		if err != nil {
			t.Fatal(err)
		}
		a.Request.Port = c.Listeners[slices.IndexFunc(c.Listeners, asked)].Addr.Port()
		name, by := "", ""
		if n := tables[q.Listener].Match(&a.Request); n >= 0 {
			r := c.Routes[n]
			j, err := routing.Judge(routing.Route{Name: r.Name, Priority: r.Priority, Rule: r.Rule}, &a.Request)
			if err != nil || !j.Fits {
				t.Fatalf("seed %d: %v, fits %v", seed, err, j.Fits)
			}
			name, by = r.Name, j.Alternative.String()
		}
		switch {
		case unreachable[name] != "":
			t.Fatalf("seed %d: %s\nbut it gets %+v\n%s", seed, unreachable[name], q, text)
		case parts[name+" "+by]:
			t.Fatalf("seed %d: %s of %s decides %+v\n%s", seed, by, name, q, text)
		}
		if i < 5 {
			compareReport(t, c, q, name, by)
		}
	}
	return len(unreachable)
}

// compareReport holds a report to what the tables say.
func compareReport(t *testing.T, c *config.Config, q *Question, name, by string) {
	t.Helper()
	r, err := Explain(c, q)
	if err != nil {
		t.Fatalf("%v: %+v", err, q)
	}
	told := len(r.Later) + len(r.Misses)
	for _, o := range r.Omitted {
		told += o.Count
	}
	switch {
	case r.Winner == nil && name == "" && r.Status == 404 && told == len(c.Routes):
	case r.Winner != nil && r.Winner.Route == name && told == len(c.Routes)-1 &&
		(r.Winner.Alternative == by || r.Winner.Alternative == "" && by == "PathPrefix(`/`)"):
	default:
		t.Fatalf("%s by %s: %+v gives %+v with %d others of %d", name, by, q, r.Winner, told, len(c.Routes)-1)
	}
}

// coveredParts are the alternatives that others cover, after the names of their routes.
func coveredParts(c *config.Config) map[string]bool {
	k := &checker{config: c}
	x := newCrowd(c.Listeners, c.Routes, ofRequests)
	for _, r := range c.Routes {
		k.route(x, r)
	}
	x.sort()
	parts := map[string]bool{}
	for _, m := range x.members {
		if by, _ := x.cover(m); m.dead || len(by) > 0 {
			parts[m.route.Name+" "+m.Alternative.String()] = true
		}
	}
	return parts
}

func TestWhatIsSaidIsTrue(t *testing.T) {
	idle := 0
	for seed := range uint64(60) {
		idle += compare(t, seed, 120)
	}
	if idle < 60 {
		t.Errorf("only %d routes were found that no request reaches", idle)
	}
}

func FuzzWhatIsSaidIsTrue(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { compare(t, seed, 10) }) // a fuzz target wants many tables
}

// A client that connects by IPv4 to a socket for both is an IPv4 client to rules.
func TestMappedClients(t *testing.T) {
	c := parse(t, maker{rand.New(rand.NewPCG(1, 1))}.text(5, false))
	a, err := ask(c, &Question{URL: "http://x/a", ClientIP: "::ffff:10.0.0.1"})
	if err != nil || a.Client != netip.MustParseAddr("10.0.0.1") {
		t.Errorf("client %v, %v", a.Client, err)
	}
}
