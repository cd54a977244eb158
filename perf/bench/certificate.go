package bench

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"time"
)

// Files of a target's folder that have the certificate, its key, and both.
const (
	certFile = "cert.pem"
	keyFile  = "key.pem"
	bothFile = "both.pem"
)

// certificateLife is longer than any measurement.
const certificateLife = 30 * 24 * time.Hour

// certificate is what all proxies show of themselves: for loadedHost, with a key on P-256, signed by itself.
type certificate struct{ cert, key []byte } // PEM

func newCertificate() (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	now := time.Now()
	template := x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: loadedHost},
		DNSNames: []string{loadedHost}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return &certificate{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	}, nil
}

// write leaves the files where a site's configuration names them.
func (c *certificate) write(s *site) error {
	for name, text := range map[string][]byte{
		certFile: c.cert, keyFile: c.key, bothFile: append(append([]byte(nil), c.cert...), c.key...),
	} {
		if err := os.WriteFile(s.path(name), text, 0o600); err != nil {
			return fmt.Errorf("write certificate: %w", err)
		}
	}
	return nil
}

// trust is the configuration of a client that believes the certificate.
func (c *certificate) trust() *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.cert)
	return &tls.Config{RootCAs: roots, ServerName: loadedHost}
}
