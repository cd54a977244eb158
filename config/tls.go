package config

import (
	"crypto/tls"
	"time"
)

// Handshakes bounds the TLS handshakes of the process.
type Handshakes struct {
	InFlight int // at work at one time
	Waiting  int // in line for that; more are refused
}

// ListenerTLS says what a listener agrees on with its clients. All paths are as the process opens them.
type ListenerTLS struct {
	// Certificates are files, Directory is one with NAME.crt or NAME.pem beside NAME.key in it, or empty, and
	// SelfSigned asks for a certificate made up at start. Without any of them connections are for stream routes only,
	// and Strict is set.
	Certificates []Certificate
	Directory    string
	SelfSigned   bool
	// Default is the server name whose certificate is shown to clients that ask for none or for an unknown one. When it
	// is empty that is the first of Certificates, or else the first of Directory, or else the one made up.
	Default string
	// Strict refuses those clients instead.
	Strict bool
	// Policy is for all server names that no element of Names is for.
	Policy TLSPolicy
	// Names are policies of their own, complete ones, in order of their names.
	Names            []NamedPolicy
	Forward          ForwardCertificate
	HandshakeTimeout time.Duration // from accept to the handshake's end
	Tickets          Tickets
	Stapling         Stapling
	ECHKeys          string // a file with keys for Encrypted Client Hello; empty: it is not offered
}

// Certified tells whether there is a certificate at all.
func (o *ListenerTLS) Certified() bool {
	return len(o.Certificates) > 0 || o.Directory != "" || o.SelfSigned
}

// Certificate is a certificate with its key, and optionally the answer of the authority that it is not revoked.
type Certificate struct {
	Path      string // in the configuration, for Config.Fault
	Cert, Key string // files
	OCSP      string // a file with a response in DER; empty: none
}

// TLSPolicy is what may be agreed on.
type TLSPolicy struct {
	MinVersion, MaxVersion uint16
	// Suites are those of TLS 1.2, Curves the groups for the key exchange, both in no order; nil: the program's own
	// choice.
	Suites []uint16
	Curves []tls.CurveID
	// ALPN are the protocols on offer, the preferred one first.
	ALPN   []string
	Client ClientCertificates
}

// NamedPolicy is the policy for a server name, which may be a wildcard such as "*.example.com".
type NamedPolicy struct {
	Name   string
	Policy TLSPolicy
}

// ClientCertificates says whether clients have to prove who they are.
type ClientCertificates struct {
	// Auth is one of NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven and
	// RequireAndVerifyClientCert.
	Auth tls.ClientAuthType
	CA   []string // files; at least one if certificates are verified
}

// Verifies tells whether certificates are checked that are shown.
func (c *ClientCertificates) Verifies() bool { return c.Auth >= tls.VerifyClientCertIfGiven }

// ForwardCertificate says what of a verified client certificate upstreams are told.
type ForwardCertificate struct{ Subject, SAN, Fingerprint, Certificate bool }

// Tickets says how sessions are resumed. The keys come from one of Keys, SecretFile and SecretEnv, or are made up.
type Tickets struct {
	Off        bool
	Keys       string // a file with 32-byte keys in hex or base64, one a line; the first encrypts
	SecretFile string // a file with what keys are derived from
	SecretEnv  string // the name of a variable of the environment with it
	Rotate     time.Duration
}

// Stapling says where the authority's answers come from that a certificate is not revoked.
type Stapling string

const (
	StaplingOff   Stapling = "off"
	StaplingFiles Stapling = "files" // from Certificate.OCSP
	StaplingFetch Stapling = "fetch" // from the authority
)

// ServiceTLS says how https endpoints are spoken to.
type ServiceTLS struct {
	CA                     []string // files; none: what the system trusts
	ServerName             string   // in the certificate and in the handshake; empty: the endpoint's host
	Certificate            *Certificate
	SkipVerify             bool
	MinVersion, MaxVersion uint16
}
