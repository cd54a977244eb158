package handshake

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/tls/alert"
)

// Details fit a line of a log, whatever the peer has put into its certificate.
func TestDetails(t *testing.T) {
	leaf := func(names ...string) error {
		c := &x509.Certificate{DNSNames: names, Subject: pkix.Name{CommonName: "x"}}
		err := x509.HostnameError{Certificate: c, Host: "b.test"}
		return &tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{c}, Err: err}
	}
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("host%d.example.com", i))
	}
	now := time.Date(2026, 3, 9, 14, 5, 6, 0, time.UTC).Format(time.RFC3339)
	expired := x509.CertificateInvalidError{Reason: x509.Expired, Detail: "current time " + now + " is after then"}
	for _, c := range []struct {
		err  error
		why  Reason
		want string
	}{
		{leaf("a.test"), BadServerCertificate, "certificate is valid for a.test, not b.test"},
		{leaf("a.test", "c.test"), BadServerCertificate, "certificate is valid for a.test, c.test, not b.test"},
		{
			leaf(many...), BadServerCertificate, "certificate is valid for host0.example.com, host1.example.com, " +
				"host2.example.com and 197 more, not b.test",
		},
		{
			leaf(strings.Repeat("a", 70), "c"), BadServerCertificate,
			"certificate is valid for " + strings.Repeat("a", 64) + "... and 1 more, not b.test",
		},
		{leaf("\x1b[31m\u00e9\n"), BadServerCertificate, "certificate is valid for ?[31m???, not b.test"},
		{
			leaf(), BadServerCertificate, "certificate is not valid for any names, but wanted to match b.test",
		},
		{
			&tls.CertificateVerificationError{Err: expired}, BadServerCertificate,
			"certificate has expired or is not yet valid: current time 2026-03-09T14:05:06Z is after then",
		},
		{
			errors.New("tls: client didn't provide a certificate"), BadClientCertificate,
			"client didn't provide a certificate",
		},
		{
			errors.New("tls: server selected unsupported protocol version 301"), NoCommonVersion,
			"no common version: server selected unsupported protocol version 301",
		},
		{errors.New(strings.Repeat("x", 500)), Garbage, "garbage: " + strings.Repeat("x", MaxDetail-12) + "..."},
		{io.EOF, Gone, ""},
	} {
		got := detailOf(c.err, c.why)
		if got != c.want || len(got) > MaxDetail {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

// Every alert that crypto/tls has heard is known by its number again.
func TestHeard(t *testing.T) {
	for i := range 256 {
		err := fmt.Errorf("read: %w", &net.OpError{Op: "remote error", Err: tls.AlertError(i)})
		if got := heardIn(err); got != (Heard{alert.Alert(i)}) {
			t.Errorf("alert %d: %v", i, got)
		}
	}
	other := &net.OpError{Op: "local error", Err: tls.AlertError(42)}
	if heardIn(other) != error(other) {
		t.Error("an alert of ours is taken for the peer's")
	}
}
