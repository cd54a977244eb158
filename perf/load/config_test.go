package load

import (
	"net/netip"
	"strings"
	"testing"
)

func TestConfigFaults(t *testing.T) {
	for text, change := range map[string]func(c *Config){
		"not an IPv4":                    func(c *Config) { c.Addr = netip.MustParseAddrPort("[::1]:80") },
		"negative":                       func(c *Config) { c.Upload = -1 },
		"found 65 services":              func(c *Config) { c.Services = make([]string, 65) },
		"pipelined":                      func(c *Config) { c.Pipeline = 2000 },
		"upload with a download":         func(c *Config) { c.Upload, c.Download = 1, 1 },
		"download or pipelining":         func(c *Config) { c.Upload, c.Pipeline = 1, 2 },
		"a connection for each":          func(c *Config) { c.PerRequest, c.Pipeline = true, 2 },
		"method HEAD":                    func(c *Config) { c.Method = "HEAD" },
		`request "GET x"`:                func(c *Config) { c.Path = "x" },
		`request "G T /"`:                func(c *Config) { c.Method, c.Path = "G T", "/" },
		`header "x"`:                     func(c *Config) { c.Header = []string{"x"} },
		`header "x: y\r\nz: 1"`:          func(c *Config) { c.Header = []string{"x: y\r\nz: 1"} },
		`header "Host: a\n`:              func(c *Config) { c.Host = "a\nb" },
		"raise it (ulimit -n)":           func(c *Config) { c.Idle = 1 << 40 },
		"load [::1]:1: not an IPv4 addr": func(c *Config) { c.Addr = netip.MustParseAddrPort("[::1]:1") },
	} {
		cfg := Config{Addr: netip.MustParseAddrPort("127.0.0.1:1")}
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestRequestTexts(t *testing.T) {
	for want, c := range map[string]Config{
		"GET /answer HTTP/1.1\r\nHost: x\r\n\r\n": {},
		"GET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\nGET /a HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n": {
			Path: "/a", Pipeline: 2, Header: []string{"A: b"}},
		"GET /answer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n": {PerRequest: true},
		"POST /u HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n":     {Method: "POST", Path: "/u"},
		"PUT /u HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n" + string(Pattern(10)): {
			Method: "PUT", Path: "/u", Upload: 10},
	} {
		c.Addr, c.Host = netip.MustParseAddrPort("127.0.0.1:1"), "x"
		if err := c.complete(); err != nil {
			t.Fatal(err)
		}
		if m := c.message(c.PerRequest); string(m.text) != want {
			t.Errorf("%q, want %q", m.text, want)
		}
	}
}

// However much a socket takes at once, a large body is the pattern.
func TestPartsOfALargeBody(t *testing.T) {
	c := Config{Method: "PUT", Path: "/", Upload: 2*bodyPart + 17, Pipeline: 1}
	m := c.message(false)
	size := int64(m.head) + m.body
	want := string(m.text[:m.head]) + string(Pattern(int(c.Upload)))
	for _, step := range []int{99_991, 1 << 30} {
		var got strings.Builder
		for int64(got.Len()) < size {
			part := m.part(int64(got.Len()), size)
			if len(part) == 0 {
				t.Fatalf("nothing after %d bytes", got.Len())
			}
			got.Write(part[:min(step, len(part))])
		}
		if got.String() != want {
			t.Errorf("%d bytes at once: another body", step)
		}
	}
}

func TestPatternRepeatsItself(t *testing.T) {
	long := Pattern(5*PatternPeriod + 7)
	for i := range len(long) - PatternPeriod {
		if long[i] != long[i+PatternPeriod] {
			t.Fatalf("byte %d is not repeated", i)
		}
	}
	for _, n := range []int{0, 1, PatternPeriod, 2*PatternPeriod + 1} {
		if string(Pattern(n)) != string(long[:n]) {
			t.Errorf("%d bytes are another pattern", n)
		}
	}
}
