package proxy

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
)

// A line says what was agreed on with the client, and who it was verified to be; one of a plain connection says nothing
// of that.
func TestTLSLogged(t *testing.T) {
	id := newIdentity(t)
	own, believed := clientCertificate(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "x") })
		for _, secure := range []bool{true, false} {
			rings, err := accesslog.NewRings(1, 1<<20, accesslog.JSON)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { rings.Close() })
			edit := func(*rig) {}
			if secure {
				edit = guarded(id, false, believed)
			}
			r := start(t, open(), []string{up}, edits(edit, func(r *rig) { r.log = rings.Ring(0) }))
			url, client := "http://"+r.addr, http.DefaultClient
			if secure {
				url = "https://" + r.addr
				client = secureClient(t, id, func(cfg *tls.Config) {
					cfg.ServerName, cfg.InsecureSkipVerify = "SECRET.test", true
					cfg.Certificates = []tls.Certificate{own}
				})
			}
			request, err := http.NewRequest("GET", url, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host, request.Close = "secret.test", true
			res, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			line := ""
			r.waitFor("the line", func() bool { line += logged(rings.Ring(0)); return line != "" })
			for _, want := range []string{
				`,"tls_version":"1.3","tls_suite":"TLS_`, `,"sni":"secret.test","client_cert":"CN=Zo%C3%AB,O=Example"`,
			} {
				if strings.Contains(line, want) != secure {
					t.Errorf("TLS %v: %s", secure, line)
				}
			}
		}
	})
}
