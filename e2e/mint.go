package e2e

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
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Authority issues certificates for one test.
type Authority struct {
	t      testing.TB
	dir    string
	cert   *x509.Certificate
	key    crypto.Signer
	issued int64
	// File holds its certificate, and Pool nothing else.
	File string
	Pool *x509.CertPool
}

// Identity is a certificate and its key: as files, and for crypto/tls.
type Identity struct {
	Cert, Key string
	TLS       tls.Certificate
}

// Edit changes what a certificate is to say.
type Edit func(*x509.Certificate)

// RSA keys take long to make, and a test does not mind whose they are.
var rsaKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// NewAuthority makes an authority of that name. Its files go with the test.
func NewAuthority(t testing.TB, name string) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir(), Pool: x509.NewCertPool()}
	a.key = a.newKey(false)
	template := a.template(name)
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	a.cert = a.sign(template, template, a.key)
	a.Pool.AddCert(a.cert)
	a.File = a.write("authority.pem", "CERTIFICATE", a.cert.Raw)
	return a
}

// Issue makes a certificate for names, hosts or addresses, the first of which is the subject's common name, with an
// ECDSA key on P-256. It is good for servers and clients until it is edited.
func (a *Authority) Issue(names []string, edits ...Edit) *Identity {
	a.t.Helper()
	return a.issue(false, names, edits)
}

// IssueRSA is Issue with an RSA key.
func (a *Authority) IssueRSA(names []string, edits ...Edit) *Identity {
	a.t.Helper()
	return a.issue(true, names, edits)
}

func (a *Authority) issue(rsa bool, names []string, edits []Edit) *Identity {
	a.t.Helper()
	template := a.template(names[0])
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	for _, edit := range edits {
		edit(template)
	}
	key := a.newKey(rsa)
	leaf := a.sign(template, a.cert, key)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	base := fmt.Sprint(a.issued)
	return &Identity{
		Cert: a.write(base+".crt", "CERTIFICATE", leaf.Raw), Key: a.write(base+".key", "PRIVATE KEY", der),
		TLS: tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf},
	}
}

func (a *Authority) newKey(wantRSA bool) crypto.Signer {
	a.t.Helper()
	var key crypto.Signer
	var err error
	if wantRSA {
		key, err = rsaKey()
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *Authority) template(name string) *x509.Certificate {
	a.issued++
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.issued), Subject: pkix.Name{CommonName: name, Organization: []string{"e2e"}},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}
}

func (a *Authority) sign(template, parent *x509.Certificate, key crypto.Signer) *x509.Certificate {
	a.t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert
}

func (a *Authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return path
}

// Lasting makes a certificate begin and end at these distances from now.
func Lasting(from, to time.Duration) Edit {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = time.Now().Add(from), time.Now().Add(to) }
}
