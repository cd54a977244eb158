package e2e

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clienthello "github.com/uringproxy/uringproxy/tls/hello"
)

// What upstreams are told of a connection over TLS, and what clients cannot tell them instead.
func TestTLSForwarding(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr, log := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1"), filepath.Join(t.TempDir(), "access.log")
		config := logConfig(NewChecking(t).URL, addr, log, "json")
		id := ca.Issue([]string{"x.test"})
		config = strings.Replace(config, "[listeners.l0]\naddress = \""+addr+"\"\n", SecureListener("s", addr, id), 1)
		p := mode.Start(t, config)
		w := Secure(t, addr, &tls.Config{ServerName: "x.test", RootCAs: ca.Pool})
		claims := []string{"X-Forwarded-Proto: http", "Forwarded: for=192.0.2.1;proto=http", "X-Forwarded-Port: 80"}
		for _, fields := range [][]string{nil, claims} {
			w.Send(Request("GET", "/", "x.test", "", fields...))
			got := w.ReadResponse("GET").Header
			_, port, _ := net.SplitHostPort(addr)
			if got.Get("X-Got-X-Forwarded-Proto") != "https" || got.Get("X-Got-X-Forwarded-Port") != port ||
				strings.Contains(got.Get("X-Got-Forwarded"), "http;") {
				t.Errorf("the upstream was told %v", got)
			}
		}
		w.Close()
		p.Stop()
		b, err := os.ReadFile(log)
		if err != nil || strings.Count(string(b), `"scheme":"https"`) != 2 {
			t.Errorf("%v\n%s", err, b)
		}
	})
}

// Clients that prove who they are: upstreams and rules know it, and nobody else can claim it.
func TestTLSClientCertificateHeaders(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr, plain := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		client := ca.Issue([]string{"billing.test", "192.0.2.7"}, func(c *x509.Certificate) {
			c.URIs = []*url.URL{{Scheme: "spiffe", Host: "e2e.test", Path: "/billing"}}
		})
		id := ca.Issue([]string{"x.test"})
		config := Config(NewChecking(t).URL, plain) + SecureListener("s", addr, id) + fmt.Sprintf(
			"[listeners.s.tls.client_certificate]\nmode = \"request\"\nca = [%q]\n"+
				"forward = [\"subject\", \"san\", \"fingerprint\", \"certificate\"]\n"+
				"[routes.billing]\nclient_cert = \"spiffe://e2e.test/billing\"\nservice = \"billing\"\n"+
				"[services.billing]\nendpoints = [%q]\n", ca.File, NewChecking(t).URL)
		p := mode.Start(t, config)
		leaf := client.TLS.Leaf
		sum := sha256.Sum256(leaf.Raw)
		claims := []string{"X-Client-Cert-Subject: CN=root", "x-client-cert-san: DNS=root",
			"X-CLIENT-CERT-FINGERPRINT: 00", "Client-Cert: :AAAA:", "Client-Cert-Chain: :AAAA:"}
		for _, shown := range []bool{true, false} {
			want := map[string]string{"Client-Cert-Chain": "", "X-Client-Cert-Subject": "", "X-Client-Cert-San": "",
				"X-Client-Cert-Fingerprint": "", "Client-Cert": ""}
			c := &tls.Config{ServerName: "x.test", RootCAs: ca.Pool}
			if shown {
				c.Certificates = []tls.Certificate{client.TLS}
				want["X-Client-Cert-Subject"] = "CN=billing.test,O=e2e"
				want["X-Client-Cert-San"] = "URI=spiffe://e2e.test/billing, DNS=billing.test"
				want["X-Client-Cert-Fingerprint"] = hex.EncodeToString(sum[:])
				want["Client-Cert"] = ":" + base64.StdEncoding.EncodeToString(leaf.Raw) + ":"
			}
			w := Secure(t, addr, c)
			w.Send(Request("GET", "/", "x.test", "", claims...))
			got := w.ReadResponse("GET").Header
			for name, value := range want {
				if all := got.Values("X-Got-" + name); len(all) > 1 || got.Get("X-Got-"+name) != value {
					t.Errorf("%s is %q, want %q", name, all, value)
				}
			}
			w.Close()
		}
		w := Raw(t, plain)
		w.Send(Request("GET", "/", "x.test", "", claims...))
		for name, values := range w.ReadResponse("GET").Header {
			if strings.Contains(name, "Client-Cert") {
				t.Errorf("without TLS %s is %q", name, values)
			}
		}
		p.Stop()
	})
}

// A request for a name that lets nobody in without a certificate, or verifies it, on a connection that was made for
// another one.
func TestTLSMisdirectedRequests(t *testing.T) {
	Modes(t, func(t *testing.T, mode Mode) {
		matrixed(t, mode, func(m *matrix) {
			c := m.config(matrixName)
			c.Certificates = []tls.Certificate{m.client.TLS}
			w := Secure(t, m.addr, c)
			for host, want := range map[string]int{
				matrixName: 200, "request.test": 421, "require.test": 421, "verify.test": 421, "VERIFY.test:443": 421,
				"verify.test.": 421, "unknown.test": 200,
			} {
				w.Send(Request("GET", "/", host, ""))
				if res := w.ReadResponse("GET"); res.StatusCode != want {
					t.Errorf("%s: %d, want %d", host, res.StatusCode, want)
				}
			}
			c.ServerName = "verify.test"
			w = Secure(t, m.addr, c)
			for host, want := range map[string]int{matrixName: 200, "verify.test": 200, "require.test": 421} {
				w.Send(Request("GET", "/", host, ""))
				if res := w.ReadResponse("GET"); res.StatusCode != want {
					t.Errorf("from verify.test, %s: %d, want %d", host, res.StatusCode, want)
				}
			}
		})
	})
}

// A plain listener sends everybody to https, and what answers there says that it is to stay so.
func TestTLSRedirectAndHSTS(t *testing.T) {
	const hsts = "max-age=31536000; includeSubDomains"
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr, plain := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		_, port, _ := net.SplitHostPort(addr)
		redirecting := fmt.Sprintf("[listeners.plain]\naddress = %q\nredirect_https.port = %s\n", plain, port)
		config := Config(NewChecking(t).URL) + redirecting + SecureListener("s", addr, ca.Issue([]string{"x.test"})) +
			"[listeners.s.hsts]\nmax_age = \"8760h\"\ninclude_subdomains = true\n"
		p := mode.Start(t, config)
		w := Raw(t, plain)
		for _, method := range []string{"GET", "POST", "HEAD"} {
			body := strings.Repeat("b", map[string]int{"POST": 10_000}[method])
			w.Send(Request(method, "/a/b%20c?d=e&f", "x.test:8080", body))
			res := w.ReadResponse(method)
			want := "https://x.test:" + port + "/a/b%20c?d=e&f"
			if res.StatusCode != 308 || res.Header.Get("Location") != want || res.Header.Get(hstsField) != "" {
				t.Errorf("%s: %d, %v", method, res.StatusCode, res.Header)
			}
			if res.Close { // it has not read the body
				w = Raw(t, plain)
			}
		}
		s := Secure(t, addr, &tls.Config{ServerName: "x.test", RootCAs: ca.Pool})
		for target, status := range map[string]int{"/": 200, "/?status=404": 404, "/%00": 400} {
			s.Send(Request("GET", target, "x.test", ""))
			res := s.ReadResponse("GET")
			if all := res.Header.Values(hstsField); res.StatusCode != status || len(all) != 1 || all[0] != hsts {
				t.Errorf("%s: %d, %q", target, res.StatusCode, all)
			}
			if res.Close {
				s = Secure(t, addr, &tls.Config{ServerName: "x.test", RootCAs: ca.Pool})
			}
		}
		p.Stop()
	})
}

const hstsField = "Strict-Transport-Security"

// recorded keeps what was written first.
type recorded struct {
	net.Conn
	first []byte
}

func (c *recorded) Write(p []byte) (int, error) {
	if c.first == nil {
		c.first = append(c.first, p...)
	}
	return c.Conn.Write(p)
}

// ja4 is the fingerprint of the ClientHello that config makes.
func ja4(t *testing.T, config *tls.Config) string {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		_, _ = io.CopyN(io.Discard, theirs, recordHead+1)
		theirs.Close()
	}()
	c := &recorded{Conn: ours}
	_ = tls.Client(c, config).Handshake() // nobody answers
	ours.Close()
	var h clienthello.Hello
	message := c.first[recordHead:]
	if code := h.Parse(message); code != clienthello.OK {
		t.Fatalf("parse ClientHello: %v", code)
	}
	var text [clienthello.JA4Bytes]byte
	h.JA4(message, clienthello.OverTCP, &text)
	return string(text[:])
}

// By what a client offers, before anything is decrypted, it is sent to one service or another.
func TestTLSRoutingByClientHello(t *testing.T) {
	ca := NewAuthority(t, "ca")
	config := func(name string) *tls.Config { return &tls.Config{ServerName: name, RootCAs: ca.Pool} }
	old := config("x.test")
	old.MaxVersion = tls.VersionTLS12
	narrow := config("x.test")
	narrow.MaxVersion, narrow.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}
	grpc := config("x.test")
	grpc.NextProtos = []string{"h2", "http/1.1"}
	odd := config("x.test")
	odd.CurvePreferences, odd.NextProtos = []tls.CurveID{tls.CurveP384}, []string{"http/1.1"}
	nameless := config("127.0.0.1")
	Modes(t, func(t *testing.T, mode Mode) {
		addr, plain := FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		text := Config(named(t, "all"), plain) +
			SecureListener("s", addr, ca.Issue([]string{"x.test", "shop.test", "a.shop.test", "127.0.0.1"}))
		for i, route := range [][2]string{
			{"ja4", "JA4(`" + ja4(t, odd) + "`)"}, {"shop", "SNI(`shop.test`)"}, {"below", "SNI(`*.shop.test`)"},
			{"narrow", "CipherSuiteOnly(`TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384`)"},
			{"old", "TLSVersion(`1.2`)"}, {"grpc", "ALPN(`h2`)"}, {"nameless", "SNIRegexp(`^$`)"},
		} {
			text += fmt.Sprintf("[routes.%s]\nrule = %q\npriority = %d\nservice = %q\n", route[0], route[1], 100-i,
				route[0]) + fmt.Sprintf("[services.%s]\nendpoints = [%q]\n", route[0], named(t, route[0]))
		}
		p := mode.Start(t, text)
		for want, c := range map[string]*tls.Config{
			"all": config("x.test"), "shop": config("shop.test"), "below": config("a.shop.test"), "narrow": narrow,
			"old": old, "grpc": grpc, "ja4": odd, "nameless": nameless,
		} {
			w := Secure(t, addr, c)
			for range 2 {
				w.Send(Request("GET", "/", "x.test", ""))
				if res := w.ReadResponse("GET"); res.Text != want {
					t.Errorf("%q answers, want %q", res.Text, want)
				}
			}
			w.Close()
		}
		says(t, plain, "all")
		p.Stop()
	})
}
