package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

// skew is by how much a responder's clock may be ahead of ours.
const skew = 5 * time.Minute

// CheckStaple verifies an OCSP response, in DER, about this certificate: that its issuer signed it, or somebody whom
// the issuer named for that (RFC 6960, section 4.2.2.2), that it says good, and that it is current (section 3.2). It
// returns until when it is; a response without an end is refused, for clients cannot tell how old it may become.
func (c *Certificate) CheckStaple(der []byte, now time.Time) (until time.Time, err error) {
	leaf, issuer, err := c.pair()
	if err != nil {
		return time.Time{}, err
	}
	response, err := ocsp.ParseResponseForCert(der, leaf, issuer)
	if err != nil {
		return time.Time{}, fmt.Errorf("verify OCSP response: %w", err)
	}
	if err := checkResponder(response.Certificate, issuer, now); err != nil {
		return time.Time{}, err
	}
	switch {
	case response.Status == ocsp.Revoked:
		return time.Time{}, fmt.Errorf("verify OCSP response: the certificate was revoked on %s",
			stamp(response.RevokedAt))
	case response.Status != ocsp.Good:
		return time.Time{}, errors.New("verify OCSP response: the responder does not know the certificate")
	case response.NextUpdate.IsZero():
		return time.Time{}, errors.New("verify OCSP response: it does not say until when it is valid")
	case now.After(response.NextUpdate):
		return time.Time{}, fmt.Errorf("verify OCSP response: it was valid until %s", stamp(response.NextUpdate))
	case now.Add(skew).Before(response.ThisUpdate):
		return time.Time{}, fmt.Errorf("verify OCSP response: it is valid from %s on; is the clock right?",
			stamp(response.ThisUpdate))
	}
	return response.NextUpdate, nil
}

// checkResponder verifies that who signed a response for the issuer may do so. That the issuer signed its certificate
// has been verified; without this check the owner of any certificate of the same issuer could answer for all others.
func checkResponder(responder, issuer *x509.Certificate, now time.Time) error {
	switch {
	case responder == nil || responder.Equal(issuer):
		return nil
	case !slices.Contains(responder.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning):
		return errors.New("verify OCSP response: it is signed with a certificate that is not for signing them")
	case now.Before(responder.NotBefore) || now.After(responder.NotAfter):
		return errors.New("verify OCSP response: it is signed with a certificate that is not valid now")
	}
	return nil
}

// pair parses the certificate and its issuer's.
func (c *Certificate) pair() (leaf, issuer *x509.Certificate, err error) {
	if len(c.TLS.Certificate) < 2 {
		return nil, nil, fmt.Errorf("find issuer of %s: no intermediate certificate is in its file: append the "+
			"authority's chain", c.Source)
	}
	if leaf, err = c.Leaf(); err != nil {
		return nil, nil, err
	}
	if issuer, err = x509.ParseCertificate(c.TLS.Certificate[1]); err != nil {
		return nil, nil, fmt.Errorf("parse issuer of %s: %w", c.Source, err)
	}
	return leaf, issuer, nil
}

// WithStaple is the certificate with an OCSP response, in DER, that CheckStaple finds good; the response is kept, and
// not to be changed. The key and the chain are shared.
func (c *Certificate) WithStaple(der []byte, now time.Time) (*Certificate, error) {
	until, err := c.CheckStaple(der, now)
	if err != nil {
		return nil, err
	}
	stapled := *c
	stapled.TLS.OCSPStaple, stapled.StapleUntil = der, until
	stapled.origin = c.Unstapled()
	return &stapled, nil
}

// Unstapled is the certificate without an OCSP response, as a Store yields it.
func (c *Certificate) Unstapled() *Certificate {
	if c.origin != nil {
		return c.origin
	}
	return c
}

// WithStapleFile is WithStaple with the response in a file, in DER or in a PEM block OCSP RESPONSE. An error is a
// *Fault.
func (c *Certificate) WithStapleFile(name string, now time.Time) (*Certificate, error) {
	f, fault := readFile(name, "the OCSP response")
	if fault != nil {
		return nil, fault
	}
	der := f.data
	if bytes.HasPrefix(der, begin) {
		block, _ := pem.Decode(der)
		if block == nil || block.Type != "OCSP RESPONSE" {
			return nil, faultf(name, "name the file that openssl ocsp -respout wrote", "holds no OCSP response")
		}
		der = block.Bytes
	}
	stapled, err := c.WithStaple(der, now)
	if err != nil {
		return nil, faultf(name, "fetch a new one for "+c.Source, "cannot be stapled: %v", err)
	}
	return stapled, nil
}
