package certs

import (
	"crypto/tls"
	"time"
)

// Entry is what there is for a name: at most one certificate of each kind. The zero Entry has none.
type Entry struct {
	by [kinds]*Certificate
}

// Choose yields the first certificate, in the order of kinds, that a client can verify by what it has offered: its
// signature schemes, and with TLS 1.2 its suites and curves, under the configuration that the handshake runs with.
// When it can verify none, the handshake is to fail by crypto/tls's own rules, with the certificate that comes first.
// Nil is for the zero Entry only. It is for the handshake's goroutine: with several kinds it allocates.
func (e Entry) Choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	now := time.Now()
	if c := e.only(); c != nil {
		return c.shown(now)
	}
	// The name has been matched. With it crypto/tls would parse each certificate to match it again.
	nameless := *hello
	nameless.ServerName = ""
	for _, c := range e.by {
		if c != nil && nameless.SupportsCertificate(&c.TLS) == nil {
			return c.shown(now)
		}
	}
	if c := e.First(); c != nil {
		return c.shown(now)
	}
	return nil
}

// shown is what a client is shown at a time: without a response that has become out of date since the set was made, for
// clients that look at one refuse it, and do without any.
func (c *Certificate) shown(now time.Time) *tls.Certificate {
	if c.origin != nil && now.After(c.StapleUntil) {
		return &c.origin.TLS
	}
	return &c.TLS
}

// only is the certificate of an entry that has one; nil when it has none or several.
func (e Entry) only() (c *Certificate) {
	for _, candidate := range e.by {
		if candidate != nil && c != nil {
			return nil
		}
		if candidate != nil {
			c = candidate
		}
	}
	return c
}

// First is the certificate that most clients are shown; nil for the zero Entry.
func (e Entry) First() *Certificate {
	for _, c := range e.by {
		if c != nil {
			return c
		}
	}
	return nil
}
