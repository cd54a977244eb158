package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// minted is a certificate that a test made, with its key and with who issued it.
type minted struct {
	*x509.Certificate
	signer crypto.Signer
	issuer *minted // nil: itself
}

// The types of keys, as tests need them.
type (
	ecdsaKey = *ecdsa.PrivateKey
	rsaKey   = *rsa.PrivateKey
)

// edit changes the template that a certificate is made from.
type edit func(*x509.Certificate)

var day = 24 * time.Hour

// mint makes a certificate for names, with a key of its own on P-256 unless a signer is given.
func mint(t testing.TB, issuer *minted, signer crypto.Signer, names []string, edits ...edit) *minted {
	t.Helper()
	if signer == nil {
		signer = must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"test"}},
		NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(90 * day),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, name := range names {
		if addr, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, addr.AsSlice())
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	for _, e := range edits {
		e(template)
	}
	parent, by := template, signer
	if issuer != nil {
		parent, by = issuer.Certificate, issuer.signer
	}
	der := must(x509.CreateCertificate(rand.Reader, template, parent, signer.Public(), by))(t)
	return &minted{must(x509.ParseCertificate(der))(t), signer, issuer}
}

// authority makes the certificate of an authority.
func authority(t testing.TB, issuer *minted, name string, edits ...edit) *minted {
	return mint(t, issuer, nil, nil, append([]edit{func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: name}
		c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageDigitalSignature
		c.ExtKeyUsage = nil
		c.NotAfter = time.Now().Add(3650 * day)
	}}, edits...)...)
}

func lasting(from, to time.Duration) edit {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) }
}

// must turns an error into the end of a test.
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// certPEM is the certificates in one file.
func certPEM(list ...*minted) string {
	var b strings.Builder
	for _, c := range list {
		b.WriteString(pemText("CERTIFICATE", c.Raw))
	}
	return b.String()
}

func pemText(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

// keyPEM is the key, in PKCS#8.
func (m *minted) keyPEM(t testing.TB) string {
	return pemText("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(m.signer))(t))
}

// files is a directory that a test fills.
type files struct {
	t   testing.TB
	dir string
}

func newFiles(t testing.TB) files { return files{t, t.TempDir()} }

func (f files) path(name string) string { return filepath.Join(f.dir, name) }

// put writes a file that only its owner may read, and yields its path.
func (f files) put(name, text string) string {
	f.t.Helper()
	if err := os.WriteFile(f.path(name), []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return f.path(name)
}

// pair writes a certificate with its chain, and its key, as name.crt and name.key.
func (f files) pair(name string, c *minted, chain ...*minted) (certFile, keyFile string) {
	f.t.Helper()
	return f.put(name+".crt", certPEM(append([]*minted{c}, chain...)...)), f.put(name+".key", c.keyPEM(f.t))
}

// loaded is a minted certificate as a Store loads it.
func loaded(t testing.TB, c *minted, chain ...*minted) *Certificate {
	t.Helper()
	var s Store
	return must(s.Load(newFiles(t).pair("x", c, chain...)))(t)
}

// signers are keys that take long to make, made once.
var signers = struct {
	rsa2048, rsa1024 func() crypto.Signer
}{
	sync.OnceValue(func() crypto.Signer { return newRSA(2048) }),
	sync.OnceValue(func() crypto.Signer { return newRSA(1024) }),
}

func newRSA(bits int) crypto.Signer {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

func newEd25519(t testing.TB) crypto.Signer {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	return must(k, err)(t)
}

func curveKey(t testing.TB, curve elliptic.Curve) crypto.Signer {
	return must(ecdsa.GenerateKey(curve, rand.Reader))(t)
}

// mentions reports whether one of the texts has all of the words in it.
func mentions(texts []string, words ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool {
		for _, w := range words {
			if !strings.Contains(text, w) {
				return false
			}
		}
		return true
	})
}
