package certs

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"
)

// Kind is the algorithm of a certificate's key. Of each kind a name can have one certificate, and a client is shown
// the first in the order of these constants that it can verify.
type Kind uint8

const (
	// ECDSA keys sign some twenty times as fast as RSA's, and every client of this decade verifies them.
	ECDSA Kind = iota
	// Ed25519 keys are as fast, but browsers do not offer them.
	Ed25519
	// RSA keys are for clients that know nothing else.
	RSA
	kinds
)

// String is the kind as people write it.
func (k Kind) String() string { return [...]string{"ECDSA", "Ed25519", "RSA"}[k] }

// Certificate is a certificate with its chain and key. It is immutable, and shared between sets.
type Certificate struct {
	// TLS is what crypto/tls signs with. Its Leaf is nil: a server's handshake has no use for it, and parsed it
	// weighs as much as the rest together; Leaf and Parsed make it when somebody asks.
	TLS tls.Certificate
	// Names are those it is valid for, in lower case and without duplicates: DNS names, wildcards as "*.example.com",
	// addresses as netip.Addr writes them. Names that no client can ask for are left out, with a warning.
	Names []string
	// Source is the file it came from, or "self-signed".
	Source string
	// NotBefore and NotAfter are the first and the last moment at which it is valid.
	NotBefore, NotAfter time.Time
	// Kind is its key's.
	Kind Kind
	// MustStaple says that clients which honour its TLS feature extension (RFC 7633) refuse it without an OCSP
	// response.
	MustStaple bool
	// StapleUntil is when TLS.OCSPStaple ceases to be valid; zero when there is none.
	StapleUntil time.Time

	chainEnds time.Time    // when the first of its intermediate certificates expires; zero without any
	notes     []string     // warnings that do not depend on the time
	origin    *Certificate // the one that a Store remembers, of which this is a copy with a staple; nil for itself
}

// Leaf parses the certificate itself, anew at each call: it is for status and checks, not for handshakes.
func (c *Certificate) Leaf() (*x509.Certificate, error) {
	leaf, err := x509.ParseCertificate(c.TLS.Certificate[0])
	if err != nil {
		return nil, fmt.Errorf("parse certificate %s: %w", c.Source, err)
	}
	return leaf, nil
}

// Parsed is TLS with Leaf set, a new value at each call. A client that shows a certificate does so by this one, for
// crypto/tls would otherwise parse it in each handshake to compare it with the authorities that the server names.
func (c *Certificate) Parsed() (*tls.Certificate, error) {
	leaf, err := c.Leaf()
	if err != nil {
		return nil, err
	}
	parsed := c.TLS
	parsed.Leaf = leaf
	return &parsed, nil
}

// Fingerprint is the SHA-256 of the certificate's DER encoding, by which it is known elsewhere. It is the same with and
// without a staple.
func (c *Certificate) Fingerprint() [sha256.Size]byte { return sha256.Sum256(c.TLS.Certificate[0]) }

// soon is how long before its end a certificate is said to expire soon, unless it lives so shortly that a third of its
// life is less.
const soon = 14 * 24 * time.Hour

// Warnings are what works, or will work for a while, and should be seen to: sentences about the certificate as it is at
// the given time, without its name in them.
func (c *Certificate) Warnings(now time.Time) []string {
	var list []string
	add := func(format string, arguments ...any) { list = append(list, fmt.Sprintf(format, arguments...)) }
	switch warning := min(soon, c.NotAfter.Sub(c.NotBefore)/3); {
	case now.Before(c.NotBefore):
		add("not valid before %s: clients refuse it until then; is the clock right?", stamp(c.NotBefore))
	case now.After(c.NotAfter):
		add("expired on %s: clients refuse it; renew it", stamp(c.NotAfter))
	case c.NotAfter.Sub(now) < warning:
		add("expires soon, on %s: renew it", stamp(c.NotAfter))
	}
	if !c.chainEnds.IsZero() && now.After(c.chainEnds) {
		add("an intermediate certificate in its chain expired on %s: put the current one in its place",
			stamp(c.chainEnds))
	}
	switch stapled := len(c.TLS.OCSPStaple) > 0; {
	case stapled && now.After(c.StapleUntil):
		add("its OCSP response is out of date since %s: fetch a new one", stamp(c.StapleUntil))
	case !stapled && c.MustStaple:
		add("demands a stapled OCSP response and has none, so clients may refuse it: set ocsp_stapling")
	}
	return append(list, c.notes...)
}

// stamp is a time as warnings say it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
