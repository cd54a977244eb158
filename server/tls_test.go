package server

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/control"
	"github.com/uringproxy/uringproxy/tls/certs"
)

// putCertificate writes a new certificate for a name, and its key beside it.
func putCertificate(t *testing.T, file, name string) *x509.Certificate {
	t.Helper()
	c, err := certs.SelfSigned(name)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.TLS.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*pem.Block{
		file + ".crt": {Type: "CERTIFICATE", Bytes: c.TLS.Certificate[0]},
		file + ".key": {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leaf, err := c.Leaf()
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

// ask makes a request over a new connection, and returns what was agreed on.
func ask(t *testing.T, url string, config *tls.Config) (text string, state *tls.ConnectionState) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	defer client.CloseIdleConnections()
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), res.TLS
}

// From a client over TLS to an upstream over TLS; a reload exchanges the certificate.
func TestTLSOnBothSides(t *testing.T) {
	up := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "told "+r.Header.Get("X-Forwarded-Proto"))
	}))
	defer up.Close()
	for _, engine := range []string{"epoll", "uring"} {
		t.Run(engine, func(t *testing.T) {
			dir, at := t.TempDir(), free(t)
			first := putCertificate(t, filepath.Join(dir, "a"), "a.test")
			ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: up.Certificate().Raw})
			text := `
[listeners.web]
address = "` + at + `"
[listeners.web.tls]
certificates = [{ cert = "a.crt", key = "a.key" }]
[routes.all]
service = "up"
[services.up]
endpoints = ["` + up.URL + `"]
[services.up.tls]
ca = ["ca.pem"]
server_name = "example.com"
`
			file := filepath.Join(dir, "my.toml")
			for name, b := range map[string][]byte{file: []byte(text), filepath.Join(dir, "ca.pem"): ca} {
				if err := os.WriteFile(name, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p := &process{Server: startFrom(t, file, engine)}
			config := &tls.Config{
				ServerName: "a.test", RootCAs: x509.NewCertPool(), ClientSessionCache: tls.NewLRUClientSessionCache(1),
			}
			config.RootCAs.AddCert(first)
			for _, resumed := range []bool{false, true} {
				text, state := ask(t, "https://"+at+"/", config)
				if text != "told https" || state.DidResume != resumed || state.Version != tls.VersionTLS13 {
					t.Fatalf("%q, resumed %v with %s", text, state.DidResume, tls.VersionName(state.Version))
				}
			}
			second := putCertificate(t, filepath.Join(dir, "a"), "a.test")
			if a := p.control.Reload(t.Context(), control.BySignal); a.Err != nil {
				t.Fatal(a.Err)
			}
			config = &tls.Config{ServerName: "a.test", RootCAs: x509.NewCertPool()}
			config.RootCAs.AddCert(second)
			ask(t, "https://"+at+"/", config)
			checkTLSFigures(t, p, filepath.Join(dir, "a.crt"))
		})
	}
}

// checkTLSFigures looks at what is told after three handshakes, one of them by a ticket.
func checkTLSFigures(t *testing.T, p *process, source string) {
	t.Helper()
	s := p.Status().TLS
	if s == nil || s.Mode != "shard" || s.Listeners != 1 || s.Done != 3 || s.Resumed != 1 || s.Failed != 0 ||
		s.Handshake.Count != 3 || s.All != 1 || len(s.Certificates) != 1 {
		t.Fatalf("status: %+v", s)
	}
	if c := s.Certificates[0]; c.Names[0] != "a.test" || c.Source != source || c.Days < 390 || c.Kind != "ECDSA" {
		t.Errorf("certificate: %+v", c)
	}
	var b bytes.Buffer
	if err := p.WriteMetrics(&b, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`uringproxy_tls_handshakes_total{side="client",result="done"} 3`,
		`uringproxy_tls_handshakes_done_total{side="client",version="1.3",resumed="true"} 1`,
		`uringproxy_tls_handshakes_total{side="upstream",result="done"} 1`,
		`uringproxy_tls_certificate_expiry_timestamp_seconds{name="a.test",source="` + source + `"} `,
		`uringproxy_tls_relayed 0`,
	} {
		if !strings.Contains(b.String(), "\n"+want) {
			t.Errorf("no line %s", want)
		}
	}
}
