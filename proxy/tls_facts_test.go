package proxy

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
	"github.com/uringproxy/uringproxy/tls/certs"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// clientCertificate makes a client's certificate, and who is to be believed to have signed it.
func clientCertificate(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	uri, _ := url.Parse("spiffe://example/client")
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Zoë", Organization: []string{"Example"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"client.test"}, URIs: []*url.URL{uri}, EmailAddresses: []string{"zoe@example.com"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// guarded has a listener whose host secret.test wants a client certificate.
func guarded(id identity, relay bool, believed *x509.CertPool) func(*rig) {
	return edits(secureRig(id, relay, handshake.Policy{}), func(r *rig) {
		server, err := handshake.NewServer(handshake.ServerOptions{
			Certificates: certs.NewSet([]*certs.Certificate{id.certificate}, id.certificate),
			Named: []handshake.NamedPolicy{{Names: []string{"secret.test"}, Policy: handshake.Policy{
				Name: "secret", ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: believed,
			}}},
		})
		if err != nil {
			r.t.Fatal(err)
		}
		r.snap.Listeners[0].TLS = &plan.TLS{Server: server, Timeout: 20 * time.Second, Forward: plan.ForwardSubject |
			plan.ForwardSAN | plan.ForwardFingerprint | plan.ForwardWhole}
	})
}

// Upstreams are told of the certificate that was verified, and of none that was not; who asks for a host that wants one
// on a connection on which none was asked for is sent away.
func TestClientCertificates(t *testing.T) {
	id := newIdentity(t)
	own, believed := clientCertificate(t)
	names := []string{"X-Client-Cert-Subject", "X-Client-Cert-San", "X-Client-Cert-Fingerprint", "Client-Cert",
		"Client-Cert-Chain"}
	sum := sha256.Sum256(own.Certificate[0])
	want := []string{
		"CN=Zo%C3%AB,O=Example", "URI=spiffe://example/client, DNS=client.test, email=zoe@example.com",
		hex.EncodeToString(sum[:]), ":" + base64.StdEncoding.EncodeToString(own.Certificate[0]) + ":", "",
	}
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			seen := make(chan []string, 1)
			up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
				var values []string
				for _, name := range names {
					values = append(values, strings.Join(r.Header.Values(name), "|"))
				}
				seen <- values
			})
			r := start(t, open(), []string{up}, guarded(id, relay, believed))
			connect := func(name string) (*tls.Conn, *bufio.Reader) {
				c := dialTLS(t, dialTCP(t, r.addr), id, func(cfg *tls.Config) {
					cfg.ServerName, cfg.InsecureSkipVerify = name, true
					cfg.Certificates = []tls.Certificate{own}
				})
				return c, bufio.NewReader(c)
			}
			claims := "X-Client-Cert-Subject: CN=root\r\nclient-cert: :AA==:\r\nClient-Cert-Chain: :AA==:\r\n"
			ask := func(c *tls.Conn, br *bufio.Reader, host string) int {
				res, _ := askOver(t, c, br, "GET / HTTP/1.1\r\nHost: "+host+"\r\n"+claims+"\r\n")
				return res.StatusCode
			}
			open, obr := connect("example.com")
			if status := ask(open, obr, "example.com"); status != 200 {
				t.Fatalf("status %d", status)
			}
			if got := <-seen; strings.Join(got, "") != "" {
				t.Errorf("nobody has shown a certificate, and the upstream saw %q", got)
			}
			if status := ask(open, obr, "Secret.test.:443"); status != 421 {
				t.Errorf("status %d for a host that wants a certificate", status)
			}
			if n := r.errors(metrics.Misdirected); n != 1 {
				t.Errorf("counted %d times: %s", n, r.summary())
			}
			guarded, gbr := connect("secret.test")
			if status := ask(guarded, gbr, "secret.test"); status != 200 {
				t.Fatalf("status %d", status)
			}
			if got := <-seen; !slices.Equal(got, want) {
				t.Errorf("the upstream saw %q, want %q", got, want)
			}
		})
	})
}

// Rules see what the client offered, and who it was verified to be.
func TestRoutingByTLS(t *testing.T) {
	id := newIdentity(t)
	own, believed := clientCertificate(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "routed") })
		r := start(t, open(), []string{up}, edits(guarded(id, false, believed), func(r *rig) {
			parsed, err := rule.Parse("SNI(`example.com`) && ALPN(`http/1.1`) || ClientCert(`client.test`)")
			if err != nil {
				r.t.Fatal(err)
			}
			table, err := routing.Compile([]routing.Route{{Name: "all", Rule: parsed}})
			if err != nil {
				r.t.Fatal(err)
			}
			r.snap.Listeners[0].Table = table
		}))
		for _, tc := range []struct {
			name   string
			alpn   []string
			status int
		}{
			{"example.com", []string{"http/1.1"}, 200}, {"example.com", nil, 404},
			{"other.test", []string{"http/1.1"}, 404}, {"secret.test", nil, 200},
		} {
			c := dialTLS(t, dialTCP(t, r.addr), id, func(cfg *tls.Config) {
				cfg.ServerName, cfg.InsecureSkipVerify, cfg.NextProtos = tc.name, true, tc.alpn
				cfg.Certificates = []tls.Certificate{own}
			})
			res, _ := askOver(t, c, bufio.NewReader(c), "GET / HTTP/1.1\r\nHost: "+tc.name+"\r\n\r\n")
			if res.StatusCode != tc.status {
				t.Errorf("%s %q: status %d, want %d", tc.name, tc.alpn, res.StatusCode, tc.status)
			}
		}
	})
}

// Over TLS, and nowhere else, clients are told to come back by https; the upstream's word on that is dropped.
func TestHSTS(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("strict-transport-security", "max-age=0")
		})
		r := start(t, open(), []string{up}, edits(secureRig(id, false, handshake.Policy{}), func(r *rig) {
			r.snap.Listeners[0].HSTS = "max-age=31536000"
		}))
		c := dialTLS(t, dialTCP(t, r.addr), id, nil)
		br := bufio.NewReader(c)
		for _, request := range []string{"GET / HTTP/1.1", "CONNECT a:1 HTTP/1.1"} {
			res, _ := askOver(t, c, br, request+"\r\nHost: a:1\r\n\r\n")
			got := res.Header.Values("Strict-Transport-Security")
			if len(got) != 1 || got[0] != "max-age=31536000" {
				t.Errorf("status %d: %q", res.StatusCode, got)
			}
		}
	})
}

// A plain listener sends everybody to https: to the same host and target.
func TestRedirect(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), []string{"http://127.0.0.1:1"}, func(r *rig) {
			r.snap.Listeners[0].Redirect = &plan.Redirect{Port: 8443, Code: 308}
		})
		long := "/" + strings.Repeat("x", 6000)
		for request, want := range map[string]string{
			"GET /a/b?c=d%20e HTTP/1.1\r\nHost: Example.com:80\r\n\r\n": "https://Example.com:8443/a/b?c=d%20e",
			"GET /? HTTP/1.1\r\nHost: [::1]:80\r\n\r\n":                 "https://[::1]:8443/?",
			"POST http://b.test HTTP/1.1\r\nHost: b.test\r\n\r\n":       "https://b.test:8443/",
			"OPTIONS * HTTP/1.1\r\nHost: c.test\r\n\r\n":                "https://c.test:8443/",
			"GET " + long + " HTTP/1.1\r\nHost: a\r\n\r\n":              "https://a:8443" + long,
		} {
			c := dialTCP(t, r.addr)
			res, _ := askOver(t, c, bufio.NewReader(c), request)
			if got := res.Header.Get("Location"); res.StatusCode != 308 || got != want {
				t.Errorf("%.50q: %d to %.100q", request, res.StatusCode, got)
			}
		}
		c := dialTCP(t, r.addr)
		if res, _ := askOver(t, c, bufio.NewReader(c), "GET / HTTP/1.0\r\n\r\n"); res.StatusCode != 400 {
			t.Errorf("status %d for a request that names no host", res.StatusCode)
		}
	})
}

// A target that fills the largest buffer leaves no room for the answer around it, and is refused.
func TestRedirectTooLong(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), []string{"http://127.0.0.1:1"}, func(r *rig) {
			r.snap.Listeners[0].Redirect = &plan.Redirect{Code: 308}
			r.snap.Limits.LineBytes, r.snap.Limits.HeaderBytes = 65535, 65535
		})
		for n, want := range map[int]int{60_000: 308, 63_400: 308, 63_500: 414, 65_400: 414} {
			c := dialTCP(t, r.addr)
			target := "/" + strings.Repeat("x", n)
			res, _ := askOver(t, c, bufio.NewReader(c), "GET "+target+" HTTP/1.1\r\nHost: a\r\n\r\n")
			to := res.Header.Get("Location")
			if res.StatusCode != want || want == 308 && to != "https://a"+target {
				t.Errorf("%d bytes: status %d, to %d bytes", n, res.StatusCode, len(to))
			}
		}
	})
}

// The schemes that upstreams are told of are those of the connection.
func TestTLSForwarded(t *testing.T) {
	id := newIdentity(t)
	seen := make(chan string, 1)
	up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- fmt.Sprint(r.Header["X-Forwarded-Proto"], r.Header["X-Forwarded-Port"], r.Header["Forwarded"])
	})
	r := start(t, backends["epoll"](), []string{up}, edits(secureRig(id, false, handshake.Policy{}), func(r *rig) {
		r.snap.Forward.Forwarded = true
	}))
	c := dialTLS(t, dialTCP(t, r.addr), id, nil)
	askOver(t, c, bufio.NewReader(c), "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: http\r\n\r\n")
	port := r.snap.Listeners[0].Addr.Port()
	if got, want := <-seen, fmt.Sprintf("[https] [%d] [for=127.0.0.1;host=\"a\";proto=https]", port); got != want {
		t.Errorf("the upstream saw %s, want %s", got, want)
	}
}

// What a long offer takes is not kept for later connections.
func TestLongOffersForgotten(t *testing.T) {
	f := facts{offer: make([]byte, 100, offerBytes), name: "x"}
	if f.forget(); cap(f.offer) != offerBytes || len(f.offer) != 0 || f.name != "" {
		t.Errorf("%d of %d bytes are kept, and the name %q", len(f.offer), cap(f.offer), f.name)
	}
	f.offer = append(f.offer, make([]byte, 8000)...)
	if f.forget(); f.offer != nil {
		t.Errorf("%d bytes are kept", cap(f.offer))
	}
}
