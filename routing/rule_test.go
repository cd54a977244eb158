package routing

import (
	"strings"
	"testing"
)

func TestParseHost(t *testing.T) {
	for in, want := range map[string]string{
		"Example.COM": "example.com", "example.com.": "example.com", "*.a.b": "*.a.b", "**.A.b": "**.a.b", "a": "a",
		"::1": "[::1]", "[0:0::1]": "[::1]", "10.0.0.1": "10.0.0.1", "a_b-c.d": "a_b-c.d",
		"xn--bcher-kva.example": "xn--bcher-kva.example",
	} {
		h, err := ParseHost(in)
		if err != nil || h.String() != want {
			t.Errorf("ParseHost(%q) = %q, %v, want %q", in, h, err, want)
		}
		if again, err := ParseHost(h.String()); err != nil || again != h {
			t.Errorf("ParseHost(%q) is not stable: %q, %v", h, again, err)
		}
	}
	for in, want := range map[string]string{
		"": "empty", "*": "bare wildcard", "**": "bare wildcard", "a.*.b": "whole labels", "*a.b": "whole labels",
		"*.":   "empty",
		"a..b": "label", ".a": "label", "a:80": "port", "http://a": "scheme", "a/b": "path_prefix",
		"bücher.example": "xn--",
		"a b":            "cannot be part", "*.1.2.3.4": "IP address", "*.::1": "IP address", "[::1": "port",
		"a,b":                           "cannot be part",
		strings.Repeat("a.", 127) + "b": "at most",
	} {
		if h, err := ParseHost(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseHost(%q) = %q, %v, want an error with %q", in, h, err, want)
		}
	}
}

func TestParsePrefix(t *testing.T) {
	for in, want := range map[string]string{
		"/": "", "/api": "/api", "/api/": "/api", "/a//": "/a", "//a": "//a", "/%41": "/%41",
	} {
		if got, err := ParsePrefix(in); err != nil || got != want {
			t.Errorf("ParsePrefix(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"": `"/"`, "api": `"/api"`, "/a*": "wildcards", "/a?b": "ends a path", "/a b": `"%20"`, "/é": `"%C3"`,
		"/a#":                                "ends a path",
		"/" + strings.Repeat("a", MaxPrefix): "at most",
	} {
		if got, err := ParsePrefix(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePrefix(%.20q) = %q, %v, want an error with %q", in, got, err, want)
		}
	}
}

func TestCompileNamesEveryBadRule(t *testing.T) {
	_, err := Compile([]Rule{
		{Name: "a", Hosts: []string{"a:80"}}, {Name: "b"}, {Name: "c", Prefixes: []string{"x"}}, {Name: "d", Route: -1},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`compile rule "a": host "a:80": only the host name, without a port`,
		`compile rule "c": path prefix "x": a path begins with a slash`,
		`compile rule "d": route -1 is out of range`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), `"b"`) {
		t.Errorf("the good rule is named in:\n%v", err)
	}
}
