package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
)

// assembly is the making of one Certificate from two files that are decoded.
type assembly struct {
	certs, key *file
	private    *key
	leaf       *x509.Certificate
	at         int // where in certs the leaf is
	notes      []string
}

// note adds a warning that will hold at any time.
func (a *assembly) note(format string, arguments ...any) {
	a.notes = append(a.notes, fmt.Sprintf(format, arguments...))
}

// assemble makes a certificate; intern yields the link of a certificate that others may have in their chains too.
func (a *assembly) assemble(intern func(der []byte) (*link, error)) (*Certificate, *Fault) {
	leaf := newLink(a.leaf)
	rest := make([]*link, 0, len(a.certs.certificates)-1)
	for i, der := range a.certs.certificates {
		if i == a.at || bytes.Equal(der, leaf.der) {
			continue
		}
		l, err := intern(der)
		if err != nil {
			return nil, a.certs.unreadable(i, err)
		}
		rest = append(rest, l)
	}
	chain, left := order(leaf, rest)
	a.judgeChain(chain, rest, left)
	names, unusable := namesOf(a.leaf)
	a.judgeNames(names, unusable)
	a.judgeLeaf()
	c := &Certificate{
		TLS:   tls.Certificate{PrivateKey: a.private.signer, Certificate: make([][]byte, len(chain))},
		Names: names, Source: a.certs.name, Kind: a.private.kind,
		NotBefore: a.leaf.NotBefore, NotAfter: a.leaf.NotAfter,
		MustStaple: mustStaple(a.leaf), notes: slices.Clip(a.notes),
	}
	for i, l := range chain {
		c.TLS.Certificate[i] = l.der
		if i > 0 && (c.chainEnds.IsZero() || l.notAfter.Before(c.chainEnds)) {
			c.chainEnds = l.notAfter
		}
	}
	return c, nil
}

// findLeaf finds the certificate that the key belongs to: the first, unless the file is in the wrong order.
func (a *assembly) findLeaf() *Fault {
	for i, der := range a.certs.certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return a.certs.unreadable(i, err)
		}
		if a.private.owns(c) {
			a.leaf, a.at = c, i
			return nil
		}
	}
	return nil
}

// unreadable is the fault of a certificate that does not parse.
func (f *file) unreadable(i int, err error) *Fault {
	return faultf(f.name, "have it issued again, or copy the file again",
		"holds a certificate that is malformed, number %d in it: %v", i+1, err)
}

func (a *assembly) judgeChain(chain, rest, left []*link) {
	if a.at > 0 || !slices.Equal(chain[1:], rest) && len(left) == 0 {
		a.note("the chain is in the wrong order in its file, and was put right in memory: the server's own " +
			"certificate goes first, then its issuer's, and so on")
	}
	if len(left) > 0 {
		a.note("%d certificates of its file do not belong to its chain and are not sent: take them out", len(left))
	}
	switch leaf := chain[0]; {
	case leaf.selfIssued():
		a.note("self-signed: only clients that were given it trust it")
	case len(chain) == 1 && leaf.authorityElsewhere:
		a.note("no intermediate certificate is in its file, so clients that do not know its issuer refuse it: " +
			"append the authority's chain")
	}
}

func (a *assembly) judgeNames(names, unusable []string) {
	if len(unusable) > 0 {
		a.note("no client can ask for its name %s: it is ignored", quoted(unusable))
	}
	switch common := a.leaf.Subject.CommonName; {
	case len(names) > 0:
	case common != "":
		a.note("has a common name (%q) and no subject alternative name, so clients accept it for no name: have it "+
			"issued with alternative names", common)
	default:
		a.note("has no DNS name and no address, so clients accept it for no name: have it issued with " +
			"alternative names")
	}
}

// quoted is a list of names in a message, which is not to become long.
func quoted(names []string) string {
	const most = 3
	var list []string
	for _, name := range names[:min(len(names), most)] {
		list = append(list, fmt.Sprintf("%q", name))
	}
	if more := len(names) - most; more > 0 {
		list = append(list, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(list, ", ")
}

func (a *assembly) judgeLeaf() {
	if a.leaf.IsCA {
		a.note("is a certificate authority's own: some clients refuse that; have it issue one for the server")
	}
	if bits := a.private.bits; a.private.kind == RSA && bits < usefulRSA {
		a.note("its RSA key has %d bits, and browsers accept no less than %d: make a new key", bits, usefulRSA)
	}
	switch a.leaf.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1, x509.MD5WithRSA:
		a.note("is signed with %v, which clients no longer accept: have it issued again", a.leaf.SignatureAlgorithm)
	}
	if a.key.exposed {
		a.note("its key can be read or written by everybody on this machine: chmod o-rw %s", a.key.name)
	}
}

var (
	tlsFeature    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 24}
	statusRequest = 5 // the extension that a client asks for a staple by
)

// mustStaple reports whether a certificate has the TLS feature extension with status_request in it (RFC 7633).
func mustStaple(leaf *x509.Certificate) bool {
	for _, extension := range leaf.Extensions {
		if !extension.Id.Equal(tlsFeature) {
			continue
		}
		var features []int
		_, err := asn1.Unmarshal(extension.Value, &features)
		return err == nil && slices.Contains(features, statusRequest)
	}
	return false
}
