package certs

import (
	"bytes"
	"crypto/x509"
	"slices"
	"time"
)

// maxChain is how many certificates a file may have. Chains have two or three; a file with more than this is a list of
// authorities.
const maxChain = 16

// link is what a chain needs to know of a certificate to find its place: little, for the certificates of a large
// server share a few of them.
type link struct {
	der                []byte
	subject, issuer    []byte // DER
	key, authority     []byte // the identifiers of its key and of its issuer's; empty when it does not say
	notAfter           time.Time
	authorityElsewhere bool // it says where its issuer's certificate is to be had, as those of public authorities do
}

func newLink(c *x509.Certificate) *link {
	return &link{
		der: c.Raw, subject: bytes.Clone(c.RawSubject), issuer: bytes.Clone(c.RawIssuer),
		key: bytes.Clone(c.SubjectKeyId), authority: bytes.Clone(c.AuthorityKeyId),
		notAfter: c.NotAfter, authorityElsewhere: len(c.IssuingCertificateURL) > 0,
	}
}

// issued reports whether l can be the issuer of another, by what they say of themselves (RFC 5280, sections 4.1.2.4 and
// 4.2.1.1). Signatures are the clients' to verify.
func (l *link) issued(other *link) bool {
	return bytes.Equal(l.subject, other.issuer) &&
		(len(l.key) == 0 || len(other.authority) == 0 || bytes.Equal(l.key, other.authority))
}

// selfIssued reports whether it is a root, or nobody's but its own.
func (l *link) selfIssued() bool { return l.issued(l) }

// order puts the rest of a file behind its leaf so that each certificate has issued one before it, which is all that
// clients rely on (RFC 8446, section 4.4.2): a right order stays as it is, with alternative paths and roots in it. What
// issued nothing is left over.
func order(leaf *link, rest []*link) (chain, left []*link) {
	chain, left = []*link{leaf}, slices.Clone(rest)
	for {
		i := slices.IndexFunc(left, func(candidate *link) bool {
			return slices.ContainsFunc(chain, candidate.issued)
		})
		if i < 0 {
			return chain, left
		}
		chain = append(chain, left[i])
		left = slices.Delete(left, i, i+1)
	}
}
