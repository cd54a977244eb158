package handshake

import (
	"crypto/tls"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var theAddr = netip.MustParseAddr("192.0.2.1")

func TestPolicyOf(t *testing.T) {
	demanding := Policy{Name: "demanding", ClientAuth: tls.RequireAnyClientCert}
	s := newServer(t, ServerOptions{Named: []NamedPolicy{
		{[]string{"api.example.com", "Other.example"}, demanding},
		{[]string{"*.example.com"}, Policy{Name: "wild"}},
	}})
	for name, want := range map[string]int{
		"api.example.com": 1, "other.example": 1, "www.example.com": 2, "example.com": 0, "a.b.example.com": 0, "": 0,
		".example.com": 0, "com": 0,
	} {
		if got := s.PolicyOf([]byte(name)); got != want || s.Requires(got) != (want == 1) {
			t.Errorf("%q: policy %d, want %d", name, got, want)
		}
	}
	name := []byte("www.example.com")
	if n := testing.AllocsPerRun(100, func() { s.PolicyOf(name) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestBadOptions(t *testing.T) {
	set := theWorld().set()
	for want, o := range map[string]ServerOptions{
		"no set of certificates": {},
		"versions TLS 1.1":       {Certificates: set, Default: Policy{MinVersion: tls.VersionTLS11}},
		"the lesser one first": {
			Certificates: set, Default: Policy{MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS12},
		},
		"cipher suite TLS_RSA_WITH_AES_128_CBC_SHA": {
			Certificates: set, Default: Policy{Suites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}},
		},
		"there is no CA": {Certificates: set, Default: Policy{ClientAuth: tls.VerifyClientCertIfGiven}},
		`policy "x"`: {
			Certificates: set, Named: []NamedPolicy{{nil, Policy{Name: "x", MaxVersion: 1}}},
		},
	} {
		if _, err := NewServer(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if _, err := NewClient(ClientOptions{}); err == nil {
		t.Error("a client that verifies nothing by nobody's name")
	}
	if _, err := NewClient(ClientOptions{ServerName: "a", MinVersion: tls.VersionTLS10}); err == nil {
		t.Error("a client of TLS 1.0")
	}
}

// TestPoliciesByName has the name in the hello decide, whatever its case.
func TestPoliciesByName(t *testing.T) {
	b := newBench(t, PoolOptions{InFlight: 1})
	server := newServer(t, ServerOptions{
		Default: Policy{MaxVersion: tls.VersionTLS12},
		Named:   []NamedPolicy{{[]string{"*.example.com"}, Policy{MinVersion: tls.VersionTLS13}}},
	})
	for name, want := range map[string]uint16{
		"WWW.Example.COM": tls.VersionTLS13, "example.com": tls.VersionTLS12, "example.net": tls.VersionTLS12,
	} {
		config := theWorld().client()
		config.ServerName = name
		s, done := b.serve(server, config, chat)
		o := s.answer(done)
		if o.Version != want || o.SNI != strings.ToLower(name) || o.Policy != server.PolicyOf([]byte(o.SNI)) {
			t.Errorf("%s: %+v", name, o)
		}
	}
}

// TestTicketsStayWithTheirPolicy resumes under another policy, with the server's keys changed in the ways that a reload
// may change them.
func TestTicketsStayWithTheirPolicy(t *testing.T) {
	w := theWorld()
	tickets, others := RandomTickets(), RandomTickets()
	derived, _, err := TicketsFromSecret(make([]byte, 32), time.Unix(1e9, 0), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	later, _, err := TicketsFromSecret(make([]byte, 32), time.Unix(1e9+3600, 0), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	plain := Policy{}
	asks := Policy{Name: "p", ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: w.roots}
	demands := Policy{Name: "p", ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: w.roots}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, c := range []struct {
			name          string
			first, second ServerOptions
			resumed       bool
		}{
			{"same", ServerOptions{Tickets: tickets}, ServerOptions{Tickets: tickets}, true},
			{
				"another policy without certificates", ServerOptions{Default: plain, Tickets: tickets},
				ServerOptions{Default: Policy{Name: "q"}, Tickets: tickets}, true,
			},
			{"rotated", ServerOptions{Tickets: tickets}, ServerOptions{Tickets: tickets.Rotate()}, true},
			{"other keys", ServerOptions{Tickets: tickets}, ServerOptions{Tickets: others}, false},
			{"off", ServerOptions{Tickets: tickets}, ServerOptions{}, false},
			{"next epoch", ServerOptions{Tickets: derived}, ServerOptions{Tickets: later}, true},
			{"epoch before", ServerOptions{Tickets: later}, ServerOptions{Tickets: derived}, true},
			{
				"client certificates come", ServerOptions{Default: plain, Tickets: tickets},
				ServerOptions{Default: demands, Tickets: tickets}, false,
			},
			{
				"client certificates are asked for", ServerOptions{Default: plain, Tickets: tickets},
				ServerOptions{Default: asks, Tickets: tickets}, false,
			},
			{
				"client certificates are demanded", ServerOptions{Default: asks, Tickets: tickets},
				ServerOptions{Default: demands, Tickets: tickets}, false,
			},
			{
				"client certificates go", ServerOptions{Default: demands, Tickets: tickets},
				ServerOptions{Default: plain, Tickets: tickets}, false,
			},
			{
				"same with client certificates", ServerOptions{Default: demands, Tickets: tickets},
				ServerOptions{Default: demands, Tickets: tickets}, true,
			},
		} {
			t.Run(tls.VersionName(version)+" "+c.name, func(t *testing.T) {
				b := newBench(t, PoolOptions{InFlight: 1})
				config := w.client()
				config.MaxVersion = version
				config.Certificates = append(config.Certificates, w.alice.tls)
				for i, options := range []ServerOptions{c.first, c.second} {
					s, done := b.serve(newServer(t, options), config, chat)
					o := s.answer(done)
					if o.Resumed != (i == 1 && c.resumed) {
						t.Errorf("connection %d: resumed %v", i, o.Resumed)
					}
					if verified := options.Default.verifies(); verified != (o.Peer != nil) {
						t.Errorf("connection %d: client certificate %v", i, o.Peer)
					}
				}
			})
		}
	}
}

// TestAuthorityChanges has a session begun under one authority not resumed under another.
func TestAuthorityChanges(t *testing.T) {
	w := theWorld()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		b := newBench(t, PoolOptions{InFlight: 1})
		tickets := RandomTickets()
		config := w.client()
		config.MaxVersion = version
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &w.alice.tls, nil
		}
		p := Policy{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: w.roots}
		s, done := b.serve(newServer(t, ServerOptions{Default: p, Tickets: tickets}), config, chat)
		s.answer(done)
		p.ClientCAs = w.strangers
		s, done = b.serve(newServer(t, ServerOptions{Default: p, Tickets: tickets}), config, heard)
		if o := s.settled(); o.Reason != BadClientCertificate {
			t.Errorf("%s: %+v", tls.VersionName(version), o)
		}
		s.end(done)
	}
}
