package hello

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestFaults wants each fault of a message to be found, and the nearest message without it to be accepted.
func TestFaults(t *testing.T) {
	with := func(exts ...ext) []byte { return parts{exts: exts}.message() }
	many := func(n int, f func(i int) uint16) []uint16 {
		v := make([]uint16, n)
		for i := range v {
			v[i] = f(i)
		}
		return v
	}
	number := func(i int) uint16 { return uint16(i + 100) }
	extensions := func(n int) (exts []ext) {
		for _, id := range many(n, number) {
			exts = append(exts, ext{id: id})
		}
		return exts
	}
	name := func(kind byte, name string) ext {
		return ext{extServerName, vector16(append([]byte{kind}, vector16([]byte(name))...))}
	}
	entry := append([]byte{hostName}, vector16([]byte("a"))...)
	good := parts{}.message()
	longer := func(b []byte, by int) []byte { // a message whose header is right
		return handshake(b[0], append(b[messageHeader:len(b):len(b)], make([]byte, by)...))
	}
	for _, c := range []struct {
		what    string
		message []byte
		want    Code
	}{
		{"smallest", good, OK},
		{"empty block", parts{block: true}.message(), OK},
		{"type", handshake(2, good[4:]), NotHello},
		{"nothing", nil, BadLength},
		{"header only", good[:4], BadLength},
		{"length", append(bytes.Clone(good), 0), BadLength},
		{"length of 3 bytes", append([]byte{1, 1}, good[2:]...), BadLength},
		{"one byte behind", longer(good, 1), BadExtensions},
		{"too large", handshake(1, make([]byte, MaxMessage-3)), HelloTooLarge},
		{"SSL 3.0", parts{legacy: 0x0300}.message(), BadVersion},
		{"legacy 1.3", parts{legacy: 0x0304}.message(), OK},
		{"session ID", parts{session: 32}.message(), OK},
		{"long session ID", parts{session: 33}.message(), BadSessionID},
		{"no suites", parts{suites: []uint16{}}.message(), BadSuites},
		{"odd suites", handshake(1, join(good[4:39], []byte{0, 3, 1, 2, 3, 1, 0})), BadSuites},
		{"suites beyond the end", handshake(1, join(good[4:39], []byte{0, 30, 1, 2, 3, 1, 0})), BadLength},
		{"many suites", parts{suites: many(MaxSuites, number)}.message(), OK},
		{"too many suites", parts{suites: many(MaxSuites+1, number)}.message(), TooManySuites},
		{"no compression", parts{compression: []byte{}}.message(), BadCompression},
		{"no null compression", parts{compression: []byte{1}}.message(), BadCompression},
		{"more compression", parts{compression: []byte{1, 0}}.message(), OK},
		{"more compression in 1.3", parts{compression: []byte{0, 1}, exts: []ext{versions(0x0304)}}.message(),
			BadCompression},
		{"block behind block", longer(with(ext{id: 99}), 4), BadExtensions},
		{"cut extension", handshake(1, join(good[4:], vector16([]byte{0, 99, 0}))), BadExtensions},
		{"extension beyond the block", handshake(1, join(good[4:], vector16([]byte{0, 99, 0, 1}))), BadExtensions},
		{"two unknown", with(ext{id: 99}, ext{id: 98}), OK},
		{"repeated small type", with(ext{id: 63}, ext{id: 63}), RepeatedExtension},
		{"repeated large type", with(ext{id: 64}, ext{id: 64}), RepeatedExtension},
		{"repeated GREASE", with(ext{id: 0x1a1a}, ext{id: 99}, ext{id: 0x1a1a}), RepeatedExtension},
		{"many extensions", with(extensions(MaxExtensions)...), OK},
		{"too many extensions", with(extensions(MaxExtensions + 1)...), TooManyExtensions},

		{"name", with(sni("a")), OK},
		{"empty name extension", with(ext{extServerName, nil}), BadServerName},
		{"empty list of names", with(ext{extServerName, []byte{0, 0}}), BadServerName},
		{"empty name", with(sni("")), BadServerName},
		{"name of another type", with(name(1, "a")), BadServerName},
		{"two names", with(ext{extServerName, vector16(join(entry, entry))}), BadServerName},
		{"bytes behind the name", with(ext{extServerName, append(vector16(entry), 0)}), BadServerName},
		{"name beyond the list", with(ext{extServerName, vector16([]byte{0, 0, 2, 'a'})}), BadServerName},
		{"name with NUL", with(sni("a\x00.b")), InvalidName},

		{"protocols", with(alpn("h2", "http/1.1")), OK},
		{"no protocols", with(alpn()), BadProtocols},
		{"empty protocol", with(alpn("h2", "")), BadProtocols},
		{"protocol beyond the list", with(ext{extALPN, vector16([]byte{3, 'h', '2'})}), BadProtocols},
		{"bytes behind the protocols", with(ext{extALPN, []byte{0, 2, 1, 'x', 0}}), BadProtocols},
		{"many protocols", with(alpn(strings.Split(strings.Repeat("x", MaxProtocols), "")...)), OK},
		{"too many protocols", with(alpn(strings.Split(strings.Repeat("x", MaxProtocols+1), "")...)), TooManyProtocols},

		{"versions", with(versions(0x0303)), OK},
		{"no versions", with(versions()), BadVersions},
		{"odd versions", with(ext{extVersions, []byte{3, 3, 3, 3}}), BadVersions},
		{"bytes behind the versions", with(ext{extVersions, []byte{2, 3, 3, 3}}), BadVersions},
		{"groups", with(groups(29)), OK},
		{"no groups", with(groups()), BadGroups},
		{"odd groups", with(ext{extSupportedGroups, vector16([]byte{1})}), BadGroups},
		{"schemes", with(schemes(0x0403)), OK},
		{"no schemes", with(schemes()), BadSchemes},
		{"odd schemes", with(ext{extSchemes, vector16([]byte{1, 2, 3})}), BadSchemes},
		{"many schemes", with(schemes(many(MaxSchemes, number)...)), OK},
		{"too many schemes", with(schemes(many(MaxSchemes+1, number)...)), TooManySchemes},

		{"key shares", with(shares(29, 23)), OK},
		{"no key shares", with(shares()), OK},
		{"empty key", with(ext{extKeyShare, vector16([]byte{0, 29, 0, 0})}), BadKeyShares},
		{"cut key", with(ext{extKeyShare, vector16([]byte{0, 29, 0, 2, 1})}), BadKeyShares},
		{"bytes behind the key shares", with(ext{extKeyShare, []byte{0, 0, 0}}), BadKeyShares},
		{"repeated key share", with(shares(29, 23, 29)), RepeatedKeyShare},
		{"many key shares", with(shares(many(MaxKeyShares, number)...)), OK},
		{"too many key shares", with(shares(many(MaxKeyShares+1, number)...)), TooManyKeyShares},

		{"PSK", with(ext{id: 99}, psk(2, 2)), OK},
		{"PSK not last", with(psk(1, 1), ext{id: 99}), PSKNotLast},
		{"no PSK", with(psk(0, 0)), BadPSK},
		{"more identities than binders", with(psk(2, 1)), BadPSK},
		{"more binders than identities", with(psk(1, 2)), BadPSK},
		{"short binder", with(ext{extPSK, join(psk(1, 0).body[:13], vector16(vector8(make([]byte, 31))))}), BadPSK},
		{"empty identity", with(ext{extPSK, join(vector16(make([]byte, 6)), psk(0, 1).body[2:])}), BadPSK},
		{"early data", with(ext{id: extEarlyData}), OK},
		{"early data with content", with(ext{extEarlyData, []byte{0}}), BadEarlyData},
		{"ECH", with(outer()), OK},
		{"ECH, empty", with(ext{extEncryptedHello, nil}), BadECH},
		{"ECH, another form", with(ext{extEncryptedHello, []byte{2}}), BadECH},
		{"ECH, cut", with(ext{extEncryptedHello, outer().body[:9]}), BadECH},
		{"ECH, no payload", with(ext{extEncryptedHello, make([]byte, 10)}), BadECH},
		{"ECH, bytes behind", with(ext{extEncryptedHello, append(outer().body, 0)}), BadECH},
		{"inner ECH", with(ext{extEncryptedHello, []byte{1}}), OK},
		{"inner ECH, bytes behind", with(ext{extEncryptedHello, []byte{1, 0}}), BadECH},
	} {
		var h Hello
		if code := h.Parse(exactly(c.message)); code != c.want {
			t.Errorf("%s: %v, want %v", c.what, code, c.want)
		}
	}
}

// TestTruncated wants no message to be accepted from which something is cut off, whatever its header says, but where
// what is left is a hello: the one without its extensions.
func TestTruncated(t *testing.T) {
	whole := chrome().message()
	plain := chrome()
	plain.exts = nil
	for n := range len(whole) {
		var h Hello
		if code := h.Parse(exactly(whole[:n])); !code.Fault() {
			t.Errorf("first %d bytes: %v", n, code)
		}
		if n < messageHeader {
			continue
		}
		code := h.Parse(exactly(handshake(typeClientHello, whole[messageHeader:n])))
		if code.Fault() == (n == len(plain.message())) {
			t.Errorf("first %d bytes with another length in front: %v", n, code)
		}
	}
}

func TestServerNames(t *testing.T) {
	label := strings.Repeat("x", maxLabel)
	longest := strings.Repeat(label+".", 3) + label[:maxName-3*(maxLabel+1)]
	for name, want := range map[string]struct {
		sni  string
		name Name
		code Code
	}{
		"www.example.com":  {"www.example.com", NameHost, OK},
		"WWW.Example.COM":  {"www.example.com", NameHost, OK},
		"example.com.":     {"example.com", NameHost, OK},
		"localhost":        {"localhost", NameHost, OK},
		"a_b.example":      {"a_b.example", NameHost, OK},
		"-x.example":       {"-x.example", NameHost, OK},
		"xn--bcher-kva.de": {"xn--bcher-kva.de", NameHost, OK},
		"1.2.3.4a":         {"1.2.3.4a", NameHost, OK},
		longest:            {longest, NameHost, OK},
		longest + ".":      {longest, NameHost, OK},
		longest + "x":      {"", NameHost, InvalidName},
		label + "x.com":    {"", NameHost, InvalidName},
		"127.0.0.1":        {"", NameAddress, OK},
		"127.1.":           {"", NameAddress, OK},
		"256":              {"", NameAddress, OK},
		"::1":              {"", NameAddress, OK},
		"[2001:DB8::1]":    {"", NameAddress, OK},
		"::ffff:127.0.0.1": {"", NameAddress, OK},
		"fe80::1%eth0":     {"", NameHost, InvalidName},
		"example.com:443":  {"", NameHost, InvalidName},
		"cafe:80":          {"", NameHost, InvalidName},
		".":                {"", NameHost, InvalidName},
		"..":               {"", NameHost, InvalidName},
		".example.com":     {"", NameHost, InvalidName},
		"a..example.com":   {"", NameHost, InvalidName},
		"a.example.com..":  {"", NameHost, InvalidName},
		"*.example.com":    {"", NameHost, InvalidName},
		"a b.example.com":  {"", NameHost, InvalidName},
		"bücher.example":   {"", NameHost, InvalidName},
		"a\x00.example":    {"", NameHost, InvalidName},
		"example.com/":     {"", NameHost, InvalidName},
	} {
		var h Hello
		code := h.Parse(parts{exts: []ext{sni(name)}}.message())
		if code != want.code || h.Name != want.name || string(h.SNI()) != want.sni {
			t.Errorf("%q: %v, %d, %q, want %v, %d, %q", name, code, h.Name, h.SNI(), want.code, want.name, want.sni)
		}
	}
	if h, _ := mustRead(t, stream(parts{}.message())); h.Name != NameNone || len(h.SNI()) != 0 {
		t.Errorf("no name: %d, %q", h.Name, h.SNI())
	}
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		legacy  uint16
		offered []uint16
		want    uint16
	}{
		{0x0301, nil, 0x0301}, {0x0302, nil, 0x0302}, {0x0303, nil, 0x0303},
		{0x0304, nil, 0x0303}, {0x7f00, nil, 0x0303},
		{0x0303, []uint16{0x0304, 0x0303}, 0x0304}, {0x0303, []uint16{0x0302, 0x0303}, 0x0303},
		{0x0303, []uint16{0x1a1a, 0x0301}, 0x0301}, {0x0303, []uint16{0x1a1a}, 0},
		{0x0303, []uint16{0x7f1c, 0x0303}, 0x0303}, {0x0303, []uint16{0x0305, 0x0304}, 0x0304},
		{0x0301, []uint16{0x0304}, 0x0304},
	} {
		p := parts{legacy: c.legacy}
		if c.offered != nil {
			p.exts = []ext{versions(c.offered...)}
		}
		if h, _ := mustRead(t, stream(p.message())); h.Version != c.want || h.Legacy != c.legacy {
			t.Errorf("%x, %x: version %x, legacy %x, want %x", c.legacy, c.offered, h.Version, h.Legacy, c.want)
		}
	}
}

// TestBrowser reads every field of one hello.
func TestBrowser(t *testing.T) {
	p := chrome()
	h, message := mustRead(t, stream(p.message()))
	got := fmt.Sprintf("%s %v %x %x %d", h.SNI(), h.Name, h.Legacy, h.Version, h.ExtensionCount)
	if want := "www.example.com 1 303 304 18"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for what, c := range map[string]struct{ got, want []uint16 }{
		"suites":   {numbersOf(h.Suites, message), p.suites},
		"versions": {numbersOf(h.Versions, message), []uint16{0x6a6a, 0x0304, 0x0303}},
		"groups":   {numbersOf(h.Groups, message), []uint16{0x3a3a, 0x11ec, 29, 23, 24}},
		"schemes": {numbersOf(h.Schemes, message),
			[]uint16{0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s %x, want %x", what, c.got, c.want)
		}
	}
	if got := protocolsOf(&h, message); !slices.Equal(got, []string{"h2", "http/1.1"}) {
		t.Errorf("protocols %q", got)
	}
	var shares []string
	for k := KeyShares(h.KeyShares.In(message)); len(k) > 0; {
		var group uint16
		var key []byte
		group, key, k = k.Next()
		shares = append(shares, fmt.Sprintf("%x:%d", group, len(key)))
	}
	if want := []string{"3a3a:1", "11ec:1216", "1d:32"}; !slices.Equal(shares, want) {
		t.Errorf("key shares %q", shares)
	}
	i := 0
	for e := Extensions(h.Extensions.In(message)); len(e) > 0; i++ {
		var id uint16
		var content []byte
		if id, content, e = e.Next(); id != p.exts[i].id || !bytes.Equal(content, p.exts[i].body) {
			t.Errorf("extension %d is %d, %x", i, id, content)
		}
	}
	if !h.Tickets || h.Ticket || h.PSK || h.EarlyData || h.ECH != ECHOuter {
		t.Errorf("tickets %v, ticket %v, PSK %v, early data %v, ECH %d", h.Tickets, h.Ticket, h.PSK, h.EarlyData, h.ECH)
	}
}

func TestResumption(t *testing.T) {
	exts := []ext{{extSessionTicket, []byte("ticket")}, {id: extEarlyData}, psk(1, 1)}
	h, _ := mustRead(t, stream(parts{exts: exts}.message()))
	if !h.Tickets || !h.Ticket || !h.PSK || !h.EarlyData || h.ECH != ECHNone {
		t.Errorf("tickets %v, ticket %v, PSK %v, early data %v", h.Tickets, h.Ticket, h.PSK, h.EarlyData)
	}
	if h, _ := mustRead(t, stream(parts{exts: []ext{{extEncryptedHello, []byte{1}}}}.message())); h.ECH != ECHInner {
		t.Errorf("ECH %d", h.ECH)
	}
}

// TestPointerFree wants what lives in slabs to hold no pointers and to keep its size.
func TestPointerFree(t *testing.T) {
	var plain func(reflect.Type) bool
	plain = func(r reflect.Type) bool {
		switch r.Kind() {
		case reflect.Struct:
			for i := range r.NumField() {
				if !plain(r.Field(i).Type) {
					return false
				}
			}
			return true
		case reflect.Array:
			return plain(r.Elem())
		}
		return r.Kind() >= reflect.Bool && r.Kind() <= reflect.Float64 && r.Kind() != reflect.Uintptr
	}
	for _, c := range []struct {
		v    any
		most uintptr
	}{{Scanner{}, 16}, {Hello{}, 304}} {
		if r := reflect.TypeOf(c.v); !plain(r) || r.Size() > c.most {
			t.Errorf("%v has %d bytes, at most %d are wanted; without pointers: %v", r, r.Size(), c.most, plain(r))
		}
	}
}

func numbersOf(r Ref, message []byte) []uint16 {
	n := Numbers(r.In(message))
	v := []uint16{}
	for i := range n.Len() {
		v = append(v, n.At(i))
	}
	return v
}

func protocolsOf(h *Hello, message []byte) []string {
	var names []string
	for p := Protocols(h.Protocols.In(message)); len(p) > 0; {
		var name []byte
		name, p = p.Next()
		names = append(names, string(name))
	}
	return names
}
