package proxy

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
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
				if n := r.metrics.Snapshot().Timing(metrics.CertificateTime).Count; n != 1 {
					t.Errorf("%d look-ups of certificates are timed for one handshake", n)
				}
			}
		})
	})
}

// Bodies of many sizes in both directions at once, with TLS on one side or on both, each compared with what was sent.
func TestTLSBodies(t *testing.T) {
	id := newIdentity(t)
	sizes := []int{0, 1, 100, 1369, 4096, 16384, 16385, 70_000, 300_000, 2_000_000}
	echo := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		if len(body)%2 == 0 {
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		}
		w.Write(body)
	}
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			for _, side := range []string{"client", "upstream", "both"} {
				t.Run(side, func(t *testing.T) {
					up, scheme := upstream(t, echo), "http"
					var all []func(*rig)
					if side != "upstream" {
						scheme = "https"
						all = append(all, secureRig(id, relay, handshake.Policy{}))
					}
					if side != "client" {
						up = secureUpstream(t, id, echo, nil)
						all = append(all, toSecure(id, relay, handshake.ClientOptions{}))
					}
					r := start(t, open(), []string{up}, edits(all...))
					c := secureClient(t, id, nil)
					for _, size := range sizes {
						body := pattern(size)
						res, err := c.Post(scheme+"://"+r.addr+"/", "x/y", bytes.NewReader(body))
						if err != nil {
							t.Fatalf("%d bytes: %v", size, err)
						}
						got, err := io.ReadAll(res.Body)
						res.Body.Close()
						if err != nil || res.StatusCode != 200 || !bytes.Equal(got, body) {
							t.Fatalf("%d bytes: got %d, status %d, %v", size, len(got), res.StatusCode, err)
						}
					}
				})
			}
		})
	})
}

// An upstream that cannot be believed is a failed connection.
func TestTLSUpstreamRefused(t *testing.T) {
	id, other := newIdentity(t), newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			up := secureUpstream(t, other, func(http.ResponseWriter, *http.Request) {}, nil)
			r := start(t, open(), []string{up}, toSecure(id, relay, handshake.ClientOptions{}))
			res, err := client(t).Get("http://" + r.addr)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != 502 {
				t.Errorf("status %d", res.StatusCode)
			}
			if n := r.errors(metrics.UpstreamTLS); n != 1 {
				t.Errorf("counted %d times: %s", n, r.summary())
			}
		})
	})
}
