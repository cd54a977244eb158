package config

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/uringproxy/uringproxy/routing/rule"
)

// versions are those that the record layer speaks, by the names that users give them.
var versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

func versionName(version uint16) string {
	if version == tls.VersionTLS12 {
		return "1.2"
	}
	return "1.3"
}

// elsewhere is what to do for clients that have nothing that is on offer here.
const elsewhere = "send clients that have nothing better to a service of their own, by a tcp route"

func (t *table) version(key, says string, to *uint16) {
	if t.shape != nil {
		t.shape.add(key, says, &Schema{Type: "string", Enum: []string{"1.2", "1.3"}, Default: versionName(*to)})
	}
	raw, ok := t.get(key)
	if !ok {
		return
	}
	s, isText := raw.(string)
	if v := versions[s]; v != 0 {
		*to = v
		return
	}
	hint, number := "", strings.TrimLeft(strings.ToLower(s), "tlsverion v")
	if f, isFloat := raw.(float64); isFloat {
		number = strconv.FormatFloat(f, 'f', 1, 64)
	}
	switch {
	case versions[number] != 0:
		hint = "write " + strconv.Quote(number)
	case number == "1.0", number == "1.1", strings.HasPrefix(strings.ToLower(s), "ssl") && isText:
		hint = "that version is broken, and this program does not speak it; " + elsewhere
	}
	t.d.at(t.child(key), describe(raw), `"1.2" or "1.3"`, hint)
}

// versions reads min_version and max_version.
func (t *table) versions(lo, hi *uint16) {
	t.version("min_version", "the least version of TLS", lo)
	t.version("max_version", "the greatest version of TLS", hi)
	if *lo <= *hi {
		return
	}
	key := "max_version"
	if _, ok := t.m[key]; !ok {
		key = "min_version"
	}
	t.d.at(t.child(key), fmt.Sprintf("versions from %s to %s", versionName(*lo), versionName(*hi)),
		"a least version that is not above the greatest", "")
	*lo, *hi = tls.VersionTLS12, tls.VersionTLS13
}

// suites12 are the cipher suites of TLS 1.2 that the record layer has: forward secrecy, authenticated encryption.
var suites12 = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// suite finds a cipher suite by its IANA name.
func (d *decoder) suite(path, name string) (id uint16, ok bool) {
	names := make([]string, len(suites12))
	for i, s := range suites12 {
		if names[i] = tls.CipherSuiteName(s); names[i] == name {
			return s, true
		}
	}
	same := func(s *tls.CipherSuite) bool { return s.Name == name }
	hint := d.meant(name, names)
	if i := slices.IndexFunc(tls.CipherSuites(), same); i >= 0 {
		if s := tls.CipherSuites()[i]; s.SupportedVersions[0] == tls.VersionTLS13 {
			hint = "the suites of TLS 1.3 are always on offer; leave it out"
		} else {
			hint = "this program does not speak it; " + elsewhere
		}
	} else if slices.ContainsFunc(tls.InsecureCipherSuites(), same) {
		hint = "that suite is weak, and this program does not speak it; " + elsewhere
	} else if i := slices.IndexFunc(suites12, func(s uint16) bool { return opensslName(s) == name }); i >= 0 {
		hint = "write " + strconv.Quote(names[i])
	}
	d.at(path, quote(name), fmt.Sprintf("a suite of TLS 1.2 with ECDHE and AEAD such as %q", names[0]), hint)
	return 0, false
}

// opensslName is how OpenSSL and nginx call a suite of TLS 1.2.
func opensslName(suite uint16) string {
	s := strings.NewReplacer("TLS_", "", "WITH_", "", "AES_", "AES", "_SHA256", "-SHA256", "_", "-").
		Replace(tls.CipherSuiteName(suite))
	return strings.TrimSuffix(s, map[bool]string{true: "-SHA256"}[strings.Contains(s, "CHACHA20")])
}

// curves are the groups for the key exchange, by their names.
var curves = []struct {
	name string
	id   tls.CurveID
	pq   bool // with ML-KEM, for TLS 1.3 only
	also []string
}{
	{"X25519MLKEM768", tls.X25519MLKEM768, true, nil},
	{"SecP256r1MLKEM768", tls.SecP256r1MLKEM768, true, nil},
	{"SecP384r1MLKEM1024", tls.SecP384r1MLKEM1024, true, nil},
	{"X25519", tls.X25519, false, []string{"x25519", "Curve25519"}},
	{"P-256", tls.CurveP256, false, []string{"P256", "CurveP256", "secp256r1", "prime256v1"}},
	{"P-384", tls.CurveP384, false, []string{"P384", "CurveP384", "secp384r1"}},
	{"P-521", tls.CurveP521, false, []string{"P521", "CurveP521", "secp521r1"}},
}

func (d *decoder) curve(path, name string) (id tls.CurveID, ok bool) {
	var names []string
	hint := ""
	for _, c := range curves {
		if c.name == name {
			return c.id, true
		}
		if slices.Contains(c.also, name) {
			hint = "write " + strconv.Quote(c.name)
		}
		names = append(names, c.name)
	}
	if hint == "" {
		hint = d.meant(name, names)
	}
	d.at(path, quote(name), oneOf(names), hint)
	return 0, false
}

// onlyPostQuantum tells whether all of list need TLS 1.3.
func onlyPostQuantum(list []tls.CurveID) bool {
	for _, c := range curves {
		if !c.pq && slices.Contains(list, c.id) {
			return false
		}
	}
	return len(list) > 0
}

// serverName checks a name that clients may ask for, and brings it into the form in which it is compared.
func (d *decoder) serverName(note func(found, expected, hint string), name string, wildcard bool) (string, bool) {
	expected := `a server name such as "api.example.com"`
	if wildcard {
		expected += ` or "*.example.com"`
	}
	e, _, err := rule.Match(rule.SNI, "", name)
	switch {
	case err != nil:
		note(quote(name), expected, ruleFault(err).Error())
	case strings.HasPrefix(name, "**."), !wildcard && strings.HasPrefix(name, "*"):
		note(quote(name), expected, "")
	default:
		return e.Pred.Values[0], true
	}
	return "", false
}

// peerName checks a name or an address that a server has to prove to be.
func peerName(s string) (string, bool) {
	if ip, err := netip.ParseAddr(s); err == nil {
		return ip.Unmap().String(), ip.Zone() == ""
	}
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	return s, hostName(s)
}
