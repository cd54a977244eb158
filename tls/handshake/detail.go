package handshake

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/uringproxy/uringproxy/tls/alert"
)

// MaxDetail is the length of the longest Outcome.Detail in bytes.
const MaxDetail = 200

// detailOf says what was wrong in a handshake that failed for why. Peers may have written parts of it.
func detailOf(err error, why Reason) string {
	var heard Heard
	switch why {
	case Cancelled, Shed, Gone:
		return ""
	case BadServerCertificate, BadClientCertificate:
		return printable(certificateFault(err))
	case PeerAlert:
		if errors.As(heardIn(err), &heard) {
			return heard.Error()
		}
	}
	return printable(why.String() + ": " + strings.TrimPrefix(err.Error(), "tls: "))
}

// certificateFault says what is wrong with a peer's certificate.
func certificateFault(err error) string {
	var unverified *tls.CertificateVerificationError
	var misnamed x509.HostnameError
	switch {
	case errors.As(err, &misnamed) && misnamed.Certificate != nil:
		return misnamedFault(misnamed)
	case errors.As(err, &unverified):
		err = unverified.Err
	}
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "tls: "), "x509: ")
}

// misnamedFault is a HostnameError in few words: it names the host also where the certificate is for hundreds.
func misnamedFault(err x509.HostnameError) string {
	names := err.Certificate.DNSNames
	if net.ParseIP(err.Host) != nil {
		names = nil
		for _, ip := range err.Certificate.IPAddresses {
			names = append(names, ip.String())
		}
	}
	if len(names) == 0 {
		return strings.TrimPrefix(err.Error(), "x509: ")
	}
	const room = 64
	shown := names[0]
	if len(shown) > room {
		shown = shown[:room] + "..."
	}
	for i, name := range names[1:] {
		if len(shown)+len(name) > room {
			shown += fmt.Sprintf(" and %d more", len(names)-1-i)
			break
		}
		shown += ", " + name
	}
	return "certificate is valid for " + shown + ", not " + err.Host
}

// printable is text in visible ASCII and spaces, and not too long.
func printable(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if b.Len() == MaxDetail-len("...") && len(text) > MaxDetail {
			b.WriteString("...")
			break
		}
		if c := text[i]; c >= ' ' && c < 0x7f {
			b.WriteByte(c)
		} else {
			b.WriteByte('?')
		}
	}
	return b.String()
}

// Heard is the error of a connection that the peer has ended with an alert.
type Heard struct{ Alert alert.Alert }

func (h Heard) Error() string { return "alert: " + h.Alert.String() }

// heardIn is err, or the alert that crypto/tls says in it that the peer has sent. It says so by a type of its own, of
// which only the text can be had.
func heardIn(err error) error {
	var operation *net.OpError
	if !errors.As(err, &operation) || operation.Op != "remote error" {
		return err
	}
	for i := range 256 {
		if tls.AlertError(i).Error() == operation.Err.Error() {
			return Heard{alert.Alert(i)}
		}
	}
	return err
}
