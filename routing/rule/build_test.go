package rule

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	e, _, err := Match(Header, "X-Env", "b", "a", "b")
	if err != nil || e.String() != "Header(`x-env`, `a`, `b`)" {
		t.Errorf("%v, %v", e, err)
	}
	for _, c := range []struct {
		kind   Kind
		name   string
		values []string
		index  int
		at     int
		want   string
	}{
		{Host, "", []string{"a", "b:80"}, 1, 1, "without a port"},
		{Host, "", nil, -1, 0, "Host has no value"},
		{HeaderRegexp, "a", nil, -1, 0, "HeaderRegexp has no value"},
		{Header, "a b", nil, -1, 1, "field's name"},
		{Query, "a=b", nil, -1, 0, "write Query(`a`, `b`)"},
		{Path, "", []string{"/", "/", "/a?b"}, 2, 2, "Query"},
		{None, "", []string{"/"}, -1, 0, "no such matcher"},
		{kinds, "", []string{"/"}, -1, 0, "no such matcher"},
	} {
		e, index, err := Match(c.kind, c.name, c.values...)
		var fault *Error
		if !errors.As(err, &fault) || index != c.index || fault.At != c.at || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Match(%v, %q, %q) = %v, %d, %v", c.kind, c.name, c.values, e, index, err)
		}
	}
}

func TestAllAny(t *testing.T) {
	a, _, _ := Match(Path, "", "/a")
	b, _, _ := Match(Path, "", "/b")
	for want, got := range map[string]*Expr{
		"Path(`/a`)":                               All(nil, a, nil),
		"Path(`/a`) && Path(`/b`)":                 All(a, b),
		"Path(`/b`) && Path(`/a`) && Path(`/b`)":   All(b, All(a, b)),
		"Path(`/a`) || Path(`/b`)":                 Any(a, b),
		"Path(`/a`) && (Path(`/a`) || Path(`/b`))": All(a, Any(a, b)),
	} {
		if got.String() != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for i, e := range []*Expr{All(), All(nil, nil), Any(), Any(a, nil)} {
		if e != nil {
			t.Errorf("%d: %s", i, e)
		}
	}
}

func TestSuites(t *testing.T) {
	if !slices.IsSortedFunc(suites[:], func(a, b suite) int { return int(a.number) - int(b.number) }) {
		t.Error("out of order")
	}
	for _, s := range suites {
		e, _, err := Match(CipherSuite, "", s.name)
		if err != nil || e.Pred.Numbers[0] != s.number || e.String() != "CipherSuite(`"+s.name+"`)" {
			t.Errorf("%s: %v, %v", s.name, e, err)
		}
	}
	for group, parts := range map[string][2]string{ // one that is in it, one that is not
		"legacy": {"TLS_RSA_WITH_3DES_EDE_CBC_SHA", "TLS_RSA_WITH_AES_128_CBC_SHA"},
		"cbc":    {"TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_128_GCM_SHA256"},
		"rsa":    {"TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
		"tls13":  {"TLS_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
	} {
		for i, name := range parts {
			number, _ := parseSuites(name)
			if slices.Contains(members(group), number[0]) != (i == 0) {
				t.Errorf("%s in %s: %v", name, group, i != 0)
			}
		}
	}
}

func TestNames(t *testing.T) {
	names := Names()
	if len(names) != Kinds-1 || names[0] != "Host" || names[len(names)-1] != "ClientCertRegexp" {
		t.Error(names)
	}
	for i, name := range names {
		kind := Kind(i + 1)
		if kindOf(name) != kind || kind.String() != name || kind.TLS() != (kind >= SNI) {
			t.Errorf("%s: %v", name, kind)
		}
		if _, err := Parse(kind.example()); err != nil {
			t.Errorf("%s: %v", kind.example(), err)
		}
	}
}
