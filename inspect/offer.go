package inspect

import (
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
	"github.com/uringproxy/uringproxy/tls/hello"
)

// TLS is what a client would say of itself when it sets a connection up.
type TLS struct {
	SNI, Version, JA4 string
	ALPN, Suites      []string
	// Hello is a whole ClientHello, in TLS records, as a message alone, or either in hexadecimal digits; it says all
	// of the above, which is to be empty then.
	Hello []byte
	// ClientCert are the names in the certificate that the client shows, and that is taken to be valid.
	ClientCert []string
}

// Given reports whether there is anything in it.
func (t *TLS) Given() bool { return t.flags() || len(t.Hello) > 0 || len(t.ClientCert) > 0 }

// flags reports whether something is said of the hello, without the hello itself.
func (t *TLS) flags() bool { return t.SNI+t.Version+t.JA4 != "" || len(t.ALPN)+len(t.Suites) > 0 }

// Hello is what a client says when it sets up TLS. What is empty is not offered, or not known when the hello was not
// given as a whole.
type Hello struct {
	Client   string   `json:"client,omitempty"` // the address, in a question about a connection alone
	SNI      string   `json:"sni,omitempty"`
	ALPN     []string `json:"alpn,omitempty"` // with dots for what does not print
	Versions []string `json:"versions,omitempty"`
	Suites   []string `json:"cipher_suites,omitempty"`
	Groups   []string `json:"groups,omitempty"`
	JA4      string   `json:"ja4,omitempty"`
	// ECH is "outer" when there is an encrypted hello within this one, or what looks like one, and "inner" when
	// somebody has decrypted it.
	ECH    string `json:"ech,omitempty"`
	GREASE bool   `json:"grease,omitempty"` // has numbers that stand for nothing (RFC 8701)
	// Refused is why the hello is refused, and Alert the description of the alert that answers it; 0 for none.
	Refused string `json:"refused,omitempty"`
	Alert   int    `json:"alert,omitempty"`
	// Certificate are the names in the client's certificate.
	Certificate []string `json:"certificate,omitempty"`
}

// offer reads what a client says by TLS.
func (a *asked) offer(t *TLS) error {
	a.TLS, a.hello = &routing.Hello{}, &Hello{}
	for _, name := range t.ClientCert {
		if _, _, err := rule.Match(rule.ClientCert, "", name); err != nil {
			return fmt.Errorf("read name of client certificate: %w", err)
		}
		a.ClientCert = append(a.ClientCert, []byte(name))
	}
	a.hello.Certificate = t.ClientCert
	switch {
	case len(t.Hello) > 0 && t.flags():
		return errors.New("read ClientHello: it says everything itself; leave out server name, protocols, version, " +
			"cipher suites and JA4")
	case len(t.Hello) > 0:
		return a.whole(t.Hello)
	}
	return a.parts(t)
}

// parts reads a hello of which parts are given, in the words that rules have for them.
func (a *asked) parts(t *TLS) error {
	var values [rule.Kinds]rule.Predicate
	for _, m := range []struct {
		kind rule.Kind
		flag string
		args []string
	}{
		{rule.SNI, "SNI", one(t.SNI)}, {rule.ALPN, "ALPN", t.ALPN}, {rule.TLSVersion, "TLS version", one(t.Version)},
		{rule.CipherSuite, "cipher suite", t.Suites}, {rule.JA4, "JA4", one(t.JA4)},
	} {
		if len(m.args) == 0 {
			continue
		}
		e, _, err := rule.Match(m.kind, "", m.args...)
		if m.kind == rule.SNI && strings.HasPrefix(t.SNI, "*") {
			err = fmt.Errorf("%q is a pattern, and no name", t.SNI)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", m.flag, err)
		}
		values[m.kind] = e.Pred
	}
	h := a.TLS
	h.Suites = values[rule.CipherSuite].Numbers
	for _, p := range t.ALPN {
		h.ALPN = append(h.ALPN, []byte(p))
	}
	if v := values[rule.SNI].Values; len(v) > 0 {
		h.SNI = []byte(v[0])
	}
	if v := values[rule.JA4].Values; len(v) > 0 {
		h.JA4 = []byte(v[0])
	}
	if n := values[rule.TLSVersion].Numbers; len(n) > 0 {
		h.Version = n[0]
		a.hello.Versions = []string{rule.VersionName(n[0])}
	}
	a.hello.SNI, a.hello.JA4, a.hello.ALPN, a.hello.Suites = string(h.SNI), string(h.JA4), t.ALPN, t.Suites
	return nil
}

// one is a list of one text, or none if it is empty.
func one(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// whole reads a whole hello.
func (a *asked) whole(b []byte) error {
	message, code := messageOf(b)
	var h hello.Hello
	if code == hello.OK {
		code = h.Parse(message)
	}
	if code == hello.NotTLS {
		return errors.New("read ClientHello: what is there are no TLS records, nor the message alone, nor either in " +
			"hexadecimal digits")
	}
	if a.code = code; code != hello.OK {
		a.hello.Refused = code.String()
		if alert, ok := code.Alert(); ok {
			a.hello.Alert = int(alert)
		}
		return nil
	}
	a.TLS = (*routing.Hello)(new(hello.Board).Show(&h, message, true))
	a.hello.read(&h, message, a.TLS)
	a.info = &tls.ClientHelloInfo{CipherSuites: a.TLS.Suites, ServerName: string(a.TLS.SNI)}
	for _, n := range numbers(h.Groups.In(message)) {
		a.info.SupportedCurves = append(a.info.SupportedCurves, tls.CurveID(n))
	}
	for _, n := range numbers(h.Schemes.In(message)) {
		a.info.SignatureSchemes = append(a.info.SignatureSchemes, tls.SignatureScheme(n))
	}
	a.info.SupportedVersions = versionsOf(&h, message)
	return nil
}

// messageOf finds the message in what was given; a code other than OK says why there is none.
func messageOf(b []byte) (message []byte, code hello.Code) {
	if plain, ok := fromHex(b); ok {
		b = plain
	}
	if len(b) > 0 && b[0] == 1 { // a message, and not the type of a record
		return b, hello.OK
	}
	var s hello.Scanner
	if code := s.Feed(b); code != hello.OK {
		return nil, code
	}
	return s.Message(b, make([]byte, s.Scratch())), hello.OK
}

// fromHex reads hexadecimal digits, with blanks, line ends and colons between them.
func fromHex(b []byte) ([]byte, bool) {
	text := strings.TrimPrefix(strings.TrimSpace(string(b)), "0x")
	plain, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\r", "", "\t", "", ":", "").Replace(text))
	return plain, err == nil && len(plain) > 0
}

// read fills in what a hello says.
func (o *Hello) read(h *hello.Hello, message []byte, offer *routing.Hello) {
	o.SNI, o.JA4 = string(offer.SNI), string(offer.JA4)
	for _, p := range offer.ALPN {
		o.ALPN = append(o.ALPN, words.Printable(string(p), "", '.'))
	}
	for _, v := range versionsOf(h, message) {
		if o.GREASE = o.GREASE || hello.IsGREASE(v); !hello.IsGREASE(v) {
			o.Versions = append(o.Versions, rule.VersionName(v))
		}
	}
	for _, s := range offer.Suites {
		if o.GREASE = o.GREASE || hello.IsGREASE(s); !hello.IsGREASE(s) {
			o.Suites = append(o.Suites, rule.SuiteName(s))
		}
	}
	for _, g := range numbers(h.Groups.In(message)) {
		if o.GREASE = o.GREASE || hello.IsGREASE(g); !hello.IsGREASE(g) {
			o.Groups = append(o.Groups, groupName(g))
		}
	}
	for e := hello.Extensions(h.Extensions.In(message)); len(e) > 0; {
		var id uint16
		id, _, e = e.Next()
		o.GREASE = o.GREASE || hello.IsGREASE(id)
	}
	o.ECH = map[hello.ECH]string{hello.ECHOuter: "outer", hello.ECHInner: "inner"}[h.ECH]
}

func numbers(list []byte) (all []uint16) {
	for n, i := hello.Numbers(list), 0; i < n.Len(); i++ {
		all = append(all, n.At(i))
	}
	return all
}

// versionsOf are the versions on offer: those of the extension, or up to the one that stands before all extensions.
func versionsOf(h *hello.Hello, message []byte) []uint16 {
	if h.Versions.Len > 0 {
		return numbers(h.Versions.In(message))
	}
	var all []uint16
	for v := min(h.Legacy, uint16(hello.VersionTLS12)); v >= hello.VersionTLS10; v-- {
		all = append(all, v)
	}
	return all
}

// groups are the names of key exchanges, as the configuration and the registry have them.
var groups = map[uint16]string{
	23: "P-256", 24: "P-384", 25: "P-521", 29: "X25519", 30: "X448", 256: "ffdhe2048", 257: "ffdhe3072",
	258: "ffdhe4096", 259: "ffdhe6144", 260: "ffdhe8192", 4587: "SecP256r1MLKEM768", 4588: "X25519MLKEM768",
	4589: "SecP384r1MLKEM1024", 25497: "X25519Kyber768Draft00",
}

func groupName(n uint16) string {
	if name := groups[n]; name != "" {
		return name
	}
	return fmt.Sprintf("0x%04x", n)
}
