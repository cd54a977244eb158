package certs

import "crypto/tls"

// Entry is what there is for a name: at most one certificate of each kind. The zero Entry has none.
type Entry struct {
	by [kinds]*Certificate
}

// Choose yields the first certificate, in the order of kinds, that a client can verify by what it has offered: its
// signature schemes, and with TLS 1.2 its suites and curves, under the configuration that the handshake runs with.
// When it can verify none, the handshake is to fail by crypto/tls's own rules, with the certificate that comes first.
// Nil is for the zero Entry only. It is for the handshake's goroutine: with several kinds it allocates.
func (e Entry) Choose(hello *tls.ClientHelloInfo) *tls.Certificate {
	if c := e.only(); c != nil {
		return &c.TLS
	}
	// The name has been matched. With it crypto/tls would parse each certificate to match it again.
	nameless := *hello
	nameless.ServerName = ""
	for _, c := range e.by {
		if c != nil && nameless.SupportsCertificate(&c.TLS) == nil {
			return &c.TLS
		}
	}
	if c := e.First(); c != nil {
		return &c.TLS
	}
	return nil
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
