package rule

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func FuzzParse(f *testing.F) {
	for marked := range faults {
		f.Add(strings.NewReplacer("«", "", "»", "").Replace(marked))
	}
	for text := range goodRules {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err != nil {
			var fault *Error
			if !errors.As(err, &fault) {
				t.Fatalf("an error that is no *Error: %v", err)
			}
			end := fault.At + fault.Len
			if fault.At < 0 || fault.Len < 1 || fault.At > len(text) || end > max(len(text), fault.At+1) {
				t.Fatalf("fault at %d+%d of %d: %v", fault.At, fault.Len, len(text), fault)
			}
			return
		}
		written := e.String()
		again, err := Parse(written)
		if err != nil {
			t.Fatalf("Parse(%s), written from %s: %v", written, text, err)
		}
		if got := again.String(); got != written {
			t.Fatalf("%s becomes %s", written, got)
		}
		if _, err := e.Expand(); err != nil && !strings.Contains(err.Error(), "combinations") {
			t.Fatal(err)
		}
	})
}

// source makes choices from the bytes of a fuzz input, and random ones when they are spent.
type source struct {
	data []byte
	rand *rand.Rand
}

func newSource(data []byte) *source {
	var seed [32]byte
	copy(seed[:], data)
	return &source{data: data, rand: rand.New(rand.NewChaCha8(seed))}
}

func (s *source) below(n int) int {
	if len(s.data) == 0 {
		return s.rand.IntN(n)
	}
	b := s.data[0]
	s.data = s.data[1:]
	return int(b) % n
}

func (s *source) of(list []string) string { return list[s.below(len(list))] }

// some chooses n values at most, and least at least.
func (s *source) some(list []string, least, n int) []string {
	var values []string
	for range least + s.below(n-least+1) {
		values = append(values, s.of(list))
	}
	return values
}

// pools are the arguments from which rules and requests are made; many of them lie within others.
var pools = map[Kind][]string{
	Host: {
		"a.b", "*.b", "**.b", "x.a.b", "*.a.b", "**.a.b", "y.x.a.b", "a.c", "*.c", "[::1]", "10.0.0.1", "b",
	},
	HostRegexp:    {"^a", "b$", "^[ax]\\.a\\.b$", "^a\\.b$", "^$", ".", "c"},
	Path:          {"/", "/a", "/a/", "/a/b", "/ab", "/a/b/c", "/b", "/a%2Fb", "/abc"},
	PathPrefix:    {"/", "/a", "/a/b", "/ab", "/b", "/a/b/c", "/c"},
	PathPrefixRaw: {"/", "/a", "/a/", "/ab", "/a/b", "/b"},
	PathRegexp:    {"^/a", "^/a/", "^/ab$", "b$", "^/b/", "^/a/b/[a-z]$", "(?i)^/A", "^/$", "^/a$|^/ab$"},
	Method:        {"GET", "POST", "PUT"},
	Header:        {"", "1", "2", "12", "x"},
	HeaderRegexp:  {"^1", "2", "^x$", "", "^$", "3"},
	Query:         {"", "1", "2", "12", "x"},
	QueryRegexp:   {"^1", "2", "^x$", "", "^$", "3"},
	ClientIP:      {"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "0.0.0.0/0", "::/0", "::1", "fe80::/10", "10.128.0.0/9"},
	SNI:           {"a.b", "*.b", "**.b", "x.a.b", "*.a.b", "c"},
	SNIRegexp:     {"^a", "b$", "^a\\.b$", "^$", "."},
	ALPN:          {"h2", "http/1.1", "x"},

	DestinationPort:  {"1", "2-3", "4-7", "2", "6", "3-9", "1-65535", "65535"},
	CipherSuiteOnly:  {"0x1301", "tls13", "0x0005", "legacy", "rsa", "cbc", "0x009c"},
	ClientCertRegexp: {"^a", "b$", "^spiffe:", "^b$"},

	TLSVersion:  {"1.2", "1.3", "1.0"},
	CipherSuite: {"0x1301", "tls13", "0x0005", "legacy", "rsa"},
	ClientCert:  {"a", "ab", "b", "spiffe://a/b"},
	JA4:         {"t13d1516h2_8daaf6152771_e5627efa2ab1", "t13i1516h2_8daaf6152771_e5627efa2ab1"},
}

var names = []string{"n", "m"}

// expr makes a random expression.
func (s *source) expr(t *testing.T, depth int, kinds []Kind) *Expr {
	if depth > 0 {
		switch s.below(4) {
		case 0:
			return All(s.exprs(t, depth-1, kinds)...)
		case 1:
			return Any(s.exprs(t, depth-1, kinds)...)
		case 2:
			return not(s.expr(t, depth-1, kinds), 0)
		}
	}
	kind := kinds[s.below(len(kinds))]
	least := matchers[kind].least
	e, _, err := Match(kind, s.of(names), s.some(pools[kind], least, 3)...)
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
	}
	return e
}

func (s *source) exprs(t *testing.T, depth int, kinds []Kind) []*Expr {
	var list []*Expr
	for range 2 + s.below(2) {
		list = append(list, s.expr(t, depth, kinds))
	}
	return list
}

// request makes a random request that the values of pools may fit.
func (s *source) request() *request {
	r := &request{
		host: s.of([]string{"", "a.b", "x.a.b", "y.x.a.b", "z.b", "b", "a.c", "d.c", "[::1]", "10.0.0.1", "c", "xa.b"}),
		path: s.of([]string{"*", "/", "/a", "/a/", "/a/b", "/ab", "/abc", "/a/b/c", "/a/bc", "/b", "/b/x", "/c", "/A/b",
			"/a%2Fb"}),
		method: s.of([]string{"GET", "POST", "PUT", "get"}),
	}
	for _, pairs := range []*[][2]string{&r.fields, &r.query} {
		for range s.below(3) {
			*pairs = append(*pairs, [2]string{s.of(names), s.of([]string{"", "1", "2", "12", "x", "3"})})
		}
	}
	r.port = []uint16{0, 1, 2, 3, 4, 6, 9, 10, 65535}[s.below(9)]
	if s.below(4) > 0 {
		r.client = netip.MustParseAddr(s.of([]string{"10.1.2.3", "10.1.2.4", "10.2.0.1", "10.200.0.1", "192.0.2.1",
			"::1", "fe80::1", "2001:db8::1"}))
	}
	if s.below(3) > 0 {
		r.tls = &hello{
			sni:     s.of([]string{"", "a.b", "x.a.b", "y.x.a.b", "z.b", "c"}),
			ja4:     s.of(pools[JA4]),
			alpn:    s.some(pools[ALPN], 0, 2),
			version: []uint16{0x0301, 0x0303, 0x0304}[s.below(3)],
		}
		for range s.below(3) {
			r.tls.suites = append(r.tls.suites,
				[]uint16{0x1301, 0x1302, 0x0005, 0xc013, 0x009c, 0x1a1a, 0x00ff, 0x5600}[s.below(8)])
		}
		r.tls.certs = s.some(pools[ClientCert], 0, 2)
	}
	return r
}

var allKinds = []Kind{
	Host, HostRegexp, Path, PathPrefix, PathPrefixRaw, PathRegexp, Method, Header, HeaderRegexp, Query, QueryRegexp,
	ClientIP, DestinationPort, SNI, SNIRegexp, ALPN, TLSVersion, CipherSuite, CipherSuiteOnly, JA4, ClientCert,
	ClientCertRegexp,
}

// kindSets are what a rule is made of, so that conditions meet those that they interact with.
var kindSets = [][]Kind{
	allKinds, {Host, HostRegexp}, {Path, PathPrefix, PathPrefixRaw, PathRegexp}, {Header, HeaderRegexp},
	{Query, QueryRegexp}, {Method, ClientIP, SNI, TLSVersion, JA4}, {ALPN, CipherSuite, Method},
	{Host, Path, PathPrefix, Method}, {ClientIP}, {DestinationPort}, {SNI}, {SNI, SNIRegexp}, {CipherSuiteOnly},
	{CipherSuiteOnly, CipherSuite}, {ClientCert, ClientCertRegexp},
}

// compareExpansion checks a random rule against the naive evaluation.
func compareExpansion(t *testing.T, s *source) {
	e := s.expr(t, 1+s.below(3), kindSets[s.below(len(kindSets))])
	x, err := e.Expand()
	if err != nil {
		if !strings.Contains(err.Error(), "combinations") {
			t.Fatalf("%s: %v", e, err)
		}
		return
	}
	checkShape(t, e, &x)
	if full, err := e.expand(); err != nil || show(&full) != show(&x) {
		t.Fatalf("%s becomes\n%s\nand by the long way\n%s", e, show(&x), show(&full))
	}
	again, err := Parse(e.String())
	if err != nil {
		t.Fatalf("%s: %v", e, err)
	}
	for range 60 {
		r := s.request()
		want := r.fits(e)
		got := slices.ContainsFunc(x.Alternatives, func(a Alternative) bool { return r.fitsAlternative(&a) })
		if got != want {
			t.Fatalf("rule %s\nfits %+v (tls %+v): %v, its alternatives: %v\n%s", e, *r, r.tls, want, got, show(&x))
		}
		if r.fits(again) != want {
			t.Fatalf("%s means something else when read again", e)
		}
	}
}

// checkShape checks what alternatives promise.
func checkShape(t *testing.T, e *Expr, x *Expansion) {
	if len(x.Alternatives) == 0 && len(x.Impossible) == 0 {
		t.Fatalf("%s has neither alternatives nor a reason", e)
	}
	seen := map[string]bool{}
	for _, a := range x.Alternatives {
		if len(a.Host.Values) > 1 || len(a.Path.Values) > 1 || a.Host.Not || a.Path.Not {
			t.Fatalf("%s: host or path with several values:\n%s", e, show(x))
		}
		sorted := slices.IsSortedFunc(a.Tests, func(a, b Predicate) int { return comparePredicates(&a, &b) })
		if !sorted {
			t.Fatalf("%s: tests out of order:\n%s", e, show(x))
		}
		text := a.String()
		if seen[text] {
			t.Fatalf("%s: %s is there twice:\n%s", e, text, show(x))
		}
		seen[text] = true
	}
}

func show(x *Expansion) string {
	var lines []string
	for _, a := range x.Alternatives {
		lines = append(lines, a.String())
	}
	for _, why := range x.Impossible {
		lines = append(lines, "impossible: "+why)
	}
	return strings.Join(lines, "\n")
}

func FuzzExpand(f *testing.F) {
	for i := range 20 {
		f.Add([]byte{byte(i), byte(i * 7), byte(i * 31)})
	}
	f.Fuzz(func(t *testing.T, data []byte) { compareExpansion(t, newSource(data)) })
}

func TestExpandGenerated(t *testing.T) {
	for i := range 1500 {
		compareExpansion(t, newSource([]byte{byte(i), byte(i >> 8), byte(i % 7)}))
	}
}
