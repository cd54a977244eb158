package certs

import (
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// shake has a client and a server meet in memory, and yields what the client was shown.
func shake(t *testing.T, server, client *tls.Config) (*x509.Certificate, error, error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	served := make(chan error, 1)
	go func() {
		s := tls.Server(a, server)
		served <- s.Handshake()
		_, _ = s.Read(make([]byte, 1)) // a client's alert
		a.Close()
	}()
	c := tls.Client(b, client)
	err := c.Handshake()
	b.Close()
	if list := c.ConnectionState().PeerCertificates; len(list) > 0 {
		return list[0], err, <-served
	}
	return nil, err, <-served
}

// TestChoose lets clients of several abilities meet a name with certificates of several kinds.
func TestChoose(t *testing.T) {
	ca := authority(t, nil, "ca")
	roots := x509.NewCertPool()
	roots.AddCert(ca.Certificate)
	name := []string{"a.example"}
	ec := loaded(t, mint(t, ca, nil, name))
	ed := loaded(t, mint(t, ca, newEd25519(t), name))
	rsa := loaded(t, mint(t, ca, signers.rsa2048(), name))
	ecSuites := []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}
	rsaSuites := []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	for i, c := range []struct {
		list   []*Certificate
		client *tls.Config
		want   string
	}{
		{[]*Certificate{rsa, ed, ec}, &tls.Config{}, "ECDSA"},
		{[]*Certificate{rsa, ed}, &tls.Config{}, "Ed25519"},
		{[]*Certificate{rsa}, &tls.Config{}, "RSA"},
		{[]*Certificate{rsa, ed, ec}, &tls.Config{MaxVersion: tls.VersionTLS12}, "ECDSA"},
		{[]*Certificate{rsa, ed, ec}, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: rsaSuites}, "RSA"},
		{[]*Certificate{rsa, ed, ec}, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: ecSuites}, "ECDSA"},
		{[]*Certificate{rsa, ec}, &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}, "ECDSA"},
		{[]*Certificate{rsa, ed, ec},
			&tls.Config{MaxVersion: tls.VersionTLS12, CurvePreferences: []tls.CurveID{tls.X25519}}, "Ed25519"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			set := NewSet(c.list, nil)
			server := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				e, _ := set.Find([]byte(hello.ServerName))
				return e.Choose(hello), nil
			}}
			c.client.ServerName, c.client.RootCAs = name[0], roots
			got, clientErr, serverErr := shake(t, server, c.client)
			if clientErr != nil || serverErr != nil {
				t.Fatalf("client: %v, server: %v", clientErr, serverErr)
			}
			if got.PublicKeyAlgorithm.String() != c.want {
				t.Errorf("shown %v, want %s", got.PublicKeyAlgorithm, c.want)
			}
		})
	}
}

// TestChooseWithoutOldStaple has a response become out of date while a set is in use.
func TestChooseWithoutOldStaple(t *testing.T) {
	r := newResponder(t)
	plain := loaded(t, r.leaf, r.ca)
	stapled, err := plain.WithStaple(r.good(t), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	old := *stapled
	old.StapleUntil = time.Now().Add(-time.Second)
	kind := loaded(t, mint(t, nil, signers.rsa2048(), []string{"a.example"}))
	hello := &tls.ClientHelloInfo{
		SupportedVersions: []uint16{tls.VersionTLS13},
		SignatureSchemes:  []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256},
	}
	for _, others := range [][]*Certificate{nil, {kind}} {
		for c, want := range map[*Certificate]*tls.Certificate{stapled: &stapled.TLS, &old: &plain.TLS} {
			e, _ := NewSet(append(others, c), nil).Find([]byte("a.example"))
			if got := e.Choose(hello); got != want {
				t.Errorf("beside %d others: shown with a response of %d bytes", len(others), len(got.OCSPStaple))
			}
		}
	}
}

// TestChooseBySchemes asks with hellos that Go's client does not send.
func TestChooseBySchemes(t *testing.T) {
	name := []string{"a.example"}
	p256, p384 := mint(t, nil, nil, name), mint(t, nil, curveKey(t, elliptic.P384()), name)
	ec, ec384, rsa := loaded(t, p256), loaded(t, p384), loaded(t, mint(t, nil, signers.rsa2048(), name))
	const (
		es256, es384 = tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384
		pss, pkcs1   = tls.PSSWithSHA256, tls.PKCS1WithSHA256
	)
	for _, c := range []struct {
		list    []*Certificate
		version uint16
		schemes []tls.SignatureScheme
		want    *Certificate
	}{
		{[]*Certificate{ec, rsa}, tls.VersionTLS13, []tls.SignatureScheme{pss}, rsa},
		{[]*Certificate{ec, rsa}, tls.VersionTLS13, []tls.SignatureScheme{pss, es256}, ec},
		{[]*Certificate{ec, rsa}, tls.VersionTLS13, []tls.SignatureScheme{pss, es384}, rsa},
		{[]*Certificate{ec384, rsa}, tls.VersionTLS13, []tls.SignatureScheme{pss, es384}, ec384},
		{[]*Certificate{ec, rsa}, tls.VersionTLS12, []tls.SignatureScheme{pkcs1, es384}, ec},
		{[]*Certificate{ec, rsa}, tls.VersionTLS12, []tls.SignatureScheme{pkcs1}, rsa},
		{[]*Certificate{ec, rsa}, tls.VersionTLS13, []tls.SignatureScheme{tls.Ed25519}, ec}, // none can: the first
		{nil, tls.VersionTLS13, nil, nil},
	} {
		hello := &tls.ClientHelloInfo{
			ServerName: "a.example", SupportedVersions: []uint16{c.version}, SignatureSchemes: c.schemes,
			SupportedCurves: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384}, SupportedPoints: []uint8{0},
			CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
				tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256},
		}
		e, _ := NewSet(c.list, nil).Find([]byte("a.example"))
		got := e.Choose(hello)
		if c.want == nil && got != nil || c.want != nil && got != &c.want.TLS {
			t.Errorf("%x, %v: chose another", c.version, c.schemes)
		}
		if hello.ServerName == "" {
			t.Error("the hello was changed")
		}
	}
}

// TestServersParseNoLeaf shows that crypto/tls parses a server's certificate in no handshake, so that it may lack Leaf:
// a malformed one is shown to the client, who finds that out.
func TestServersParseNoLeaf(t *testing.T) {
	c := *loaded(t, mint(t, nil, nil, []string{"a.example"}))
	other := loaded(t, mint(t, nil, signers.rsa2048(), []string{"a.example"}))
	c.TLS.Certificate = [][]byte{[]byte("malformed")}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, e := range []Entry{{[kinds]*Certificate{ECDSA: &c}}, {[kinds]*Certificate{ECDSA: &c, RSA: other}}} {
			server := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
				return e.Choose(hello), nil
			}}
			_, clientErr, serverErr := shake(t, server, &tls.Config{ServerName: "a.example", MaxVersion: version})
			if clientErr == nil || !strings.Contains(clientErr.Error(), "failed to parse certificate") {
				t.Errorf("version %x: the client says %v", version, clientErr)
			}
			if serverErr == nil || !strings.Contains(serverErr.Error(), "remote error") {
				t.Errorf("version %x: the server says %v", version, serverErr)
			}
		}
	}
}
