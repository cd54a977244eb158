package routing

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/routing/rule"
)

// maker makes rules and requests from words so few that they meet often.
type maker struct{ *rand.Rand }

func (m maker) pick(words ...string) string { return words[m.IntN(len(words))] }

func (m maker) host() string {
	if m.IntN(6) == 0 { // more labels than a search has places for
		return strings.Repeat("a.", m.IntN(16)) + "x"
	}
	return m.pick("", "a.", "b.", "a.b.", "c.a.b.") + m.pick("x", "y", "x.y", "z")
}

func (m maker) path() string {
	if m.IntN(6) == 0 { // more segments than a search has places for
		return strings.Repeat("/a", m.IntN(24))
	}
	var b strings.Builder
	for range m.IntN(4) {
		b.WriteString("/" + m.pick("a", "ab", "abc", "b", "1", "22"))
	}
	return b.String() + m.pick("", "/")
}

func (m maker) quoted(words ...string) string {
	list := make([]string, 1+m.IntN(5)/4)
	for i := range list {
		list[i] = "`" + m.pick(words...) + "`"
	}
	return strings.Join(list, ", ")
}

// matcher is the text of one matcher.
func (m maker) matcher() string {
	name := m.pick("X-A", "x-b", "X-C")
	switch m.IntN(21) {
	case 0, 1, 2:
		return "Host(" + m.quoted(m.host(), m.pick("*.", "**.")+m.host()) + ")"
	case 3:
		return "HostRegexp(" + m.quoted(`^a\.`, `x$`, `^[ab]\.[xy]$`, `.*`, `^$`) + ")"
	case 4, 5, 6:
		return "PathPrefix(" + m.quoted("/"+m.path(), "/a", "/a/b") + ")"
	case 7:
		return "PathPrefixRaw(" + m.quoted("/a", "/ab", "/"+m.pick("a", "b")+m.path()) + ")"
	case 8:
		return "Path(" + m.quoted("/a", "/a/", "/"+m.path()) + ")"
	case 9:
		return "PathRegexp(" + m.quoted(`^/a`, `^/a/[0-9]+$`, `b$`, `^/ab?/`, `/(1|22)/?$`, `.`) + ")"
	case 10:
		return "Method(" + m.quoted("GET", "POST") + ")"
	case 11, 12:
		return "Header(`" + name + "`" + m.pick("", ", "+m.quoted("1", "2", "3")) + ")"
	case 13:
		return "HeaderRegexp(`" + name + "`, " + m.quoted("^[12]$", "3", "^$") + ")"
	case 14:
		return "Query(`" + m.pick("q", "r") + "`" + m.pick("", ", "+m.quoted("1", "2", " ")) + ")"
	case 15:
		return "QueryRegexp(`q`, " + m.quoted("^[12]$", " ") + ")"
	case 16:
		return "ClientIP(" + m.quoted("10.0.0.0/8", "10.0.0.1", "10.0.0.0/31", "::1", "fe80::/10") + ")"
	case 17:
		return m.pick("SNI(`a.x`)", "SNI(`*.x`)", "SNIRegexp(`^a`, `^$`)", "SNIRegexp(`x$`)")
	case 19:
		return m.portMatcher()
	case 18:
		return m.pick("ClientCert("+m.quoted("a", "b", "c@d")+")", "ClientCertRegexp("+m.quoted("^a", "@")+")")
	}
	return m.tlsMatcher()
}

func (m maker) portMatcher() string {
	return "DestinationPort(" + m.quoted("1", "2", "3-4", "2-6", "5-65535", "7") + ")"
}

// tlsMatcher looks at what a client offers.
func (m maker) tlsMatcher() string {
	return m.pick("ALPN(`h2`)", "TLSVersion(`1.3`)", "TLSVersion(`1.2`, `1.1`)", "CipherSuite(`0x1301`)",
		"CipherSuiteOnly(`0x1301`)", "CipherSuiteOnly(`0x1300`, `0x1302`)",
		"JA4(`t13d1516h2_8daaf6152771_02713d6af862`)")
}

func (m maker) rule(depth int) string {
	if depth == 0 || m.IntN(3) == 0 {
		return m.pick("", "", "", "!") + m.matcher()
	}
	return m.pick("", "", "", "!") + "(" + m.rule(depth-1) + m.pick(" && ", " && ", " || ") + m.rule(depth-1) + ")"
}

func (m maker) route(name string, target int) Route {
	r := Route{Name: name, Target: target}
	if m.IntN(20) > 0 {
		text := m.rule(m.IntN(4))
		var err error
		if r.Rule, err = rule.Parse(text); err != nil {
			panic(fmt.Sprintf("%s: %v", text, err))
		}
	}
	if m.IntN(4) == 0 {
		r.Priority = m.IntN(5) - 2
	}
	return r
}

func (m maker) request() *Request {
	r := &Request{
		Host:   []byte(m.pick("", m.host(), m.host(), strings.ToUpper(m.host())+":80", m.host()+".")),
		Path:   []byte(m.pick("/", "*", "/"+m.path(), m.path()+"/a", "/a/b", "/ab")),
		Method: []byte(m.pick("GET", "POST", "PUT")),
		Query:  []byte(m.pick("", "", "q=1", "q=%31&r", "r=2&q=3", "q=+", "q", "&&q=2")),
	}
	if m.IntN(5) > 0 {
		r.Port = uint16(1 + m.IntN(8))
	}
	switch m.IntN(4) {
	case 0:
		r.Client = netip.MustParseAddr("10.0.0." + m.pick("0", "1", "2"))
	case 1:
		r.Client = netip.MustParseAddr(m.pick("::1", "fe80::1"))
	}
	for range m.IntN(4) {
		r.Fields = append(r.Fields, Field{[]byte(m.pick("x-a", "X-B", "X-c", "Y")), []byte(m.pick("", "1", "2", "3"))})
	}
	if m.IntN(3) == 0 {
		r.TLS = &Hello{
			SNI: []byte(m.pick("", "a.x", "b.x", "b.a.x")), Version: 0x0303 + uint16(m.IntN(2)),
			Suites: []uint16{uint16(0x1300 + m.IntN(3))},
			JA4:    []byte("t13d1516h2_8daaf6152771_02713d6af862")[:36*m.IntN(2)],
		}
		for range m.IntN(2) {
			r.TLS.ALPN = append(r.TLS.ALPN, []byte(m.pick("h2", "http/1.1")))
		}
		for range m.IntN(3) {
			r.TLS.Suites = append(r.TLS.Suites, []uint16{0x1300, 0x1302, 0x00ff, 0x5600, 0xdada}[m.IntN(5)])
		}
		for range m.IntN(2) * m.IntN(3) {
			r.ClientCert = append(r.ClientCert, []byte(m.pick("a", "b", "c@d", "e")))
		}
	}
	return r
}

// perTable is how many requests each table is compared with.
const perTable = 64

// compare builds a table by a series of edits, and compares it, and one from before, with the oracle. It returns the
// number of comparisons.
func compare(t *testing.T, seed uint64) (n int) {
	m := maker{rand.New(rand.NewPCG(seed, 99))}
	b := NewBuilder()
	routes := map[string]Route{}
	type edition struct {
		*Table
		*oracle
	}
	var old edition
	most := 2 + m.IntN(60) // of names
	for range 1 + m.IntN(4) {
		for range 1 + m.IntN(most) {
			name := fmt.Sprintf("r%02d", m.IntN(most))
			if _, there := routes[name]; there && m.IntN(3) == 0 {
				delete(routes, name)
				b.Delete(name)
				continue
			}
			r := m.route(name, m.IntN(1000))
			routes[name] = r
			if err := b.Set(r); err != nil {
				t.Fatal(err)
			}
		}
		table, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		now := edition{table, newOracle(slices.Collect(maps.Values(routes)))}
		for _, e := range []edition{now, old} {
			for i := range perTable {
				if e.Table == nil {
					continue
				}
				r := m.request()
				n++
				if got, want := e.Match(r), e.oracle.match(r); got != want {
					t.Fatalf("seed %d: %s %s %s?%s %q: got %d, want %d\n%s", seed, r.Method, r.Host, r.Path, r.Query,
						r.Fields, got, want, listing(e.routes))
				}
				if i%8 == 0 && !e.agree(r) {
					t.Fatalf("seed %d: %s %s %s?%s %q: a rule's alternatives mean something else\n%s", seed, r.Method,
						r.Host, r.Path, r.Query, r.Fields, listing(e.routes))
				}
			}
		}
		old = now
	}
	for name := range routes {
		b.Delete(name)
	}
	if b.hosts.count+b.stars.count+b.deeps.count != 0 || b.hostPatterns != nil || b.any != nil ||
		len(b.priorities) != 0 || b.looks != [needBits]int{} {
		t.Fatalf("seed %d: something is left of deleted routes", seed)
	}
	return n
}

func listing(routes []Route) string {
	var b strings.Builder
	for _, r := range routes {
		fmt.Fprintf(&b, "%s priority %d target %d: %s\n", r.Name, r.Priority, r.Target, r.Rule)
	}
	return b.String()
}

// TestEqualsTheOracle makes 50,000 comparisons, or as many as the environment asks for.
func TestEqualsTheOracle(t *testing.T) {
	want, seed := 50_000, uint64(0)
	if testing.Short() {
		want = 10_000
	}
	if text := os.Getenv("ROUTING_COMPARISONS"); text != "" {
		var err error
		if want, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		seed = rand.Uint64()
	}
	n := 0
	for ; n < want; seed++ {
		n += compare(t, seed)
	}
	t.Logf("%d comparisons", n)
}

func FuzzEqualsTheOracle(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { compare(t, seed) })
}
