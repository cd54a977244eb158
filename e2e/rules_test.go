package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// ruled is a configuration whose routes each have a service that answers with the route's name.
func ruled(t *testing.T, addr string, routes [][2]string) string {
	text := fmt.Sprintf("[listeners.web]\naddress = %q\n[listeners.other]\naddress = \"unix:@%s\"\n", addr, addr)
	for _, r := range routes {
		up := echo(t, r[0])
		text += fmt.Sprintf("[routes.%s]\n%s\nservice = %q\n", r[0], r[1], r[0]) +
			fmt.Sprintf("[services.%s]\nendpoints = [%q]\n", r[0], up.URL)
	}
	return text
}

// TestRules: every matcher that a plain connection can meet, alone and joined, as text and as plain keys, decides over
// requests as docs/rules.md says, on the wire.
func TestRules(t *testing.T) {
	routes := [][2]string{
		{"host", "rule = \"Host(`a.test`)\""},
		{"star", "rule = \"Host(`*.a.test`)\""},
		{"deep", "host = \"**.a.test\""},
		{"hostre", "rule = \"HostRegexp(`^shop[0-9]+\\\\.test$`)\""},
		{"idn", "rule = \"Host(`bücher.test`)\""},
		{"exact", "rule = \"Host(`p.test`) && Path(`/x`)\""},
		{"longer", "host = \"p.test\"\npath_prefix = \"/x/y\""},
		{"shorter", "host = \"p.test\"\npath_prefix = \"/x\""},
		{"raw", "rule = \"Host(`p.test`) && PathPrefixRaw(`/ra`)\""},
		{"pathre", "rule = 'Host(`p.test`) && PathRegexp(`^/v[0-9]+/`)'"},
		{"post", "rule = \"Host(`m.test`) && Method(`POST`)\""},
		{"header", "rule = \"Host(`m.test`) && Header(`X-Kind`, `beta`, `alpha`)\""},
		{"headerre", "host = \"m.test\"\nrule = 'HeaderRegexp(`User-Agent`, `(?i)bot`)'"},
		{"query", "host = \"m.test\"\nquery = { v = \"2 0\" }"},
		{"queryre", "rule = 'Host(`m.test`) && QueryRegexp(`id`, `^[0-9]+$`)'"},
		{"local", "rule = \"Host(`ip.test`) && ClientIP(`127.0.0.0/8`, `::1`)\""},
		{"remote", "rule = \"Host(`ip.test`) && !ClientIP(`127.0.0.0/8`)\"\npriority = 100"},
		{"notget", "rule = \"Host(`n.test`) && !(Method(`GET`) || Header(`X-As`, `get`))\""},
		{"first", "rule = \"PathPrefix(`/first`)\"\npriority = 5"},
		{"tls", "rule = \"SNI(`a.test`) || TLSVersion(`1.3`)\"\npriority = 1000"},
		{"elsewhere", "rule = \"Host(`a.test`)\"\npriority = 9\nlisteners = [\"other\"]"},
		{"rest", ""},
	}
	requests := []struct{ method, host, target, fields, want string }{
		{"GET", "a.test", "/", "", "host"},
		{"GET", "A.Test.:8080", "/", "", "host"},
		{"GET", "x.a.test", "/", "", "star"},
		{"GET", "x.y.a.test", "/", "", "deep"},
		{"GET", "xa.test", "/", "", "rest"},
		{"GET", "shop12.test", "/", "", "hostre"},
		{"GET", "shop.test", "/", "", "rest"},
		{"GET", "XN--Bcher-KVA.test", "/", "", "idn"},
		{"GET", "p.test", "/x", "", "exact"},
		{"GET", "p.test", "/x?q", "", "exact"},
		{"GET", "p.test", "/x/", "", "shorter"},
		{"GET", "p.test", "/x/y", "", "longer"},
		{"GET", "p.test", "/x/yz", "", "shorter"},
		{"GET", "p.test", "/xy", "", "rest"},
		{"GET", "p.test", "/rabbit", "", "raw"},
		{"GET", "p.test", "/v12/a", "", "pathre"},
		{"GET", "p.test", "/w/v12/a", "", "rest"},
		{"POST", "m.test", "/", "", "post"},
		{"GET", "m.test", "/", "x-kind: beta", "header"},
		{"GET", "m.test", "/", "x-kind: gamma", "rest"},
		{"GET", "m.test", "/", "User-Agent: AnyBot/1", "headerre"},
		{"GET", "m.test", "/?a&v=2+0", "", "query"},
		{"GET", "m.test", "/?v=2%200", "", "query"},
		{"GET", "m.test", "/?v=20", "", "rest"},
		{"GET", "m.test", "/?id=%31%32", "", "queryre"},
		{"GET", "ip.test", "/", "X-Forwarded-For: 9.9.9.9", "local"},
		{"GET", "n.test", "/", "", "rest"},
		{"POST", "n.test", "/", "", "notget"},
		{"POST", "n.test", "/", "X-As: get", "rest"},
		{"GET", "a.test", "/first/x", "", "first"},
		{"GET", "nowhere.test", "/", "", "rest"},
	}
	Engines(t, func(t *testing.T, engine string) {
		addr := FreeAddr(t, "127.0.0.1")
		p := Start(t, ruled(t, addr, routes), "--engine", engine)
		w := Raw(t, addr)
		for _, r := range requests {
			var fields []string
			if r.fields != "" {
				fields = append(fields, r.fields)
			}
			w.Send(Request(r.method, r.target, r.host, "", fields...))
			res := w.ReadResponse(r.method)
			if got, _, _ := strings.Cut(res.Text, " "); res.StatusCode != 200 || got != r.want {
				t.Errorf("%s %s%s %s: %d %q, want %s", r.method, r.host, r.target, r.fields, res.StatusCode, res.Text,
					r.want)
			}
		}
		p.Stop()
	})
}
