package proxy

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/proxy/h1"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// facts are what is known of a connection over TLS, for its requests.
type facts struct {
	server  *handshake.Server // of clients: what the handshake was made with
	suite   string            // its name
	name    string            // of the server, that a client has asked for
	alpn    string            // the protocol that was agreed on
	offer   []byte            // of clients: what the ClientHello offered, packed
	cert    *certificate      // of a client that has shown one which was verified; nil: there is none
	policy  int32
	version uint16
	resumed bool
}

// certificate is what is said of a client's certificate that was verified: its names to rules, and the rest to
// upstreams, as values of header fields.
type certificate struct {
	names                            [][]byte
	subject, san, fingerprint, whole []byte
	common                           []byte // the subject's common name
}

// agreed keeps what the handshake found out. It allocates, as every handshake does.
func (f *facts) agreed(o *handshake.Outcome, client bool) {
	f.policy, f.version, f.suite = int32(o.Policy), o.Version, tls.CipherSuiteName(o.Suite)
	f.name, f.resumed, f.alpn = o.SNI, o.Resumed, o.ALPN
	cert := o.Peer
	if cert == nil || !client {
		return
	}
	c := &certificate{}
	f.cert = c
	add := func(kind, name string) {
		c.names = append(c.names, []byte(name))
		if len(c.san) > 0 {
			c.san = append(c.san, ", "...)
		}
		c.san = append(append(append(c.san, kind...), '='), fieldValue(name, ` ",;=`)...)
	}
	for _, uri := range cert.URIs {
		add("URI", uri.String())
	}
	for _, name := range cert.DNSNames {
		add("DNS", name)
	}
	for _, email := range cert.EmailAddresses {
		add("email", email)
	}
	if name := cert.Subject.CommonName; name != "" {
		c.common = []byte(name)
		c.names = append(c.names, c.common)
	}
	c.subject = fieldValue(subjectOf(cert), "")
	sum := sha256.Sum256(cert.Raw)
	c.fingerprint = hex.AppendEncode(nil, sum[:])
	c.whole = append(base64.StdEncoding.AppendEncode([]byte(":"), cert.Raw), ':') // RFC 9440, section 2.1
}

// subjectOf is the distinguished name of cert's subject as RFC 4514 writes it: all of it, also what it says twice.
func subjectOf(cert *x509.Certificate) string {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(cert.RawSubject, &name); err != nil || len(rest) > 0 {
		return cert.Subject.String()
	}
	return name.String()
}

// fieldValue is text as it may stand in the value of a header field (RFC 9110, section 5.5): what is neither visible
// nor a space, what is not ASCII, and of the rest what is special, is written as a percent sign and two digits. So is
// the percent sign: who decodes them has the text.
func fieldValue(text, special string) []byte {
	b := make([]byte, 0, len(text))
	for i := range len(text) {
		if c := text[i]; c >= ' ' && c < 0x7f && c != '%' && strings.IndexByte(special, c) < 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', "0123456789ABCDEF"[c>>4], "0123456789ABCDEF"[c&15])
		}
	}
	return b
}

// forget clears f for the next connection, and keeps the memory, unless it is that of an uncommonly long offer: what a
// flood of those has taken would never be given back.
func (f *facts) forget() {
	offer := f.offer[:0]
	if cap(offer) > 4*offerBytes {
		offer = nil
	}
	*f = facts{offer: offer}
}

// certificateFields tells the upstream about the client's certificate, if the listener vouches for it, and drops what
// the client says of it itself, unless it is a proxy of ours: one that is trusted, and not the one who is to vouch.
func (w *Worker) certificateFields(b []byte, l *link, x *exchange, snap *plan.Snapshot, head []byte) []byte {
	var forward plan.ForwardCertificate
	if tls := snap.Listeners[l.from].TLS; tls != nil {
		forward = tls.Forward
	}
	if forward != 0 || !l.has(flagTrusted) {
		for i := range int(x.req.N) {
			if f := &x.req.Fields[i]; ofCertificate(f.Name.In(head)) {
				f.Flags |= h1.FieldDrop
			}
		}
	}
	if !l.has(flagSecure) {
		return b
	}
	cert := w.secure[x.client-1].facts.cert
	if cert == nil {
		return b
	}
	for i, value := range [...][]byte{cert.subject, cert.san, cert.fingerprint, cert.whole} {
		if forward.Has(1<<i) && len(value) > 0 {
			b = append(append(b, certificateNames[i]...), ": "...)
			b = append(append(b, value...), "\r\n"...)
		}
	}
	return b
}

// certificateNames are the fields in the order of plan.ForwardCertificate's bits.
var certificateNames = [...]string{
	"X-Client-Cert-Subject", "X-Client-Cert-San", "X-Client-Cert-Fingerprint", "Client-Cert",
}

// ofCertificate reports whether a field says something about a client's certificate: one of ours, or the chain of RFC
// 9440, section 2.3, which we do not tell.
func ofCertificate(name []byte) bool {
	switch len(name) {
	case len("Client-Cert"), len("Client-Cert-Chain"), len("X-Client-Cert-Subject"), len("X-Client-Cert-Fingerprint"):
	default:
		return false
	}
	return passesFor(name, "Client-Cert-Chain") || passesFor(name, certificateNames[0]) ||
		passesFor(name, certificateNames[1]) || passesFor(name, certificateNames[2]) ||
		passesFor(name, certificateNames[3])
}

// passesFor reports whether an upstream might take b for text: one that makes variables of names, as CGI does, has an
// underscore there for whatever is no letter or digit.
func passesFor(b []byte, text string) bool {
	if len(b) != len(text) {
		return false
	}
	for i, c := range b {
		c = lowerByte(c)
		if c != lowerByte(text[i]) && (text[i] != '-' || 'a' <= c && c <= 'z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return true
}

// equalFold reports whether b is text, whatever the case of its letters.
func equalFold(b []byte, text string) bool {
	if len(b) != len(text) {
		return false
	}
	for i, c := range b {
		if lowerByte(c) != lowerByte(text[i]) {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// misdirected reports whether a request belongs to a policy that lets nobody in without a certificate, or verifies
// those that it is shown, while its connection was made under another one (RFC 9110, section 15.5.20). Of a connection
// that has outlived a change of the configuration it is asked whether the right policy was applied when it was made.
func (w *Worker) misdirected(x *exchange, tls *plan.TLS) bool {
	f := &w.secure[x.client-1].facts
	name := hostOf(x.req.Authority.In(w.mem.Bytes(x.head.span)), &w.host)
	now := tls.Server
	wanted := now.PolicyOf(name)
	if !now.Requires(wanted) {
		return false
	}
	made := int(f.policy)
	return f.server.PolicyOf(name) != made || !f.server.Requires(made)
}

// hostOf is the host of an authority in lower case, without a port and the dot of the root. One that is too long for a
// name is none.
func hostOf(authority []byte, to *[256]byte) []byte {
	if len(authority) > len(to) {
		return nil
	}
	n := 0
	for _, c := range authority {
		if c == ':' {
			break
		}
		to[n] = lowerByte(c)
		n++
	}
	if n > 0 && to[n-1] == '.' {
		n--
	}
	return to[:n]
}
