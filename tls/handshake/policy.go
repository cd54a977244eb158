package handshake

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
)

// Policy is what a server agrees to. What is zero has a default that is safe and is understood everywhere.
type Policy struct {
	Name       string        // for messages, and to tell tickets of policies with client certificates apart
	MinVersion uint16        // tls.VersionTLS12 by default, which is the least
	MaxVersion uint16        // tls.VersionTLS13 by default
	Suites     []uint16      // for TLS 1.2, of Suites12: all of them by default
	Curves     []tls.CurveID // Curves by default
	ALPN       []string      // protocols; a client that offers others only is refused. None: not negotiated
	ClientAuth tls.ClientAuthType
	ClientCAs  *x509.CertPool // for ClientAuth modes that verify
}

// NamedPolicy is a policy for some names: in lower case, exact or "*." and a domain, which stands for one label more.
type NamedPolicy struct {
	Names  []string
	Policy Policy
}

// Suites12 are the cipher suites of TLS 1.2 that can be agreed on: those with forward secrecy and an AEAD, which are
// all that the record layer knows.
var Suites12 = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// Curves are the groups that are agreed on by default. The first resists quantum computers too.
var Curves = []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384}

// common fills in what servers and clients have in common.
func common(config *tls.Config, least, most uint16, suites []uint16, curves []tls.CurveID) error {
	if least == 0 {
		least = tls.VersionTLS12
	}
	if most == 0 {
		most = tls.VersionTLS13
	}
	if least < tls.VersionTLS12 || most > tls.VersionTLS13 || least > most {
		return fmt.Errorf("versions %s to %s: they must be of TLS 1.2 and TLS 1.3, the lesser one first",
			tls.VersionName(least), tls.VersionName(most))
	}
	for _, suite := range suites {
		if !slices.Contains(Suites12, suite) {
			return fmt.Errorf("cipher suite %s: for TLS 1.2 use one of ECDHE with AES-GCM or ChaCha20-Poly1305; those "+
				"of TLS 1.3 are always on", tls.CipherSuiteName(suite))
		}
	}
	if len(suites) == 0 {
		suites = Suites12
	}
	if len(curves) == 0 {
		curves = Curves
	}
	config.MinVersion, config.MaxVersion = least, most
	config.CipherSuites, config.CurvePreferences = slices.Clone(suites), slices.Clone(curves)
	return nil
}

// demands reports whether there is no handshake without a client's certificate.
func (p *Policy) demands() bool {
	return p.ClientAuth == tls.RequireAnyClientCert || p.ClientAuth == tls.RequireAndVerifyClientCert
}

// verifies reports whether a client's certificate is verified.
func (p *Policy) verifies() bool { return p.ClientAuth >= tls.VerifyClientCertIfGiven }
