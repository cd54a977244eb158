package e2e

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

const outerName = "public.test"

// publish makes a key for encrypted hellos: the file for the server, and the list that clients would find in the DNS.
func publish(t *testing.T, id byte) (file string, list []byte) {
	t.Helper()
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	do(t, err)
	// ECHConfigContents of RFC 9849, section 4: X25519, HKDF-SHA256 and AES-128-GCM; no extensions.
	contents := append([]byte{id, 0, 0x20}, sized(key.PublicKey().Bytes())...)
	contents = append(contents, sized([]byte{0, 1, 0, 1})...)
	contents = append(contents, 64, byte(len(outerName)))
	contents = append(append(contents, outerName...), 0, 0)
	list = sized(append([]byte{0xfe, 0x0d}, sized(contents)...))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	do(t, err)
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "ECHCONFIG", Bytes: list})...)
	file = filepath.Join(t.TempDir(), "ech.pem")
	do(t, os.WriteFile(file, text, 0o600))
	return file, list
}

// sized is b behind its length in two bytes.
func sized(b []byte) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...) }

// A client that hides the name it asks for gets that name's certificate; its route is the one of the name that all may
// see. One that has outdated keys is told the present ones. A process that keeps to FIPS 140 is not asked: it has no
// X25519, which encrypted hellos are made with.
func TestTLSEncryptedHello(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		ca, addr := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1")
		file, list := publish(t, 1)
		_, outdated := publish(t, 2)
		hidden, public := ca.Issue([]string{"hidden.test"}), ca.Issue([]string{outerName})
		config := Config(named(t, "other")) + SecureListener("s", addr, public, hidden) +
			fmt.Sprintf("ech_keys = %q\nstrict = true\n", file) +
			fmt.Sprintf("[routes.outer]\nrule = \"SNI(`%s`)\"\nservice = \"outer\"\n[services.outer]\n"+
				"endpoints = [%q]\n", outerName, named(t, "outer"))
		p := Start(t, config, "--engine", engine)
		c := &tls.Config{ServerName: "hidden.test", RootCAs: ca.Pool, EncryptedClientHelloConfigList: list}
		w := Secure(t, addr, c)
		if is := w.State(); !is.ECHAccepted || !is.PeerCertificates[0].Equal(hidden.TLS.Leaf) {
			t.Errorf("accepted: %v, the certificate is for %q", is.ECHAccepted, is.PeerCertificates[0].DNSNames)
		}
		w.Send(Request("GET", "/", "hidden.test", ""))
		if res := w.ReadResponse("GET"); res.Text != "outer" {
			t.Errorf("%d %q", res.StatusCode, res.Text)
		}
		c.EncryptedClientHelloConfigList = outdated
		_, err := TrySecure(t, addr, c)
		var rejected *tls.ECHRejectionError
		if !errors.As(err, &rejected) || string(rejected.RetryConfigList) != string(list) {
			t.Fatalf("outdated keys: %v", err)
		}
		p.Stop()
	})
}
