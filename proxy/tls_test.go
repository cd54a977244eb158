package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

func TestTLSGet(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
				up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("X-Saw", r.Header.Get("X-Forwarded-Proto"))
					fmt.Fprintf(w, "hello %s", r.URL.Path)
				})
				r := start(t, open(), []string{up}, secureRig(id, relay, handshake.Policy{}))
				c := secureClient(t, id, func(cfg *tls.Config) { cfg.MaxVersion = version })
				for i := range 20 {
					res, err := c.Get(fmt.Sprintf("https://%s/p/%d", r.addr, i))
					if err != nil {
						t.Fatal(err)
					}
					body, _ := io.ReadAll(res.Body)
					res.Body.Close()
					if res.StatusCode != 200 || string(body) != fmt.Sprintf("hello /p/%d", i) {
						t.Fatalf("%d %q", res.StatusCode, body)
					}
					if saw := res.Header.Get("X-Saw"); saw != "https" {
						t.Fatalf("the upstream saw the scheme %q", saw)
					}
				}
			}
		})
	})
}
