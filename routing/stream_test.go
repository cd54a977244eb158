package routing

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/routing/rule"
)

// streamMatcher is the text of a matcher that tcp routes may use.
func (m maker) streamMatcher() string {
	switch m.IntN(10) {
	case 0, 1, 2:
		return "SNI(" + m.quoted(m.host(), m.pick("*.", "**.")+m.host()) + ")"
	case 3, 4:
		return "SNIRegexp(" + m.quoted(`^a\.`, `x$`, `^[ab]\.[xy]$`, `.`, `^$`) + ")"
	case 6:
		return m.portMatcher()
	case 5:
		return "ClientIP(" + m.quoted("10.0.0.0/8", "10.0.0.1", "::1", "fe80::/10") + ")"
	}
	return m.tlsMatcher()
}

func (m maker) streamRule(depth int) string {
	if depth == 0 || m.IntN(3) == 0 {
		return m.pick("", "", "", "!") + m.streamMatcher()
	}
	return m.pick("", "", "", "!") + "(" + m.streamRule(depth-1) + m.pick(" && ", " || ") + m.streamRule(depth-1) + ")"
}

// overSNI is what the oracle sorts a tcp route by: its rule with the server name in the place of the host.
func overSNI(r Route, text string) Route {
	r.Rule = nil
	if text != "" {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "SNIRegexp(", "HostRegexp("), "SNI(", "Host(")
		var err error
		if r.Rule, err = rule.Parse(text); err != nil {
			panic(err)
		}
	}
	return r
}

// compareStreams compares tables of tcp routes with the oracle, and judgements with tables.
func compareStreams(t *testing.T, seed uint64) (n int) {
	m := maker{rand.New(rand.NewPCG(seed, 5))}
	b := NewStreamBuilder()
	var routes, over []Route
	for i := range 1 + m.IntN(30) {
		r := Route{Name: fmt.Sprintf("r%02d", i), Target: i, Priority: m.IntN(8) / 6}
		text := ""
		if m.IntN(10) > 0 {
			text = m.streamRule(m.IntN(3))
			var err error
			if r.Rule, err = rule.ParseStream(text); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Set(r); err != nil {
			t.Fatal(err)
		}
		routes, over = append(routes, r), append(over, overSNI(r, text))
	}
	table, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	o := newOracle(over)
	for i := range o.all { // sorted now; evaluated as it was written
		o.all[i].Alternative = o.all[i].Alternative.OverSNI()
	}
	for range perTable {
		r := m.request()
		r.Host, r.Path, r.Fields, r.Query, r.ClientCert = []byte("not.asked"), []byte("/not/asked"), nil, nil, nil
		got := table.MatchHello(r)
		n++
		if want := o.match(r); got != want {
			t.Fatalf("seed %d: %s %+v: got %d, want %d\n%s", seed, r.Client, r.TLS, got, want, listing(routes))
		}
		best := -1
		var first Judgement
		for i := range routes {
			j, err := JudgeHello(routes[i], r)
			if err != nil {
				t.Fatal(err)
			}
			if routes[i].Rule != nil && evaluate(routes[i].Rule, r) != j.Fits {
				t.Fatalf("seed %d: %+v and %s: fits %v", seed, r.TLS, routes[i].Rule, j.Fits)
			}
			if j.Fits {
				if before, _ := j.Before(&first); best < 0 || before {
					best, first = j.Route.Target, j
				}
			}
		}
		if best != got {
			t.Fatalf("seed %d: %+v: judged %d, found %d\n%s", seed, r.TLS, best, got, listing(routes))
		}
	}
	looks := slices.ContainsFunc(o.all, func(c candidate) bool {
		return slices.ContainsFunc(append(c.Tests, c.Host), func(p rule.Predicate) bool { return p.Kind.TLS() })
	})
	if table.LooksAtHello() != looks {
		t.Fatalf("seed %d: looks at the hello: %v\n%s", seed, !looks, listing(routes))
	}
	for _, r := range routes {
		b.Delete(r.Name)
	}
	if b.hosts.count+b.stars.count+b.deeps.count != 0 || b.hostPatterns != nil || b.any != nil ||
		b.looks != [needBits]int{} {
		t.Fatalf("seed %d: something is left of deleted routes", seed)
	}
	return n
}

// TestStreamsEqualTheOracle makes 10,000 comparisons.
func TestStreamsEqualTheOracle(t *testing.T) {
	n, most := 0, 10_000
	if testing.Short() {
		most = 2000
	}
	for seed := uint64(0); n < most; seed++ {
		n += compareStreams(t, seed)
	}
}

func FuzzStreamsEqualTheOracle(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { compareStreams(t, seed) })
}

func TestMatchHelloDoesNotAllocate(t *testing.T) {
	for seed := range uint64(40) {
		m := maker{rand.New(rand.NewPCG(seed, 8))}
		b := NewStreamBuilder()
		for i := range 40 {
			e, err := rule.ParseStream(m.streamRule(2))
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Set(Route{Name: fmt.Sprint(i), Rule: e, Target: i}); err != nil {
				t.Fatal(err)
			}
		}
		table, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			r := m.request()
			if n := testing.AllocsPerRun(10, func() { table.MatchHello(r) }); n != 0 {
				t.Errorf("%v allocations for %+v", n, r.TLS)
			}
		}
	}
}

// TestStreamsRefuse: a rule that needs a request cannot be set, and changes nothing.
func TestStreamsRefuse(t *testing.T) {
	b := NewStreamBuilder()
	for _, e := range []*rule.Expr{
		match1(rule.Path, "", "/a"), match1(rule.Host, "", "a.b"), match1(rule.ClientCert, "", "a"),
		rule.Any(match1(rule.SNI, "", "a.b"), match1(rule.Header, "A", "1")),
	} {
		err := b.Set(Route{Name: "r", Rule: e})
		if err == nil || !strings.Contains(err.Error(), "this is a tcp route") {
			t.Errorf("%s: %v", e, err)
		}
	}
	if b.Len() != 0 || b.any != nil || b.hosts.count != 0 {
		t.Error("something was set")
	}
	table, err := CompileStreams([]Route{{Name: "rest", Target: 3}})
	if err != nil || table.MatchHello(&Request{}) != 3 || table.Needs() != 0 {
		t.Errorf("the route without a rule: %v", err)
	}
}

// manyNames is how many server names a table of tcp routes must bear.
const manyNames = 100_000

// streamsOf makes the table of n routes, each for one server name, and a wildcard, an expression and a rest.
func streamsOf(t testing.TB, n int) *Table {
	b := NewStreamBuilder()
	set := func(name string, target int, e *rule.Expr) {
		if err := b.Set(Route{Name: name, Rule: e, Target: target}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		set(fmt.Sprint(i), i, match1(rule.SNI, "", fmt.Sprintf("db-%d.example.com", i)))
	}
	set("wild", n, match1(rule.SNI, "", "*.example.com"))
	set("pattern", n+1, match1(rule.SNIRegexp, "", `\.example\.(net|org)$`))
	set("old", n+2, rule.All(match1(rule.TLSVersion, "", "1.2"), match1(rule.ClientIP, "", "10.0.0.0/8")))
	set("rest", n+3, nil)
	table, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestManyNames: among a hundred thousand names each connection finds its own, and the less specific ones theirs.
func TestManyNames(t *testing.T) {
	table := streamsOf(t, manyNames)
	if table.Needs() != NeedTLS|NeedClient {
		t.Errorf("needs %b", table.Needs())
	}
	ask := func(sni string, version uint16) int {
		return table.MatchHello(&Request{
			Client: netip.MustParseAddr("10.1.2.3"), TLS: &Hello{SNI: []byte(sni), Version: version},
		})
	}
	for i := 0; i < manyNames; i += 97 {
		if got := ask(fmt.Sprintf("db-%d.example.com", i), 0x0303); got != i {
			t.Fatalf("db-%d: %d", i, got)
		}
	}
	for _, tt := range []struct {
		sni     string
		version uint16
		want    int
	}{
		{"www.example.com", 0x0303, manyNames}, {"db-1.example.net", 0x0303, manyNames + 1},
		{"a.www.example.com", 0x0303, manyNames + 2}, {"", 0x0303, manyNames + 2}, {"", 0x0304, manyNames + 3},
	} {
		if got := ask(tt.sni, tt.version); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.sni, got, tt.want)
		}
	}
}

// BenchmarkMatchHello asks a table of many names, and of one.
func BenchmarkMatchHello(b *testing.B) {
	for _, n := range []int{1, manyNames} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			table := streamsOf(b, n)
			rnd := rand.New(rand.NewPCG(1, 2))
			var names [4096][]byte
			for i := range names {
				names[i] = fmt.Appendf(nil, "db-%d.example.com", rnd.IntN(n))
			}
			r := Request{TLS: &Hello{Version: 0x0304}}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				r.TLS.SNI = names[i%len(names)]
				if table.MatchHello(&r) < 0 {
					b.Fatal("no route")
				}
			}
		})
	}
}
