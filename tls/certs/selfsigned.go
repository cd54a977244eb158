package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// selfSignedLife is how long a self-signed certificate is valid: what browsers accept at most.
const selfSignedLife = 397 * 24 * time.Hour

// SelfSigned makes a certificate that is signed with its own key, on P-256, for development: for DNS names in A-labels,
// wildcards and addresses; without names, for localhost, 127.0.0.1 and ::1. It began an hour ago and lives 397 days.
func SelfSigned(names ...string) (*Certificate, error) {
	if len(names) == 0 {
		names = []string{"localhost", "127.0.0.1", "::1"}
	}
	template, err := selfSignedTemplate(names, time.Now())
	if err != nil {
		return nil, err
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key of self-signed certificate: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("make self-signed certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make self-signed certificate: %w", err)
	}
	f := &file{name: "self-signed", certificates: [][]byte{der}}
	a := &assembly{certs: f, key: f, private: &key{signer: signer, kind: ECDSA}, leaf: leaf}
	c, fault := a.assemble(nil)
	if fault != nil {
		return nil, fault
	}
	return c, nil
}

func selfSignedTemplate(names []string, now time.Time) (*x509.Certificate, error) {
	begin := now.Add(-time.Hour).Truncate(time.Second)
	template := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{"uringproxy"}, CommonName: "self-signed, for development"},
		NotBefore: begin, NotAfter: begin.Add(selfSignedLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, name := range names {
		if addr, err := netip.ParseAddr(name); err == nil {
			template.IPAddresses = append(template.IPAddresses, addr.WithZone("").Unmap().AsSlice())
			continue
		}
		if !askable(name) {
			return nil, fmt.Errorf("make self-signed certificate: %q is no host name: write it with A-labels (xn--…), "+
				"and a wildcard as *.example.com", name)
		}
		template.DNSNames = append(template.DNSNames, strings.ToLower(name))
	}
	return template, nil
}
