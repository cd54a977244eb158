package handshake

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/record"
)

// Reason is how a handshake ended, for metrics.
type Reason uint8

const (
	OK                   Reason = iota
	Cancelled                   // End was called, or the pool was closed
	Shed                        // others needed the room: of the line, or of a peer that took its time
	Gone                        // the peer's stream ended
	Garbage                     // what came was no TLS, or broke its rules
	NoCertificate               // there is none for the name, and strict says that there must be
	NoCommonVersion             // the peer offers no version that we agree to
	NoCommonSuite               // nor cipher suite, curve or signature
	NoCommonProtocol            // nor protocol of ALPN
	BadClientCertificate        // a client's certificate is missing or was not verified
	BadServerCertificate        // an upstream's certificate was not verified
	PeerAlert                   // the peer ended it with an alert
	Internal                    // it is our fault
	Reasons
)

var reasons = [Reasons]string{
	"ok", "cancelled", "too many handshakes", "closed in the handshake", "garbage", "no certificate",
	"no common version", "no common suite", "no common protocol", "bad client certificate", "bad server certificate",
	"peer alert", "internal",
}

// String is the reason in a few words, of letters and spaces.
func (r Reason) String() string { return reasons[r] }

// Outcome is what came of a handshake.
type Outcome struct {
	Err     error // nil: it succeeded
	Reason  Reason
	Detail  string            // after an error, what it was, for a log: visible ASCII, at most MaxDetail; or empty
	Keys    *record.Keys      // for record.Layer.Start; nil after an error and when Relayed
	Left    []byte            // was fed and not used: the peer's first records. Valid until End
	Version uint16            // tls.VersionTLS12 or tls.VersionTLS13
	Suite   uint16            // cipher suite
	Resumed bool              // by a session ticket
	ALPN    string            // the protocol agreed on; empty: none was
	SNI     string            // the server's name in lower case, the encrypted one where there was one
	Policy  int               // of Server.PolicyOf
	ECH     bool              // the hello was encrypted, and we have read it
	Peer    *x509.Certificate // a client's that was verified, or the server's; nil: there is none
	Relayed bool              // the conversation goes on as the record layer
	Lookup  time.Duration     // what finding policy and certificate for a client took; 0: it came to none
}

var (
	errCancelled = errors.New("conversation was ended")
	errShed      = errors.New("the line of handshakes is full")
	errOverdue   = errors.New("the peer takes its time, and others wait for the place")
)

// classify says why a handshake failed, by crypto/tls's error and what it last told the peer.
func classify(err error, g *gate, client bool) Reason {
	var unverified *tls.CertificateVerificationError
	var header tls.RecordHeaderError
	var operation *net.OpError
	switch {
	case errors.Is(err, errCancelled):
		return Cancelled
	case errors.As(err, &unverified), errors.Is(err, errUnverified):
		if client {
			return BadServerCertificate
		}
		return BadClientCertificate
	case errors.As(err, &operation) && operation.Op == "remote error":
		return PeerAlert
	case errors.As(err, &header):
		return Garbage
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Gone
	case strings.Contains(err.Error(), "didn't provide a certificate"):
		return BadClientCertificate
	}
	switch g.said {
	case alert.ProtocolVersion:
		return NoCommonVersion
	case alert.HandshakeFailure, alert.InsufficientSecurity:
		return NoCommonSuite
	case alert.NoApplicationProtocol:
		return NoCommonProtocol
	case alert.UnrecognizedName:
		return NoCertificate
	case alert.BadCertificate, alert.UnknownCA, alert.CertificateExpired, alert.UnsupportedCertificate:
		if client {
			return BadServerCertificate
		}
		return BadClientCertificate
	case alert.InternalError:
		return Internal
	}
	return Garbage
}
