package certs

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	c := loaded(t, mint(t, nil, nil, []string{
		"WWW.Example.com", "www.example.com", "*.Example.com", "xn--bcher-kva.example", "under_score.example",
		"192.0.2.1", "2001:DB8::1", "f*.example.com", "*", "a..example", "trailing.example.", "*.*.example", "single",
	}))
	want := []string{
		"www.example.com", "*.example.com", "xn--bcher-kva.example", "under_score.example", "single",
		"192.0.2.1", "2001:db8::1",
	}
	if !slices.Equal(c.Names, want) {
		t.Errorf("names %q, want %q", c.Names, want)
	}
	warnings := c.Warnings(time.Now())
	if !mentions(warnings, `"f*.example.com", "*", "a..example", and 2 more`, "ignored") {
		t.Errorf("warnings %q", warnings)
	}
}

// TestWarnings makes a certificate of each doubtful sort, and one that is not.
func TestWarnings(t *testing.T) {
	ca := authority(t, nil, "ca")
	name := []string{"a.example"}
	elsewhere := func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://ca.example/ca.cer"} }
	common := func(c *x509.Certificate) { c.Subject = pkix.Name{CommonName: "a.example"} }
	staple := func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: tlsFeature, Value: must(asn1.Marshal([]int{17, 5}))(t)}}
	}
	other := func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: tlsFeature, Value: must(asn1.Marshal([]int{17}))(t)}}
	}
	for _, c := range []struct {
		name  string
		leaf  *minted
		chain []*minted
		want  [][]string // the words of each warning
	}{
		{"good", mint(t, ca, nil, name, elsewhere), []*minted{ca}, nil},
		{"with its CN", mint(t, ca, nil, name, common), []*minted{ca}, nil},
		{"private authority", mint(t, ca, nil, name), nil, nil},
		{"other features", mint(t, ca, nil, name, other), nil, nil},
		{"expired", mint(t, ca, nil, name, lasting(-9*day, -day)), nil, [][]string{{"expired on", "renew"}}},
		{"soon", mint(t, ca, nil, name, lasting(-80*day, 10*day)), nil, [][]string{{"expires soon"}}},
		{"short life, fresh", mint(t, ca, nil, name, lasting(-day, 5*day)), nil, nil},
		{"short life, soon", mint(t, ca, nil, name, lasting(-5*day, day)), nil, [][]string{{"expires soon"}}},
		{"not yet", mint(t, ca, nil, name, lasting(day, 90*day)), nil, [][]string{{"not valid before", "clock"}}},
		{"self-signed", mint(t, nil, nil, name), nil, [][]string{{"self-signed"}}},
		{"authority's own", authority(t, ca, "a", func(c *x509.Certificate) { c.DNSNames = name }), nil,
			[][]string{{"certificate authority's own"}}},
		{"weak RSA", mint(t, ca, signers.rsa1024(), name), nil, [][]string{{"1024 bits"}}},
		{"RSA", mint(t, ca, signers.rsa2048(), name), nil, nil},
		{"common name only", mint(t, ca, nil, nil, common), nil, [][]string{{"common name", "alternative name"}}},
		{"no name", mint(t, ca, nil, nil), nil, [][]string{{"no DNS name and no address"}}},
		{"no intermediate", mint(t, ca, nil, name, elsewhere), nil, [][]string{{"no intermediate"}}},
		{"must staple", mint(t, ca, nil, name, staple), nil, [][]string{{"stapled OCSP"}}},
		{"old intermediate", mint(t, ca, nil, name), []*minted{mint(t, ca, ca.signer, nil, lasting(-9*day, -day),
			func(c *x509.Certificate) { c.Subject, c.SubjectKeyId = ca.Subject, ca.SubjectKeyId })},
			[][]string{{"intermediate certificate in its chain expired"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			warnings := loaded(t, c.leaf, c.chain...).Warnings(time.Now())
			if len(warnings) != len(c.want) {
				t.Errorf("%d warnings, want %d: %q", len(warnings), len(c.want), warnings)
			}
			for _, words := range c.want {
				if !mentions(warnings, words...) {
					t.Errorf("warnings %q, want %q", warnings, words)
				}
			}
		})
	}
}

func TestKeyThatOthersRead(t *testing.T) {
	f := newFiles(t)
	var s Store
	cert, key := f.pair("x", mint(t, authority(t, nil, "ca"), nil, []string{"a.example"}))
	for mode, exposed := range map[os.FileMode]bool{
		0o600: false, 0o640: false, 0o660: false, 0o644: true, 0o602: true,
	} {
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		warnings := must(s.Load(cert, key))(t).Warnings(time.Now())
		if got := mentions(warnings, "chmod o-rw "+key); got != exposed || len(warnings) > 1 {
			t.Errorf("mode %o: %q", mode, warnings)
		}
	}
}

// TestChainOrder gives chains in each order, with something else among them, and twice the same.
func TestChainOrder(t *testing.T) {
	root := authority(t, nil, "root")
	upper := authority(t, root, "upper")
	lower := authority(t, upper, "lower")
	cross := mint(t, authority(t, nil, "other root"), upper.signer, nil, func(c *x509.Certificate) {
		c.Subject, c.SubjectKeyId, c.IsCA = upper.Subject, upper.SubjectKeyId, true
	})
	stranger := authority(t, nil, "stranger")
	leaf := mint(t, lower, nil, []string{"a.example"})
	for _, c := range []struct {
		name        string
		file, chain []*minted
		warning     string
	}{
		{"alone", []*minted{leaf}, []*minted{leaf}, ""},
		{"right", []*minted{leaf, lower, upper}, []*minted{leaf, lower, upper}, ""},
		{"with root", []*minted{leaf, lower, upper, root}, []*minted{leaf, lower, upper, root}, ""},
		{"two ways", []*minted{leaf, lower, upper, cross}, []*minted{leaf, lower, upper, cross}, ""},
		{"two ways, root", []*minted{leaf, lower, cross, upper, root}, []*minted{leaf, lower, cross, upper, root}, ""},
		{"exchanged", []*minted{leaf, upper, lower}, []*minted{leaf, lower, upper}, "wrong order"},
		{"reversed", []*minted{root, upper, lower, leaf}, []*minted{leaf, lower, upper, root}, "wrong order"},
		{"leaf last", []*minted{lower, upper, leaf}, []*minted{leaf, lower, upper}, "wrong order"},
		{"stranger", []*minted{leaf, stranger, lower, upper}, []*minted{leaf, lower, upper}, "1 certificates"},
		{"gap", []*minted{leaf, upper}, []*minted{leaf}, "1 certificates"},
		{"twice", []*minted{leaf, leaf, lower}, []*minted{leaf, lower}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFiles(t)
			var s Store
			got := must(s.Load(f.put("x.crt", certPEM(c.file...)), f.put("x.key", leaf.keyPEM(t))))(t)
			if len(got.TLS.Certificate) != len(c.chain) {
				t.Fatalf("chain of %d, want %d", len(got.TLS.Certificate), len(c.chain))
			}
			for i, want := range c.chain {
				if !bytes.Equal(got.TLS.Certificate[i], want.Raw) {
					t.Errorf("certificate %d of the chain is not %v", i, want.Subject)
				}
			}
			warnings := got.Warnings(time.Now())
			if (c.warning == "") != (len(warnings) == 0) || c.warning != "" && !mentions(warnings, c.warning) {
				t.Errorf("warnings %q, want %q", warnings, c.warning)
			}
		})
	}
}

// TestForms loads what is right in unusual clothes.
func TestForms(t *testing.T) {
	ca := authority(t, nil, "ca")
	name := []string{"a.example"}
	ec := mint(t, ca, nil, name)
	sec1 := pemText("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ec.signer.(ecdsaKey)))(t))
	rsa := mint(t, ca, signers.rsa2048(), name)
	pkcs1 := pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsa.signer.(rsaKey)))
	for _, c := range []struct {
		name, cert, key string
		kind            Kind
	}{
		{"PKCS#8", certPEM(ec), ec.keyPEM(t), ECDSA},
		{"SEC 1", certPEM(ec), sec1, ECDSA},
		{"with parameters", certPEM(ec), pemText("EC PARAMETERS", []byte{6, 1, 1}) + sec1, ECDSA},
		{"PKCS#1", certPEM(rsa), pkcs1, RSA},
		{"PKCS#1 with PKCS#8's label", certPEM(rsa), strings.ReplaceAll(pkcs1, "RSA ", ""), RSA},
		{"PKCS#8 with PKCS#1's label", certPEM(rsa), strings.ReplaceAll(rsa.keyPEM(t), "PRIV", "RSA PRIV"), RSA},
		{"Ed25519", "", "", Ed25519},
		{"CRLF", strings.ReplaceAll(certPEM(ec), "\n", "\r\n"), strings.ReplaceAll(sec1, "\n", "\r\n"), ECDSA},
		{"byte order mark", "\ufeff" + certPEM(ec), "\ufeff" + sec1, ECDSA},
		{"with text", "Certificate:\n  Data: -----BEGIN \n" + certPEM(ec) + "the end", "Bag\n" + sec1, ECDSA},
		{"all in both", certPEM(ec) + sec1, certPEM(ec) + sec1, ECDSA},
		{"no last newline", strings.TrimSpace(certPEM(ec)), strings.TrimSpace(sec1), ECDSA},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.kind == Ed25519 {
				ed := mint(t, ca, newEd25519(t), name)
				c.cert, c.key = certPEM(ed), ed.keyPEM(t)
			}
			f := newFiles(t)
			var s Store
			got, err := s.Load(f.put("x.crt", c.cert), f.put("x.key", c.key))
			if err != nil {
				t.Fatal(err)
			}
			if got.Kind != c.kind || !slices.Equal(got.Names, name) || got.Source != f.path("x.crt") {
				t.Errorf("got %v for %q from %s", got.Kind, got.Names, got.Source)
			}
		})
	}
}

func TestParsed(t *testing.T) {
	c := loaded(t, mint(t, nil, nil, []string{"a.example"}))
	parsed := must(c.Parsed())(t)
	if parsed.Leaf == nil || parsed.Leaf.DNSNames[0] != "a.example" || c.TLS.Leaf != nil {
		t.Errorf("leaf %v", parsed.Leaf)
	}
	if !parsed.Leaf.NotAfter.Equal(c.NotAfter) || !parsed.Leaf.NotBefore.Equal(c.NotBefore) {
		t.Errorf("valid from %v to %v", c.NotBefore, c.NotAfter)
	}
	again := loaded(t, &minted{Certificate: parsed.Leaf, signer: c.TLS.PrivateKey.(ecdsaKey)})
	if c.Fingerprint() != again.Fingerprint() {
		t.Error("the same certificate has two fingerprints")
	}
}

func TestSelfSigned(t *testing.T) {
	c := must(SelfSigned())(t)
	if !slices.Equal(c.Names, []string{"localhost", "127.0.0.1", "::1"}) || c.Source != "self-signed" {
		t.Errorf("names %q of %s", c.Names, c.Source)
	}
	leaf := must(c.Leaf())(t)
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	for _, name := range []string{"localhost", "127.0.0.1", "::1"} {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if life := c.NotAfter.Sub(c.NotBefore); life > 397*day || c.NotBefore.After(time.Now().Add(-time.Minute)) {
		t.Errorf("it lives %v from %v on", life, c.NotBefore)
	}
	if warnings := c.Warnings(time.Now()); len(warnings) != 1 || !mentions(warnings, "self-signed") {
		t.Errorf("warnings %q", warnings)
	}
	c = must(SelfSigned("A.example", "*.b.example"))(t)
	if !slices.Equal(c.Names, []string{"a.example", "*.b.example"}) {
		t.Errorf("names %q", c.Names)
	}
	for _, bad := range []string{"bücher.example", "", "a b", "x.*.example"} {
		if _, err := SelfSigned(bad); err == nil || !mentions([]string{err.Error()}, "A-labels") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
