package handshake

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/tls/certs"
)

// heard is a peer that only shakes hands and reads, and keeps the error.
func heard(c *tls.Conn) error {
	if err := c.Handshake(); err != nil {
		return err
	}
	_, err := c.Read(make([]byte, 1))
	return err
}

// refusal is a way to fail.
type refusal struct {
	name   string
	server ServerOptions
	client func(c *tls.Config)
	want   Reason
	alert  string // what the client says it heard; empty: the client speaks itself
}

func refusals() []refusal {
	w := theWorld()
	mutual := Policy{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: w.roots}
	empty := certs.NewSet(nil, nil)
	return []refusal{
		{
			"version", ServerOptions{Default: Policy{MinVersion: tls.VersionTLS13}},
			func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, NoCommonVersion, "protocol version",
		},
		{
			"suite", ServerOptions{Default: Policy{Suites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384}}},
			func(c *tls.Config) {
				c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
			}, NoCommonSuite, "handshake failure",
		},
		{
			"curve", ServerOptions{Default: Policy{Curves: []tls.CurveID{tls.CurveP384}}},
			func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519} }, NoCommonSuite, "handshake failure",
		},
		{
			"protocol", ServerOptions{Default: Policy{ALPN: []string{"http/1.1"}}},
			func(c *tls.Config) { c.NextProtos = []string{"h2"} }, NoCommonProtocol, "no application protocol",
		},
		{
			"unknown name", ServerOptions{Strict: true},
			func(c *tls.Config) { c.ServerName = "unknown.example" }, NoCertificate, "unrecognized name",
		},
		{
			"no name", ServerOptions{Strict: true},
			func(c *tls.Config) { c.ServerName, c.InsecureSkipVerify = "", true }, NoCertificate, "unrecognized name",
		},
		{
			"no certificate at all", ServerOptions{Certificates: empty}, func(*tls.Config) {},
			NoCertificate, "unrecognized name",
		},
		{
			"no client certificate", ServerOptions{Default: mutual}, func(*tls.Config) {},
			BadClientCertificate, "certificate required",
		},
		{
			"no client certificate in 1.2", ServerOptions{Default: mutual},
			func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, BadClientCertificate, "handshake failure",
		},
		{
			"a stranger's client certificate", ServerOptions{Default: mutual},
			func(c *tls.Config) {
				c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					return &w.mallory.tls, nil
				}
			}, BadClientCertificate, "unknown certificate authority",
		},
		{
			"the client does not trust us", ServerOptions{}, func(c *tls.Config) { c.RootCAs = w.strangers },
			PeerAlert, "",
		},
	}
}

// TestRefusals has handshakes fail: the client hears why, and so do the metrics.
func TestRefusals(t *testing.T) {
	forModes(t, func(t *testing.T, b *bench) {
		for _, r := range refusals() {
			t.Run(r.name, func(t *testing.T) {
				b.t = t
				r.server.Tickets = RandomTickets()
				config := theWorld().client()
				r.client(config)
				s, done := b.serve(newServer(t, r.server), config, heard)
				o := s.settled()
				if o.Err == nil || o.Reason != r.want || o.Keys != nil {
					t.Errorf("outcome %+v (%v), want %v", o, o.Reason, r.want)
				}
				err := s.end(done)
				if operation := (*net.OpError)(nil); r.alert != "" &&
					(!errors.As(err, &operation) || operation.Op != "remote error" ||
						!strings.Contains(err.Error(), r.alert)) {
					t.Errorf("client hears %v, want %q", err, r.alert)
				}
			})
		}
	})
}

// TestGarbage feeds what is no TLS.
func TestGarbage(t *testing.T) {
	b := newBench(t, PoolOptions{InFlight: 1})
	server := newServer(t, ServerOptions{})
	for _, c := range []struct {
		text string
		want Reason
	}{
		{"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", Garbage},
		{"\x16\x03\x01\x00\x04\x01\x00\x00\x00", Garbage},
		{"\x15\x03\x01\x00\x02\x02\x28", PeerAlert},
		{"\x16\x03\x01\x00\x10\x01", Gone},
		{"", Gone},
	} {
		s, done := b.connect(func() *Conversation {
			return b.port.Serve(7, server, theAddr, []byte(c.text))
		}, func(*wire) error { return nil })
		if o := s.settled(); o.Reason != c.want {
			t.Errorf("%q: %v (%v), want %v", c.text, o.Reason, o.Err, c.want)
		}
		s.end(done)
	}
}
