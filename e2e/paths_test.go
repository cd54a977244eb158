package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// echo starts an upstream that answers with its name and the request's target.
func echo(t *testing.T, name string) *httptest.Server {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", name, r.RequestURI)
	}))
	t.Cleanup(up.Close)
	return up
}

// guarded is a configuration in which /admin has a service of its own.
func guarded(addr, admin, site string) string {
	return Config(site, addr) + fmt.Sprintf(
		"[routes.admin]\npath_prefix = \"/admin\"\nservice = \"admin\"\n[services.admin]\nendpoints = [%q]\n", admin)
}

// bypasses are requests for /admin in disguise, and what must become of them: the service that gets them and the target
// it sees, or nothing where they are refused.
var bypasses = map[string]string{
	"/admin":                         "admin /admin",
	"/admin/users?x=//y/../z":        "admin /admin/users?x=//y/../z",
	"//admin":                        "admin /admin",
	"///admin//":                     "admin /admin/",
	"/./admin":                       "admin /admin",
	"/%61dmin":                       "admin /admin",
	"/%61%64%6d%69%6E?%61":           "admin /admin?%61",
	"/x/../admin":                    "admin /admin",
	"/x/%2e%2e/admin":                "admin /admin",
	"/x/%2E./admin":                  "admin /admin",
	"/x//../admin":                   "admin /admin",
	"/../admin":                      "admin /admin",
	"/admin/.":                       "admin /admin/",
	"/admin/x/..":                    "admin /admin/",
	"/admin/./x":                     "admin /admin/x",
	"http://a.test//admin":           "admin /admin",
	"http://a.test/x/%2e%2e/admin?q": "admin /admin?q",
	"/admin/..":                      "site /",
	"/admin/../public":               "site /public",
	"/administrator":                 "site /administrator",
	"/%2561dmin":                     "site /%2561dmin",
	"/ADMIN":                         "site /ADMIN",
	"/admin;x":                       "site /admin;x",
	"/x?/../admin":                   "site /x?/../admin",
	"/caf%c3%a9/%7Euser":             "site /caf%C3%A9/~user",
	"http://a.test":                  "site /",
	"/admin%2f..":                    "",
	"/admin%2Fusers":                 "",
	"/..%2fadmin":                    "",
	"/x/..%5cadmin":                  "",
	"/x%2f..%2fadmin":                "",
	"/admin%00":                      "",
	"/public%00/../admin":            "",
	"/.;/admin":                      "",
	"/x/..;/admin":                   "",
	"/x/..;a=b/admin":                "",
	"/x/%2e%2e%3b/admin":             "",
	"/%u002e/admin":                  "",
	`/x/..\admin`:                    "",
}

// askFor requests target and returns the status and the body.
func askFor(t *testing.T, w *Wire, target string) (int, string) {
	t.Helper()
	w.Send(Request("GET", target, "a.test", ""))
	res := w.ReadResponse("GET")
	return res.StatusCode, res.Text
}

// There is one way to /admin.
func TestPathBypasses(t *testing.T) {
	admin, site := echo(t, "admin"), echo(t, "site")
	Engines(t, func(t *testing.T, engine string) {
		addr := FreeAddr(t, "127.0.0.1")
		p := Start(t, guarded(addr, admin.URL, site.URL)+"[log.access]\npath = \"stderr\"\n", "--engine", engine)
		for target, want := range bypasses {
			status, text := askFor(t, Raw(t, addr), target)
			if want != "" && (status != 200 || text != want) || want == "" && status != 400 {
				t.Errorf("%s: %d %q, want %q", target, status, text, want)
			}
		}
		p.Stop()
		for _, text := range []string{
			`"path":"/x/%2e%2e/admin"`, // the log has what was asked for
			`"error":"refused path","while":"reading request head","detail":"encoded NUL in the path"`,
		} {
			if !strings.Contains(p.Output(), text) {
				t.Errorf("no %s in the output:\n%s", text, p.Output())
			}
		}
	})
}

// What the configuration keeps, stays; what is asked for as received, is forwarded so, and matched as ever.
func TestPathsAsConfigured(t *testing.T) {
	admin, site := echo(t, "admin"), echo(t, "site")
	Engines(t, func(t *testing.T, engine string) {
		addr := FreeAddr(t, "127.0.0.1")
		config := byHand + guarded(addr, admin.URL, site.URL)
		p := Start(t, config+"[paths]\nencoded_slash = \"keep\"\nencoded_nul = \"keep\"\nmerge_slashes = false\n",
			"--engine", engine)
		w := Raw(t, addr)
		for target, want := range map[string]string{
			"/admin%2f..":   "site /admin%2F..",
			"/admin/%2F/..": "admin /admin/",
			"/a%00%5c":      "site /a%00%5C",
			"//admin":       "site //admin",
			"//x/../admin":  "site //admin",
			"/%61dmin":      "admin /admin",
		} {
			if status, text := askFor(t, w, target); status != 200 || text != want {
				t.Errorf("%s: %d %q, want %q", target, status, text, want)
			}
		}
		if status, _ := askFor(t, w, "/..;/admin"); status != 400 {
			t.Errorf("status %d", status)
		}
		p.Rewrite(config + "[paths]\nforward = \"received\"\n")
		p.WaitOutput(reloaded, 1)
		for target, want := range map[string]string{
			"/x/../%61dmin?q": "admin /x/../%61dmin?q", "//x//y": "site //x//y", "/admin%2f..": "",
		} {
			status, text := askFor(t, w, target)
			if want != "" && (status != 200 || text != want) || want == "" && status != 400 {
				t.Errorf("%s: %d %q, want %q", target, status, text, want)
			}
		}
		p.Stop()
	})
}

// A target that is only normal after its last byte has come, in any number of pieces, and a head that is full of it.
func TestPathsInPieces(t *testing.T) {
	admin, site := echo(t, "admin"), echo(t, "site")
	Engines(t, func(t *testing.T, engine string) {
		addr := FreeAddr(t, "127.0.0.1")
		p := Start(t, guarded(addr, admin.URL, site.URL), "--engine", engine)
		w := Raw(t, addr)
		request := Request("GET", "/x/%2e%2e//adm%69n?a", "a.test", "")
		for i := 1; i < len(request); i++ {
			w.Send(request[:i])
			w.Send(request[i:])
			if res := w.ReadResponse("GET"); res.Text != "admin /admin?a" {
				t.Fatalf("split at %d: %d %q", i, res.StatusCode, res.Text)
			}
		}
		for _, n := range []int{1000, 3000, 4000, 4080, 4100, 8000} {
			long := strings.Repeat("/x/..", n/5) + "/admin"
			if status, text := askFor(t, w, long); status != 200 || text != "admin /admin" {
				t.Errorf("%d bytes: %d %q", len(long), status, text)
			}
		}
		p.Stop()
	})
}
