package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/tls/handshake"
)

// told is what would be said of a certificate.
func told(t *testing.T, template *x509.Certificate) *certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	var f facts
	f.agreed(&handshake.Outcome{Peer: leaf}, true)
	return f.cert
}

// Names that are made to look like others arrive as one entry each, and can be had back.
func TestHostileNames(t *testing.T) {
	names := []string{"b, DNS=admin.test", "b,DNS=admin.test", "b; DNS=admin.test", `"b`, "1%2C", "b\r\nX: y", "b\x00"}
	mail := "\"a, URI=spiffe://root\"@b.test"
	uri := &url.URL{Scheme: "spiffe", Host: "b", Path: "/x, DNS=admin.test", RawQuery: "DNS=admin.test"}
	c := told(t, &x509.Certificate{DNSNames: names, EmailAddresses: []string{mail}, URIs: []*url.URL{uri}})
	want := append(append([]string{"URI=" + uri.String()}, prefixed("DNS=", names)...), "email="+mail)
	if strings.ContainsAny(string(c.san), "\r\n\x00") {
		t.Errorf("what no field may have: %q", c.san)
	}
	var got []string
	for _, entry := range strings.Split(string(c.san), ", ") {
		kind, name, _ := strings.Cut(entry, "=")
		if strings.ContainsAny(name, ` ",;=`) {
			t.Errorf("%q can be taken for several", entry)
		}
		decoded, err := url.PathUnescape(name)
		if err != nil {
			t.Errorf("%q: %v", entry, err)
		}
		got = append(got, kind+"="+decoded)
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func prefixed(prefix string, names []string) (all []string) {
	for _, name := range names {
		all = append(all, prefix+name)
	}
	return all
}

// A subject is told as RFC 4514 writes it, with everything that is in it.
func TestHostileSubjects(t *testing.T) {
	common := asn1.ObjectIdentifier{2, 5, 4, 3}
	for want, name := range map[string]pkix.Name{
		`CN=b\,CN=admin`:           {CommonName: "b,CN=admin"},
		`CN=b\,O=root,O=Guests`:    {CommonName: "b,O=root", Organization: []string{"Guests"}},
		`CN=b\+O=root\;\"x\" \\\,`: {CommonName: `b+O=root;"x" \,`},
		`CN=100%2541,O=%0D%0AX: y`: {CommonName: "100%41", Organization: []string{"\r\nX: y"}},
		`CN=second,CN=first`: {ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: common, Value: "first"}, {Type: common, Value: "second"},
		}},
		``: {},
	} {
		if got := string(told(t, &x509.Certificate{Subject: name, DNSNames: []string{"a"}}).subject); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
