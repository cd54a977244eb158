package hello

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/routing"
)

func fingerprint(t testing.TB, p parts) string {
	t.Helper()
	h, message := mustRead(t, stream(p.message()))
	return ja4(&h, message)
}

func ja4(h *Hello, message []byte) string {
	var out [JA4Bytes]byte
	h.JA4(message, OverTCP, &out)
	return string(out[:])
}

// published is the hello of which FoxIO's description of JA4 gives the fingerprint, by the numbers in it.
func published() parts {
	p := parts{suites: []uint16{0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
		0x9c, 0x9d, 0x2f, 0x35}}
	for _, id := range []uint16{0x1b, 0, 0x33, 0x10, 0x4469, 0x17, 0x2d, 0xd, 5, 0x23, 0x12, 0x2b, 0xff01, 0xb, 0xa,
		0x15} {
		e := ext{id: id}
		switch id {
		case extServerName:
			e = sni("example.com")
		case extKeyShare:
			e = shares(29)
		case extALPN:
			e = alpn("h2")
		case extSchemes:
			e = schemes(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601)
		case extVersions:
			e = versions(0x0304, 0x0303)
		case extSupportedGroups:
			e = groups(29)
		}
		p.exts = append(p.exts, e)
	}
	return p
}

// without takes extensions out.
func without(p parts, ids ...uint16) parts {
	p.exts = slices.DeleteFunc(slices.Clone(p.exts), func(e ext) bool { return slices.Contains(ids, e.id) })
	return p
}

func TestJA4(t *testing.T) {
	p := published()
	greased := published()
	greased.suites = append([]uint16{0xfafa}, greased.suites...)
	greased.exts = append([]ext{{id: 0x0a0a}}, append(greased.exts, ext{id: 0xbaba})...)
	shuffled := published()
	slices.Reverse(shuffled.suites)
	slices.Reverse(shuffled.exts)
	for what, c := range map[string]struct {
		p    parts
		want string
	}{
		"published":     {p, "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		"GREASE":        {greased, "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		"another order": {shuffled, "t13d1516h2_8daaf6152771_e5627efa2ab1"},
		"address":       {without(p, extServerName), "t13i1515h2_8daaf6152771_e5627efa2ab1"},
		"no protocols":  {without(p, extALPN), "t13d151500_8daaf6152771_e5627efa2ab1"},
		"no versions": {without(p, extVersions), "t12d1515h2_8daaf6152771_" +
			half("0005,000a,000b,000d,0012,0015,0017,001b,0023,002d,0033,4469,ff01_"+
				"0403,0804,0401,0503,0805,0501,0806,0601")},
		"no schemes": {without(p, extSchemes),
			"t13d1515h2_8daaf6152771_" + half("0005,000a,000b,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01")},
		"no extensions": {parts{}, "t12i010000_" + half("1301") + "_000000000000"},
		"only name and protocols": {parts{exts: []ext{sni("a"), alpn("h2")}},
			"t12d0102h2_" + half("1301") + "_000000000000"},
		"only GREASE": {parts{suites: []uint16{0x0a0a}, exts: []ext{{id: 0x1a1a}}},
			"t12i000000_000000000000_000000000000"},
		"GREASE among schemes": {parts{exts: []ext{schemes(0x2a2a, 0x0403)}},
			"t12i010100_" + half("1301") + "_" + half("000d_0403")},
		"only GREASE among schemes": {parts{exts: []ext{schemes(0x2a2a)}},
			"t12i010100_" + half("1301") + "_" + half("000d")},
		"TLS 1.0": {parts{legacy: 0x0301}, "t10i010000_" + half("1301") + "_000000000000"},
		"TLS 1.1": {parts{legacy: 0x0302}, "t11i010000_" + half("1301") + "_000000000000"},
		"unknown": {parts{legacy: 0x0305}, "t00i010000_" + half("1301") + "_000000000000"},
		"a draft of 1.3": {parts{exts: []ext{versions(0x7f1c, 0x0303)}},
			"t00i010100_" + half("1301") + "_" + half("002b")},
		"SSL 3.0, of all": {parts{exts: []ext{versions(0x1a1a, 0x0300)}},
			"ts3i010100_" + half("1301") + "_" + half("002b")},
	} {
		if got := fingerprint(t, c.p); got != c.want {
			t.Errorf("%s: %s, want %s", what, got, c.want)
		}
	}
	// The published hash of a list without schemes is of a list with their extension.
	if got := half("0005,000a,000b,000d,0012,0015,0017,001b,0023,002b,002d,0033,4469,ff01"); got != "6d807ffa2a79" {
		t.Errorf("hash %s", got)
	}
}

// half is the beginning of a text's hash.
func half(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:hashDigits/2])
}

var twoLetters = regexp.MustCompile(`^[0-9A-Za-z]{2}$`)

// naiveJA4 is the fingerprint by the description's words, from what crypto/tls says of a hello.
func naiveJA4(h *Hello, info *tls.ClientHelloInfo) string {
	plain := func(numbers []uint16) (text []string) {
		for _, n := range numbers {
			if s := fmt.Sprintf("%04x", n); s[:2] != s[2:] || s[1] != 'a' {
				text = append(text, s)
			}
		}
		return text
	}
	hash := func(text string) string {
		if text == "" {
			return "000000000000"
		}
		return half(text)
	}
	suites, extensions := plain(info.CipherSuites), plain(info.Extensions)
	name, protocol, version := "i", "00", uint16(0)
	if slices.Contains(extensions, "0000") {
		name = "d"
	}
	if len(info.SupportedProtos) > 0 {
		p := info.SupportedProtos[0]
		protocol = p[:1] + p[len(p)-1:]
		if !twoLetters.MatchString(protocol) {
			x := hex.EncodeToString([]byte(p))
			protocol = x[:1] + x[len(x)-1:]
		}
	}
	for _, v := range info.SupportedVersions {
		if v&0x0f0f != 0x0a0a || v>>8 != v&0xff {
			version = max(version, v)
		}
	}
	if !slices.Contains(info.Extensions, extVersions) {
		version = h.Legacy
	}
	digits := map[uint16]string{0x0304: "13", 0x0303: "12", 0x0302: "11", 0x0301: "10", 0x0300: "s3"}[version]
	begin := fmt.Sprintf("t%s%s%02d%02d%s", cmp.Or(digits, "00"), name, min(len(suites), 99), min(len(extensions), 99),
		protocol)
	extensions = slices.DeleteFunc(extensions, func(s string) bool { return s == "0000" || s == "0010" })
	slices.Sort(suites)
	slices.Sort(extensions)
	list := strings.Join(extensions, ",")
	if schemes := plain(convert(info.SignatureSchemes)); len(schemes) > 0 {
		list += "_" + strings.Join(schemes, ",")
	}
	return begin + "_" + hash(strings.Join(suites, ",")) + "_" + hash(list)
}

// TestJA4Protocol has the examples of FoxIO's description, and some others.
func TestJA4Protocol(t *testing.T) {
	for name, want := range map[string]string{
		"h2": "h2", "http/1.1": "h1", "x": "xx", "H3": "H3", "acme-tls/1": "a1",
		"\xab": "ab", "\x20": "20", "\xab\xcd": "ad", "\x20\x61": "21", "\x30\xab": "3b", "\x61\x20": "60",
		"\x30\x31\xab\xcd": "3d", "\x30\xab\xcd\x31": "01", "\x0a\x0a": "0a",
		"\x2f": "2f", "\x3a": "3a", "\x40": "40", "\x5b": "5b", "\x60": "60", "\x7b": "7b",
	} {
		if got := fingerprint(t, parts{exts: []ext{alpn(name, "other")}})[8:10]; got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
}

// TestJA4Counts wants counts that have two digits whatever there is, and the largest hello to have a fingerprint.
func TestJA4Counts(t *testing.T) {
	for _, n := range []int{1, 9, 10, 98, 99, 100, 120} {
		p := parts{exts: []ext{alpn("h2")}}
		p.suites = p.suites[:0]
		for i := range n {
			p.suites = append(p.suites, uint16(i))
			p.exts = append(p.exts, ext{id: uint16(i + 300)})
		}
		want := fmt.Sprintf("t12i%02d%02dh2", min(n, 99), min(n+1, 99))
		if got := fingerprint(t, p)[:10]; got != want {
			t.Errorf("%d of each: %s, want %s", n, got, want)
		}
	}
	largest := parts{exts: []ext{schemes(make([]uint16, MaxSchemes)...)}}
	var suites, ids, zeros []string
	for i := range MaxSuites {
		largest.suites = append(largest.suites, uint16(0xc000-i))
		suites = append(suites, fmt.Sprintf("%04x", 0xc000-MaxSuites+1+i))
	}
	ids = append(ids, "000d")
	for i := range MaxExtensions - 1 {
		largest.exts = append(largest.exts, ext{id: uint16(0xc000 - i)})
		ids = append(ids, fmt.Sprintf("%04x", 0xc000-MaxExtensions+2+i))
	}
	for range MaxSchemes {
		zeros = append(zeros, "0000")
	}
	want := "t12i999900_" + half(strings.Join(suites, ",")) + "_" +
		half(strings.Join(ids, ",")+"_"+strings.Join(zeros, ","))
	if got := fingerprint(t, largest); got != want {
		t.Errorf("largest: %s, want %s", got, want)
	}
}

func TestJA4OverQUIC(t *testing.T) {
	h, message := mustRead(t, stream(published().message()))
	var out [JA4Bytes]byte
	if h.JA4(message, OverQUIC, &out); string(out[:]) != "q13d1516h2_8daaf6152771_e5627efa2ab1" {
		t.Errorf("%s", out)
	}
}

// TestOffer asks a table of routes by an offer, which is routing's own struct but for its name.
func TestOffer(t *testing.T) {
	p := published()
	p.exts[slices.IndexFunc(p.exts, func(e ext) bool { return e.id == extALPN })] = alpn("HTTP/1.1", "h2")
	h, message := mustRead(t, stream(p.message()))
	var b Board
	b.Show(&h, message, true)
	got := (*routing.Hello)(b.Show(&h, message, false))
	want := &routing.Hello{SNI: []byte("example.com"), ALPN: [][]byte{[]byte("HTTP/1.1"), []byte("h2")},
		Version: VersionTLS13, Suites: p.suites}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if o := b.Show(&h, message, true); string(o.JA4) != "t13d1516h1_8daaf6152771_e5627efa2ab1" ||
		bytes.ContainsAny(o.JA4, "H") || ja4(&h, message)[8] != 'H' {
		t.Errorf("JA4 %s", o.JA4)
	}
}
