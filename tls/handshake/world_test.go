package handshake

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/tls/certs"
)

// minted is a certificate that the world's authority has signed.
type minted struct {
	tls  tls.Certificate
	ours *certs.Certificate
}

// world is what all tests share, made once.
type world struct {
	roots, strangers    *x509.CertPool // strangers: another authority
	ecdsa, rsa          minted         // for example.com and *.example.com
	other               minted         // for example.net
	alice, mallory      minted         // clients, of which the second is the strangers'
	authority, stranger *authority
}

type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
	serial      int64
}

var theWorld = sync.OnceValue(func() *world {
	dir, err := os.MkdirTemp("", "handshake")
	must(err)
	defer os.RemoveAll(dir)
	w := &world{authority: newAuthority("authority"), stranger: newAuthority("stranger")}
	w.roots, w.strangers = x509.NewCertPool(), x509.NewCertPool()
	w.roots.AddCert(w.authority.certificate)
	w.strangers.AddCert(w.stranger.certificate)
	elliptic, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	factors, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	w.ecdsa = w.authority.mint(dir, elliptic, "example.com", "*.example.com")
	w.rsa = w.authority.mint(dir, factors, "example.com", "*.example.com")
	w.other = w.authority.mint(dir, elliptic, "example.net")
	w.alice = w.authority.mint(dir, elliptic, "alice.example")
	w.mallory = w.stranger.mint(dir, elliptic, "mallory.example")
	return w
})

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func newAuthority(name string) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(err)
	certificate, err := x509.ParseCertificate(der)
	must(err)
	return &authority{certificate: certificate, key: key, serial: 1}
}

func (a *authority) mint(dir string, key crypto.Signer, names ...string) minted {
	a.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	must(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(err)
	certFile, keyFile := filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	must(os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	ours, err := new(certs.Store).Load(certFile, keyFile)
	must(err)
	return minted{tls: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, ours: ours}
}

// set has both certificates of example.com and that of example.net, which is the default too.
func (w *world) set() *certs.Set {
	return certs.NewSet([]*certs.Certificate{w.ecdsa.ours, w.rsa.ours, w.other.ours}, w.other.ours)
}

// client is a configuration that trusts the world's authority and asks for tickets.
func (w *world) client() *tls.Config {
	return &tls.Config{
		RootCAs: w.roots, ServerName: "www.example.com", MinVersion: tls.VersionTLS12,
		ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}
}

func newServer(t testing.TB, options ServerOptions) *Server {
	t.Helper()
	if options.Certificates == nil {
		options.Certificates = theWorld().set()
	}
	s, err := NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newClient(t testing.TB, options ClientOptions) *Client {
	t.Helper()
	c, err := NewClient(options)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
