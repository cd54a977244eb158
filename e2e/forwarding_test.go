package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Mirror answers each request with its head as it came, and keeps the connection.
func Mirror(p *Peer) {
	for {
		head := p.ReadHead()
		p.Send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(head), head))
	}
}

// forwardCase is a request's fields and what the upstream gets of them beside Host. ID stands for a request id that the
// proxy makes.
type forwardCase struct {
	name   string
	target string // "/" by default
	sent   []string
	got    []string
}

// usual are the fields that the proxy adds to a request that has none of them.
func usual(port string) []string {
	return []string{"X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: x.test",
		"X-Forwarded-Port: " + port, "X-Request-Id: ID", "Via: 1.1 uringproxy"}
}

// claims are what a client may say of itself.
var claims = []string{"X-Forwarded-For: 192.0.2.1, 192.0.2.2", "X-Forwarded-For: 192.0.2.3", "X-Forwarded-Proto: https",
	"X-Forwarded-Host: claimed.test", "X-Forwarded-Port: 443", "X-Real-IP: 192.0.2.1", "Forwarded: for=192.0.2.1",
	"X-Request-Id: claimed-id", "Via: 1.0 before"}

var hopByHop = []forwardCase{
	{"nothing", "", nil, nil},
	{"other fields stay", "", []string{"User-Agent: x", "Cookie: a=b", "X-User: y", "Cookie: c=d"},
		[]string{"User-Agent: x", "Cookie: a=b", "X-User: y", "Cookie: c=d"}},
	{"hop by hop", "", []string{"Connection: keep-alive, Upgrade, HTTP2-Settings", "Keep-Alive: timeout=5",
		"Upgrade: h2c", "HTTP2-Settings: AAMAAABk", "TE: trailers", "Proxy-Connection: keep-alive", "Accept: */*"},
		[]string{"Accept: */*"}},
	{"named by Connection", "", []string{"X-One: 1", "Connection: x-one", "Connection: close, X-TWO", "X-Two: 2",
		"X-Three: 3"}, []string{"X-Three: 3"}},
	{"httpoxy", "", []string{"Proxy: http://192.0.2.1"}, nil},
	{"absolute form", "http://x.test/", []string{"Accept: */*"}, []string{"Accept: */*"}},
}

// forwarding is a configuration and what becomes of requests under it. They come from 127.0.0.1.
type forwarding struct {
	name   string
	tables string // what comes behind the listener's address
	cases  func(port string) []forwardCase
}

var forwardings = []forwarding{
	{"untrusted", "", func(port string) []forwardCase {
		cases := append(slices.Clone(hopByHop), forwardCase{name: "claims", sent: claims})
		for i := range cases {
			cases[i].got = append(slices.Clone(cases[i].got), usual(port)...)
		}
		last := &cases[len(cases)-1]
		last.got[len(last.got)-1] = "Via: 1.0 before, 1.1 uringproxy"
		return cases
	}},
	{"trusted", "trusted_proxies = [\"127.0.0.0/8\"]\n", func(port string) []forwardCase {
		return []forwardCase{{name: "nothing", got: usual(port)}, {name: "claims", sent: claims, got: []string{
			"X-Forwarded-Proto: https", "X-Forwarded-Host: claimed.test", "X-Forwarded-Port: 443",
			"X-Real-IP: 192.0.2.1", "Forwarded: for=192.0.2.1",
			"X-Forwarded-For: 192.0.2.1, 192.0.2.2, 192.0.2.3, 127.0.0.1", "X-Request-Id: claimed-id",
			"Via: 1.0 before, 1.1 uringproxy"}}}
	}},
	{"Forwarded, untrusted", "[forward]\nforwarded = true\nx_forwarded = false\nrequest_id = false\nvia = false\n",
		func(string) []forwardCase {
			return []forwardCase{{name: "claims", sent: claims, got: []string{"Via: 1.0 before",
				"X-Request-Id: claimed-id", `Forwarded: for=127.0.0.1;host="x.test";proto=http`}}}
		}},
	{"Forwarded, trusted", "trusted_proxies = \"127.0.0.1\"\n[forward]\nforwarded = true\nx_forwarded = false\n",
		func(string) []forwardCase {
			return []forwardCase{{name: "claims", sent: claims[5:], got: []string{"X-Real-IP: 192.0.2.1",
				`Forwarded: for=192.0.2.1, for=127.0.0.1;host="x.test";proto=http`, "X-Request-Id: claimed-id",
				"Via: 1.0 before, 1.1 uringproxy"}}}
		}},
}

// What the upstream gets: nothing that was for the proxy, and what the proxy says of the client.
func TestForwardedFields(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		up := NewScripted(t, Mirror)
		for _, f := range forwardings {
			t.Run(f.name, func(t *testing.T) {
				addr := FreeAddr(t, "127.0.0.1")
				config := strings.Replace(Config(up.URL(), addr), "[routes.all]", f.tables+"[routes.all]", 1)
				p := Start(t, config, "--engine", engine, "--shards", "1")
				for _, c := range f.cases(addr[strings.LastIndex(addr, ":")+1:]) {
					t.Run(c.name, func(t *testing.T) { c.run(t, addr) })
				}
				p.Stop()
			})
		}
	})
}

var madeID = regexp.MustCompile(`X-Request-Id: [0-9a-f]{32}\r\n`)

func (c *forwardCase) run(t *testing.T, addr string) {
	target := c.target
	if target == "" {
		target = "/"
	}
	w := Raw(t, addr)
	defer w.Close()
	w.Send(Request("GET", target, "x.test", "", c.sent...))
	res := w.ReadResponse("GET")
	got := byName(madeID.ReplaceAllString(res.Text, "X-Request-Id: ID\r\n"))
	if want := byName(Request("GET", "/", "x.test", "", c.got...)); got != want {
		t.Errorf("the upstream got\n%s\nwant\n%s", got, want)
	}
}

// byName sorts a head's lines by their names: only the order of equal ones means anything (RFC 9110, section 5.3).
func byName(head string) string {
	lines := slices.Collect(strings.Lines(head))
	slices.SortStableFunc(lines[1:len(lines)-1], func(a, b string) int {
		a, _, _ = strings.Cut(a, ":")
		b, _, _ = strings.Cut(b, ":")
		return strings.Compare(a, b)
	})
	return strings.Join(lines, "")
}

// What the client gets: nothing that was for the proxy, and the rest as it came.
func TestResponseFields(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		const fields = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: theirs\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n"
		up := NewScripted(t, say("HTTP/1.1 200 Fine\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\n"+
			"Keep-Alive: timeout=5\r\n"+fields+"Upgrade: h2\r\nContent-Length: 2\r\n\r\nok"))
		addr := FreeAddr(t, "127.0.0.1")
		p := Start(t, Config(up.URL(), addr), "--engine", engine)
		w := Raw(t, addr)
		for range 2 { // the upstream closes, the client's connection goes on
			w.Send(Request("GET", "/", "x.test", ""))
			head := w.ReadHead()
			for _, hop := range []string{"X-Hop", "Keep-Alive", "Upgrade", "Connection: close"} {
				if strings.Contains(head, hop) {
					t.Errorf("%s in\n%s", hop, head)
				}
			}
			if !strings.HasPrefix(head, "HTTP/1.1 200 Fine\r\n") || !strings.Contains(head, fields) {
				t.Errorf("got\n%s", head)
			}
			w.Expect("ok")
		}
		w.Close()
		p.Stop()
	})
}
