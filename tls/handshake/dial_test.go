package handshake

import (
	"crypto/tls"
	"errors"
	"fmt"
	"testing"

	"github.com/uringproxy/uringproxy/tls/certs"
)

// upstream is the configuration of a server that crypto/tls runs, which sends tickets.
func (w *world) upstream() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{w.ecdsa.tls, w.rsa.tls}}
}

// TestDial shakes hands as a client, in all ways.
func TestDial(t *testing.T) {
	w := theWorld()
	type way struct {
		name    string
		options ClientOptions
		config  func(c *tls.Config)
	}
	ways := []way{
		{name: "1.3"},
		{name: "1.2", options: ClientOptions{MaxVersion: tls.VersionTLS12}},
		{name: "server of 1.2", config: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }},
		{name: "not verified", options: ClientOptions{Roots: w.strangers, SkipVerify: true}},
		{
			name:    "retried",
			options: ClientOptions{Curves: []tls.CurveID{tls.X25519, tls.CurveP384}},
			config:  func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP384} },
		},
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		ways = append(ways, way{
			"mutual " + tls.VersionName(version), ClientOptions{MaxVersion: version, Certificate: w.alice.ours},
			func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, w.roots },
		})
	}
	for _, suite := range Suites12 {
		ways = append(ways, way{tls.CipherSuiteName(suite), ClientOptions{
			MaxVersion: tls.VersionTLS12, Suites: []uint16{suite},
		}, nil})
	}
	forModes(t, func(t *testing.T, b *bench) {
		for _, way := range ways {
			for _, chunk := range []int{0, 1} {
				t.Run(fmt.Sprintf("%s in pieces of %d", way.name, chunk), func(t *testing.T) {
					b.t = t
					config := w.upstream()
					config.NextProtos = []string{"http/1.1"}
					if way.config != nil {
						way.config(config)
					}
					if way.options.Roots == nil {
						way.options.Roots = w.roots
					}
					way.options.ServerName, way.options.ALPN = "www.example.com", []string{"http/1.1"}
					s, done := b.dial(newClient(t, way.options), config, chat)
					s.chunk = chunk
					o := s.answer(done)
					if o.Peer == nil || o.Peer.Subject.CommonName != "example.com" || o.ALPN != "http/1.1" ||
						o.Resumed {
						t.Errorf("outcome %+v", o)
					}
				})
			}
		}
	})
}

// TestDialRefusals has handshakes with servers fail.
func TestDialRefusals(t *testing.T) {
	w := theWorld()
	b := newBench(t, PoolOptions{InFlight: 1})
	for name, c := range map[string]struct {
		options ClientOptions
		config  func(c *tls.Config)
		want    Reason
		detail  string
	}{
		"stranger": {
			ClientOptions{Roots: w.strangers}, nil, BadServerCertificate, "certificate signed by unknown authority",
		},
		"other name": {
			ClientOptions{Roots: w.roots, ServerName: "example.org"}, nil, BadServerCertificate,
			"certificate is valid for example.com, *.example.com, not example.org",
		},
		"address": {
			ClientOptions{Roots: w.roots, ServerName: "10.0.0.1"}, nil, BadServerCertificate,
			"cannot validate certificate for 10.0.0.1 because it doesn't contain any IP SANs",
		},
		"version": {
			ClientOptions{Roots: w.roots, MinVersion: tls.VersionTLS13},
			func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, PeerAlert, "alert: protocol_version",
		},
		"no certificate of ours": {
			ClientOptions{Roots: w.roots, MaxVersion: tls.VersionTLS12},
			func(c *tls.Config) { c.ClientAuth = tls.RequireAnyClientCert }, PeerAlert, "alert: handshake_failure",
		},
	} {
		if c.options.ServerName == "" {
			c.options.ServerName = "example.com"
		}
		config := w.upstream()
		if c.config != nil {
			c.config(config)
		}
		s, done := b.dial(newClient(t, c.options), config, heard)
		if o := s.settled(); o.Reason != c.want || o.Detail != c.detail {
			t.Errorf("%s: %v, %q (%v), want %v, %q", name, o.Reason, o.Detail, o.Err, c.want, c.detail)
		}
		s.end(done)
	}
	s, done := b.dial(newClient(t, ClientOptions{ServerName: "a"}), w.upstream(), func(c *tls.Conn) error {
		return errors.Join(c.NetConn().Close(), nil)
	})
	if o := s.settled(); o.Reason != Gone {
		t.Errorf("a server that goes: %v (%v)", o.Reason, o.Err)
	}
	s.end(done)
}

// TestChoosesCertificate has a name's certificate follow what the client signs with, and others get the default.
func TestChoosesCertificate(t *testing.T) {
	b := newBench(t, PoolOptions{InFlight: 1})
	server := newServer(t, ServerOptions{})
	for _, c := range []struct {
		name   string
		suites []uint16
		want   *certs.Certificate
	}{
		{"example.com", Suites12[:1], theWorld().ecdsa.ours},
		{"example.com", Suites12[1:2], theWorld().rsa.ours},
		{"a.example.com", Suites12[:1], theWorld().ecdsa.ours},
		{"unknown.example", Suites12[:1], theWorld().other.ours},
	} {
		config := theWorld().client()
		config.ServerName, config.MaxVersion, config.CipherSuites = c.name, tls.VersionTLS12, c.suites
		config.InsecureSkipVerify = true
		var shown []byte
		config.VerifyConnection = func(state tls.ConnectionState) error {
			shown = state.PeerCertificates[0].Raw
			return nil
		}
		s, done := b.serve(server, config, chat)
		s.answer(done)
		if string(shown) != string(c.want.TLS.Certificate[0]) {
			t.Errorf("%s with %s: another certificate", c.name, tls.CipherSuiteName(c.suites[0]))
		}
	}
}
