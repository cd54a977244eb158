package routing

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// scan is the definition that Match is held to: all patterns in order of precedence, the first that fits.
func scan(rules []Rule, host, path string) int {
	type flat struct {
		host   Host
		prefix string
		rule   *Rule
	}
	var all []flat
	for i := range rules {
		hosts, prefixes, err := rules[i].parse()
		if err != nil {
			panic(err)
		}
		for _, h := range hosts {
			for _, p := range prefixes {
				all = append(all, flat{h, p, &rules[i]})
			}
		}
	}
	wild := func(h Host) int { return min(int(h.Kind), 1) + int(h.Kind)/3 } // exact, a wildcard, any
	labels := func(h Host) int { return len(strings.Split(h.Name, ".")) }
	slices.SortStableFunc(all, func(a, b flat) int {
		return cmp.Or(cmp.Compare(wild(a.host), wild(b.host)), cmp.Compare(labels(b.host), labels(a.host)),
			cmp.Compare(a.host.Kind, b.host.Kind), cmp.Compare(len(b.prefix), len(a.prefix)),
			cmp.Compare(a.rule.Name, b.rule.Name))
	})
	for _, f := range all {
		if hostFits(f.host, host) && (f.prefix == "" || path == f.prefix || strings.HasPrefix(path, f.prefix+"/")) {
			return f.rule.Route
		}
	}
	return -1
}

func hostFits(h Host, host string) bool {
	if h.Kind == HostAny {
		return true
	}
	if strings.HasPrefix(host, "[") {
		end := strings.Index(host, "]")
		return end > 0 && h.Kind == HostExact && h.Name == asciiLower(host[:end+1])
	}
	name, _, _ := strings.Cut(host, ":")
	labels := strings.Split(strings.TrimSuffix(asciiLower(name), "."), ".")
	if slices.Contains(labels, "") {
		return false
	}
	suffix := strings.Split(h.Name, ".")
	extra := len(labels) - len(suffix)
	if extra < 0 || !slices.Equal(labels[extra:], suffix) || len(strings.Join(labels, ".")) > MaxHost {
		return false
	}
	return h.Kind == HostExact && extra == 0 || h.Kind == HostStar && extra == 1 || h.Kind == HostDeep && extra >= 1
}

func asciiLower(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lower(b[i])
	}
	return string(b)
}

func compile(t testing.TB, rules []Rule) *Table {
	t.Helper()
	table, err := Compile(rules)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestMatch(t *testing.T) {
	rules := []Rule{
		{Name: "fallback", Route: 0},
		{Name: "site", Hosts: []string{"example.com", "www.example.com"}, Route: 1},
		{Name: "api", Hosts: []string{"example.com"}, Prefixes: []string{"/api", "/v1/"}, Route: 2},
		{Name: "one", Hosts: []string{"*.example.com"}, Prefixes: []string{"/"}, Route: 3},
		{Name: "deep", Hosts: []string{"**.example.com"}, Prefixes: []string{"/deep"}, Route: 4},
		{Name: "static", Prefixes: []string{"/static"}, Route: 5},
		{Name: "v6", Hosts: []string{"[::1]"}, Route: 6},
		{Name: "v4", Hosts: []string{"127.0.0.1"}, Route: 7},
		{Name: "only", Hosts: []string{"only.test"}, Prefixes: []string{"/x"}, Route: 8},
		{Name: "tie-b", Hosts: []string{"tie.test"}, Route: 9},
		{Name: "tie-a", Hosts: []string{"TIE.test."}, Route: 10},
		{Name: "nested", Hosts: []string{"*.a.example.com"}, Prefixes: []string{"/n"}, Route: 11},
	}
	for _, c := range []struct {
		host, path string
		want       int
	}{
		{"", "/", 0}, {"", "*", 0}, {"", "", 0}, {"other.org", "/", 0}, {"other.org", "/static/x", 5},
		{"example.com", "/", 1}, {"Example.COM:8080", "/apix", 1}, {"example.com.", "/api", 2},
		{"example.com.:80", "/api/", 2}, {"example.com", "/api/x/y", 2}, {"example.com", "/v1", 2},
		{"example.com", "/v1x", 1},
		{"example.com", "/ap", 1}, {"WWW.example.com", "/api", 1},
		{"x.example.com", "/api", 3}, {"x.example.com", "/deep", 3}, {"x.y.example.com", "/deep", 4},
		{"x.y.example.com", "/deeper", 0}, {"x.y.example.com", "/static", 5},
		{"q.a.example.com", "/n", 11}, {"q.a.example.com", "/deep", 4}, {"q.a.example.com", "/", 0},
		{"[::1]:80", "/", 6}, {"[::1]", "/x", 6}, {"[::2]", "/", 0}, {"[::1", "/", 0}, {"127.0.0.1:8080", "/", 7},
		{"only.test", "/x", 8}, {"only.test", "/y", 0}, {"only.test", "/static/y", 5}, {"tie.test", "/", 10},
		{".example.com", "/", 0}, {"a..example.com", "/", 0}, {"example.com..", "/", 0}, {".", "/", 0}, {":80", "/", 0},
		{"notexample.com", "/", 0}, {strings.Repeat("a.", 200) + "example.com", "/deep", 0},
	} {
		if got := compile(t, rules).Match([]byte(c.host), []byte(c.path)); got != c.want {
			t.Errorf("Match(%q, %q) = %d, want %d", c.host, c.path, got, c.want)
		}
		if got := scan(rules, c.host, c.path); got != c.want {
			t.Errorf("scan(%q, %q) = %d, want %d", c.host, c.path, got, c.want)
		}
	}
}

func TestMatchWithoutRules(t *testing.T) {
	if got := compile(t, nil).Match([]byte("example.com"), []byte("/")); got != -1 {
		t.Errorf("got %d", got)
	}
}

// TestMatchEqualsScan draws rules and requests from a small vocabulary, so that they collide often.
func TestMatchEqualsScan(t *testing.T) {
	for seed := range uint64(400) {
		checkAgainstScan(t, rand.New(rand.NewPCG(seed, 1)), 40)
	}
}

func checkAgainstScan(t *testing.T, rnd *rand.Rand, requests int) {
	t.Helper()
	rules := randomRules(rnd)
	table := compile(t, rules)
	for range requests {
		host, path := randomHost(rnd), randomPath(rnd)
		switch rnd.IntN(6) {
		case 0:
			host += ":8080"
		case 1:
			host = strings.ToUpper(host) + "."
		case 2:
			host = "." + host
		}
		if got, want := table.Match([]byte(host), []byte(path)), scan(rules, host, path); got != want {
			t.Fatalf("Match(%q, %q) = %d, the scan finds %d in\n%v", host, path, got, want, rules)
		}
	}
}

func randomRules(rnd *rand.Rand) []Rule {
	rules := make([]Rule, rnd.IntN(30))
	for i := range rules {
		rules[i] = Rule{Name: fmt.Sprint("r", rnd.IntN(100)), Route: i}
		for range rnd.IntN(3) {
			rules[i].Hosts = append(rules[i].Hosts, []string{"", "", "*.", "**."}[rnd.IntN(4)]+randomHost(rnd))
		}
		for range rnd.IntN(3) {
			rules[i].Prefixes = append(rules[i].Prefixes, randomPath(rnd))
		}
	}
	return rules
}

func randomHost(rnd *rand.Rand) string {
	labels := make([]string, 1+rnd.IntN(4))
	for i := range labels {
		labels[i] = []string{"a", "b", "ab", "com"}[rnd.IntN(4)]
	}
	return strings.Join(labels, ".")
}

func randomPath(rnd *rand.Rand) string {
	var path strings.Builder
	for range 1 + rnd.IntN(4) {
		path.WriteString("/" + []string{"", "a", "ab", "abc", "b"}[rnd.IntN(5)])
	}
	return path.String()
}

func FuzzMatch(f *testing.F) {
	f.Add("example.com", "/api", "*.example.com", "/", "A.Example.com:80", "/api/x")
	f.Add("[::1]", "/", "**.b", "/a/b", "[::1]:443", "*")
	f.Fuzz(func(t *testing.T, host1, prefix1, host2, prefix2, host, path string) {
		var rules []Rule
		for _, r := range []Rule{
			{Name: "1", Hosts: []string{host1}, Prefixes: []string{prefix1}, Route: 0},
			{Name: "2", Hosts: []string{host2}, Prefixes: []string{prefix2}, Route: 1},
			{Name: "3", Prefixes: []string{prefix2}, Route: 2},
		} {
			if _, _, err := r.parse(); err == nil {
				rules = append(rules, r)
			}
		}
		table := compile(t, rules)
		if got, want := table.Match([]byte(host), []byte(path)), scan(rules, host, path); got != want {
			t.Fatalf("Match = %d, the scan finds %d", got, want)
		}
	})
}

func FuzzRandomTables(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, a, b uint64) { checkAgainstScan(t, rand.New(rand.NewPCG(a, b)), 10) })
}

func TestMatchDoesNotAllocate(t *testing.T) {
	table := compile(t, manyRules(1000))
	host, path := []byte("H500.Example.com:8080"), []byte("/service/500/x")
	if n := testing.AllocsPerRun(100, func() { table.Match(host, path) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// manyRules is n rules: two prefixes each, one host for every four rules, one wildcard for every hundred.
func manyRules(n int) []Rule {
	rules := make([]Rule, n)
	for i := range rules {
		rules[i] = Rule{Name: fmt.Sprintf("r%06d", i), Route: i, Hosts: []string{fmt.Sprintf("h%d.example.com", i/4*4)},
			Prefixes: []string{fmt.Sprintf("/service/%d", i), fmt.Sprintf("/v1/other/%d", i)}}
		if i%100 == 0 {
			rules[i].Hosts = append(rules[i].Hosts, fmt.Sprintf("**.z%d.example.com", i))
		}
	}
	return rules
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		table := compile(b, manyRules(n))
		i := n / 2 / 4 * 4
		for _, c := range []struct{ name, host, path string }{
			{"hit", fmt.Sprintf("h%d.example.com:8080", i), fmt.Sprintf("/service/%d/users/42", i)},
			{"miss-path", fmt.Sprintf("h%d.example.com", i), "/services/unknown"},
			{"miss-host", "www.unknown.example.org", "/service/1"},
		} {
			host, path := []byte(c.host), []byte(c.path)
			b.Run(fmt.Sprintf("%d/%s", n, c.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					table.Match(host, path)
				}
			})
		}
	}
	table := compile(b, onePath(100_000))
	path := []byte("/service/50000/users/42")
	b.Run("100000-prefixes-of-one-host/hit", func(b *testing.B) {
		for b.Loop() {
			table.Match(nil, path)
		}
	})
}

func onePath(n int) []Rule {
	rules := make([]Rule, n)
	for i := range rules {
		rules[i] = Rule{Name: "r", Route: i, Prefixes: []string{fmt.Sprintf("/service/%d", i)}}
	}
	return rules
}

func TestManyPrefixesOfOneHost(t *testing.T) {
	table := compile(t, onePath(5000))
	for i := range 5000 {
		path := fmt.Appendf(nil, "/service/%d/x", i)
		if got := table.Match(nil, path); got != i {
			t.Fatalf("%s leads to %d", path, got)
		}
	}
	if got := table.Match(nil, bytes.Repeat([]byte("/service"), 100)); got != -1 {
		t.Errorf("got %d", got)
	}
}
