package proxy

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing/urlpath"
)

// logged takes what has been written to the log so far.
func logged(ring *accesslog.Ring) string {
	first, second := ring.Pending()
	text := string(first) + string(second)
	ring.Consume(len(text))
	return text
}

// What is forwarded is what was matched, with the query as it came; the log has what was asked for.
func TestPathsAreNormalized(t *testing.T) {
	long := strings.Repeat("/x/..", 1500)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.RequestURI) })
		rings, err := accesslog.NewRings(1, 1<<20, accesslog.JSON)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { rings.Close() })
		r := start(t, open(), []string{up}, func(r *rig) { r.log = rings.Ring(0) })
		ask := func(method, target string) string {
			return exchangeRaw(t, r.addr, method+" "+target+" HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
		}
		for target, want := range map[string]string{
			"/a/b?c=//d/../e":                "/a/b?c=//d/../e",
			"/":                              "/",
			"//a":                            "/a",
			"/a/../b?":                       "/b?",
			"/%61?%61/../":                   "/a?%61/../",
			"/..":                            "/",
			"http://a.test/x/%2e%2E/%7euser": "/~user",
			"http://a.test?x=//":             "/?x=//",
			"http://a.test":                  "/",
			"/%c3%a9/":                       "/%C3%A9/",
			long + "/end":                    "/end",
		} {
			got := ask("GET", target)
			if !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(got, "\r\n\r\n"+want) {
				t.Errorf("%.50s: %q, want %s", target, got, want)
			}
			r.errors(metrics.None)
			origin := strings.TrimPrefix(target, "http://a.test") // a scheme and a host go into fields of their own
			if line := logged(r.log); !strings.Contains(line, origin+`","protocol"`) {
				t.Errorf("%.50s: logged as %q", target, line)
			}
		}
		for target, detail := range map[string]string{
			"/a%2fb": urlpath.EncodedSlash.String(), "/a%00": urlpath.EncodedNUL.String(),
			"/..;/a": urlpath.DotParameter.String(),
		} {
			got := ask("GET", target)
			r.errors(metrics.None)
			line := logged(r.log)
			if !strings.HasPrefix(got, "HTTP/1.1 400 Bad Request\r\n") || !strings.Contains(line, detail) ||
				!strings.Contains(line, `"path":"`+target+`"`) {
				t.Errorf("%s: %q, logged as %s", target, got, line)
			}
		}
		if n := r.errors(metrics.BadRequestPath); n != 3 {
			t.Errorf("%d refused paths counted", n)
		}
		r.setPaths(plan.Paths{Policy: urlpath.Policy{KeepSlash: true, KeepNUL: true, KeepDoubles: true}})
		if got := ask("GET", "/a%2f//b/%00/./x"); !strings.HasSuffix(got, "\r\n\r\n/a%2F//b/%00/x") {
			t.Errorf("kept: %q", got)
		}
		r.setPaths(plan.Paths{ForwardReceived: true})
		if got := ask("GET", "/x/../%61?q"); !strings.HasSuffix(got, "\r\n\r\n/x/../%61?q") {
			t.Errorf("received: %q", got)
		}
	})
}

// A request whose target was changed is sent again as it was forwarded.
func TestNormalizedRequestIsRetried(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Target", r.RequestURI)
			if r.URL.Path == "/close" {
				c, _, _ := w.(http.Hijacker).Hijack()
				io.WriteString(c, okResponse)
				c.Close()
			}
		})
		r := start(t, open(), []string{up}, nil)
		c := client(t)
		for range 10 {
			for _, path := range []string{"//close", "/./%61"} {
				req, err := http.NewRequest("GET", "http://"+r.addr+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				res, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if got := res.Header.Get("X-Target"); res.StatusCode != 200 || path == "/./%61" && got != "/a" {
					t.Errorf("%s: %d, the upstream saw %q", path, res.StatusCode, got)
				}
			}
		}
	})
}
