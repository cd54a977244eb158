package plan

import (
	"time"

	"github.com/uringproxy/uringproxy/tls/handshake"
)

// TLS is what a listener agrees on with its clients.
type TLS struct {
	// Server shakes hands. It is the same in every snapshot in which nothing that it depends on has changed.
	Server *handshake.Server
	// Timeout bounds how long a client may take, from accept to the handshake's end.
	Timeout time.Duration
	// Forward is what upstreams are told of a client certificate that was verified.
	Forward ForwardCertificate
}

// ForwardCertificate is a set of what can be told of a client's certificate.
type ForwardCertificate uint8

const (
	ForwardSubject     ForwardCertificate = 1 << iota // X-Client-Cert-Subject
	ForwardSAN                                        // X-Client-Cert-San
	ForwardFingerprint                                // X-Client-Cert-Fingerprint: SHA-256 in hex
	ForwardWhole                                      // Client-Cert (RFC 9440)
)

// Has tells whether any of what is in it.
func (f ForwardCertificate) Has(what ForwardCertificate) bool { return f&what != 0 }
