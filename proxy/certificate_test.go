package proxy

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net"
	"net/http"
	"net/netip"
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

// What clients say of their certificates themselves is passed on where nobody can take it for our word only: from
// proxies of ours, on listeners that have no word of their own, and where no listener has.
func TestClaimedCertificates(t *testing.T) {
	id := newIdentity(t)
	_, believed := clientCertificate(t)
	claims := []string{"X-Client-Cert-Subject", "x-client-cert-SAN", "X-Client-Cert-Fingerprint", "Client-Cert",
		"Client-Cert-Chain", "X_Client_Cert_Subject", "x-client.cert-fingerprint", "client_cert"}
	head := ""
	for _, name := range claims {
		head += name + ": CN=root\r\n"
	}
	plain, silent := func(*rig) {}, secureRig(id, false, handshake.Policy{})
	vouching := edits(guarded(id, false, believed), func(r *rig) { r.snap.Vouches = true })
	elsewhere := func(r *rig) { r.snap.Vouches = true }
	for _, tc := range []struct {
		name    string
		edit    func(*rig)
		trusted bool
		passed  bool
	}{
		{"plain, and nobody vouches", plain, false, true},
		{"plain", elsewhere, false, false},
		{"plain, trusted", elsewhere, true, true},
		{"TLS, and nobody vouches", silent, false, false},
		{"TLS", edits(silent, elsewhere), false, false},
		{"TLS, trusted", edits(silent, elsewhere), true, true},
		{"vouching", vouching, false, false},
		{"vouching, trusted", vouching, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			seen := make(chan http.Header, 1)
			up := upstream(t, func(w http.ResponseWriter, r *http.Request) { seen <- r.Header })
			r := start(t, backends["epoll"](), []string{up}, edits(tc.edit, func(r *rig) {
				if tc.trusted {
					r.snap.Listeners[0].Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
				}
			}))
			var c net.Conn = dialTCP(t, r.addr)
			if r.snap.Listeners[0].TLS != nil {
				c = dialTLS(t, c, id, nil)
			}
			res, _ := askOver(t, c, bufio.NewReader(c), "GET / HTTP/1.1\r\nHost: a\r\n"+head+"Kept: x\r\n\r\n")
			if res.StatusCode != 200 {
				t.Fatalf("status %d", res.StatusCode)
			}
			got := <-seen
			for _, name := range claims {
				if passed := got.Get(name) != ""; passed != tc.passed {
					t.Errorf("%s: passed on: %v", name, passed)
				}
			}
			if got.Get("Kept") == "" {
				t.Error("more was dropped than what is said of certificates")
			}
		})
	}
}
