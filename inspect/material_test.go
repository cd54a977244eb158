package inspect

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/tls/certs"
)

// judged is when the certificates of these tests are looked at.
var judged = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// issueFiles writes a certificate for names, which expires some days after judged, to stem.crt, and its key to
// stem.key.
func issueFiles(t *testing.T, stem string, days int, names ...string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: judged.AddDate(0, -6, 0), NotAfter: judged.AddDate(0, 0, days),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, stem+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	write(t, stem+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})), 0o600)
}

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

// checked checks text in dir, and says all of it with paths as they are written.
func checked(t *testing.T, dir, text string) (*Result, string) {
	t.Helper()
	file := filepath.Join(dir, "my.toml")
	write(t, file, text, 0o600)
	c, faults := config.Load([]string{file})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	r := Check(context.Background(), c, Options{Store: new(certs.Store), Now: judged})
	var b strings.Builder
	for _, list := range [][]Finding{r.Faults, r.Warnings} {
		for i := range list {
			b.WriteString(list[i].String() + "\n")
		}
	}
	return r, strings.ReplaceAll(b.String(), dir+"/", "")
}

const plainRest = "[services.app]\nendpoints = \"http://10.0.0.1\"\n"

// TestMaterial: what is said of good and of bad files, and where.
func TestMaterial(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	issueFiles(t, at("good"), 90, "a.test", "*.b.test")
	issueFiles(t, at("other"), 90, "other.test")
	issueFiles(t, at("ending"), 3, "ending.test")
	issueFiles(t, at("ended"), -3, "ended.test")
	issueFiles(t, at("dir/x"), 90, "x.test")
	write(t, at("dir/y.crt"), "no certificate", 0o644)
	write(t, at("empty.pem"), "", 0o644)
	write(t, at("tickets"), strings.Repeat("0a", 32)+"\n", 0o644)
	write(t, at("secret"), "short", 0o600)
	if err := os.Chmod(at("ending.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, got := checked(t, dir, `[listeners.a]
address = ":1"
[listeners.a.tls]
certificates = [
  { cert = "good.crt", key = "good.key", ocsp = "empty.pem" },
  { cert = "ending.crt", key = "ending.key" },
  { cert = "ended.crt", key = "ended.key" },
]
tickets.keys = "tickets"
[listeners.b]
address = ":2"
[listeners.b.tls]
certificates = [
  { cert = "none.crt", key = "good.key" },
  { cert = "good.crt", key = "other.key" },
  { cert = "good.key", key = "good.crt" },
]
certificate_dir = "dir"
default = "a.test"
tickets.secret = "secret"
ech_keys = "empty.pem"
[listeners.b.tls.client_certificate]
mode = "verify"
ca = ["empty.pem"]
[listeners.c]
address = ":3"
[listeners.c.tls]
certificate_dir = "dir/none"
[listeners.d]
address = ":4"
[listeners.d.tls]
certificates = { cert = "good.crt", key = "good.key" }
default = "c.test"
tickets.keys = "none"
[routes.all]
service = "app"
[services.app]
endpoints = "https://10.0.0.1"
[services.app.tls]
ca = "none.pem"
certificate = { cert = "good.crt", key = "none.key" }
[services.ended]
endpoints = "https://10.0.0.1"
tls.certificate = { cert = "ended.crt", key = "ended.key" }
[services.ending]
endpoints = "https://10.0.0.1"
tls.certificate = { cert = "ending.crt", key = "ending.key" }
[services.good]
endpoints = "https://10.0.0.1"
tls.certificate = { cert = "good.crt", key = "good.key" }
`)
	golden(t, "testdata/material.txt", got)
	if r.OK || r.Counts.Faults != len(r.Faults) {
		t.Errorf("%+v", r.Counts)
	}
}

// coverage is what is said of anything but the certificates themselves.
func coverage(t *testing.T, dir, text string) string {
	t.Helper()
	_, all := checked(t, dir, text)
	kept := ""
	for line := range strings.Lines(all) {
		if !strings.Contains(line, "["+Certificate+"]") {
			kept += line
		}
	}
	return kept
}

// TestCoverage: hosts without a certificate, and names without a route.
func TestCoverage(t *testing.T) {
	dir := t.TempDir()
	issueFiles(t, filepath.Join(dir, "one"), 90, "a.test", "unused.test", "*.wild.test", "*.idle.test",
		"deep.x.test", "db.test")
	const listener = "[listeners.s]\naddress = \":1\"\ntls.certificates = { cert = \"one.crt\", key = \"one.key\" }\n"
	const uncovered, unused = ": the host ", ": names of certificates that no route is for: "
	for routes, want := range map[string][]string{
		"host = [\"a.test\", \"unused.test\", \"*.wild.test\", \"b.idle.test\", \"**.x.test\", \"db.test\"]": nil,
		"path = \"/\"":        nil,
		"host_regexp = \"a\"": nil,
		"host = [\"a.test\", \"b.test\", \"*.a.test\", \"x.y.wild.test\"]": {
			uncovered + "*.a.test,", uncovered + "b.test,", uncovered + "x.y.wild.test,",
			unused + "unused.test, *.idle.test, deep.x.test, db.test; ",
		},
		"host = \"**.test\"": nil,
		"host = \"*.test\"":  {unused + "*.wild.test, *.idle.test, deep.x.test; ", uncovered + "*.test,"},
	} {
		got := coverage(t, dir, listener+plainRest+"[routes.r]\nservice = \"app\"\n"+routes+"\n")
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: %q is missing from\n%s", routes, w, got)
			}
		}
		if strings.Count(got, "\n") != len(want) {
			t.Errorf("%s:\n%s", routes, got)
		}
	}
	got := coverage(t, dir, listener+plainRest+"[routes.r]\nservice = \"app\"\nhost = \"**.test\"\n"+
		"[routes.q]\nservice = \"app\"\nhost = \"far.example\"\n[tcp_routes.t]\nsni = \"far.example\"\n"+
		"service = \"t\"\n"+
		"[services.t]\nendpoints = \"tcp://10.0.0.1:1\"\n")
	if got != "" {
		t.Errorf("passed on: %s", got)
	}
}

// TestManyNames: as many certificates as a hosting company has, and none of their names has a route.
func TestManyNames(t *testing.T) {
	h := &hostsOf{first: map[string]*config.Route{}, above: map[string]bool{}}
	for i := range 50_000 {
		h.add(strings.Repeat("a.", i%20)+"h"+string(rune('a'+i%26))+".test", &config.Route{})
	}
	for name, want := range map[string]bool{
		"ha.test": true, "hA.test": false, "*.test": true, "*.a.test": false, "*.nobody.test": false, "a.hb.test": true,
	} {
		if got := h.takes(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
