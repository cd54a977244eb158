package hello

import (
	"encoding/binary"
	"testing"
)

var be = binary.BigEndian

// ext is an extension to build a hello with.
type ext struct {
	id   uint16
	body []byte
}

// parts are what a hello is built of; the zero value is the smallest hello.
type parts struct {
	legacy      uint16 // 0: TLS 1.2
	session     int    // length of the session ID
	suites      []uint16
	compression []byte
	exts        []ext
	block       bool // a block of extensions even without one
}

func (p parts) message() []byte {
	if p.legacy == 0 {
		p.legacy = VersionTLS12
	}
	if p.suites == nil {
		p.suites = []uint16{0x1301}
	}
	if p.compression == nil {
		p.compression = []byte{0}
	}
	b := be.AppendUint16(nil, p.legacy)
	b = append(b, make([]byte, randomBytes)...)
	b = append(b, vector8(make([]byte, p.session))...)
	b = append(b, vector16(list(p.suites...))...)
	b = append(b, vector8(p.compression)...)
	if len(p.exts) > 0 || p.block {
		var block []byte
		for _, e := range p.exts {
			block = append(be.AppendUint16(block, e.id), vector16(e.body)...)
		}
		b = append(b, vector16(block)...)
	}
	return handshake(typeClientHello, b)
}

func handshake(kind byte, body []byte) []byte {
	return append([]byte{kind, byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}, body...)
}

func vector8(b []byte) []byte  { return append([]byte{byte(len(b))}, b...) }
func vector16(b []byte) []byte { return append(be.AppendUint16(nil, uint16(len(b))), b...) }

func list(numbers ...uint16) []byte {
	var b []byte
	for _, n := range numbers {
		b = be.AppendUint16(b, n)
	}
	return b
}

func join(pieces ...[]byte) []byte {
	var b []byte
	for _, p := range pieces {
		b = append(b, p...)
	}
	return b
}

// sni, alpn and versions are extensions as clients send them.
func sni(name string) ext {
	return ext{extServerName, vector16(append([]byte{hostName}, vector16([]byte(name))...))}
}

func alpn(names ...string) ext {
	var b []byte
	for _, n := range names {
		b = append(b, vector8([]byte(n))...)
	}
	return ext{extALPN, vector16(b)}
}

func versions(v ...uint16) ext { return ext{extVersions, vector8(list(v...))} }
func schemes(v ...uint16) ext  { return ext{extSchemes, vector16(list(v...))} }
func groups(v ...uint16) ext   { return ext{extSupportedGroups, vector16(list(v...))} }

func shares(v ...uint16) ext {
	var b []byte
	for _, group := range v {
		b = append(be.AppendUint16(b, group), vector16([]byte("key"))...)
	}
	return ext{extKeyShare, vector16(b)}
}

func psk(identities, binders int) ext {
	var i, b []byte
	for range identities {
		i = append(append(i, vector16([]byte("label"))...), 0, 0, 0, 1)
	}
	for range binders {
		b = append(b, vector8(make([]byte, minBinder))...)
	}
	return ext{extPSK, append(vector16(i), vector16(b)...)}
}

func outer() ext {
	return ext{extEncryptedHello, join([]byte{0, 0, 1, 0, 1, 7}, vector16([]byte("key")), vector16([]byte("payload")))}
}

// record is one TLS record.
func record(kind byte, content []byte) []byte {
	return append([]byte{kind, 3, 1, byte(len(content) >> 8), byte(len(content))}, content...)
}

// records cuts a message into records of n bytes.
func records(message []byte, n int) []byte {
	var stream []byte
	for len(message) > 0 {
		k := min(n, len(message))
		stream = append(stream, record(typeHandshake, message[:k])...)
		message = message[k:]
	}
	return stream
}

// stream is a message in one record.
func stream(message []byte) []byte { return records(message, MaxMessage) }

// exactly is b with no capacity beyond its length, so that reading behind its end is noticed.
func exactly(b []byte) []byte { return append(make([]byte, 0, len(b)), b...)[:len(b):len(b)] }

// read is what becomes of a stream that comes as a whole.
func read(s []byte) (h Hello, message []byte, n int, code Code) {
	var scan Scanner
	if code = scan.Feed(exactly(s)); code != OK {
		return h, nil, 0, code
	}
	message = scan.Message(s, make([]byte, scan.Scratch()))
	return h, message, scan.Len(), h.Parse(exactly(message))
}

// mustRead is a hello that is there.
func mustRead(t testing.TB, s []byte) (Hello, []byte) {
	t.Helper()
	h, message, _, code := read(s)
	if code != OK {
		t.Fatalf("read hello: %v", code)
	}
	return h, message
}

// chrome is the hello of a browser, with GREASE, a hybrid key share and an encrypted hello.
func chrome() parts {
	share := join(list(0x3a3a), vector16([]byte{0}), list(0x11ec), vector16(make([]byte, 1216)),
		list(29), vector16(make([]byte, 32)))
	return parts{
		session: 32,
		suites: []uint16{0xdada, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014,
			0x9c, 0x9d, 0x2f, 0x35},
		exts: []ext{
			{0x0a0a, nil}, {27, []byte{2, 0, 2}}, sni("www.Example.com"), {extKeyShare, vector16(share)},
			alpn("h2", "http/1.1"), {17613, vector16(vector8([]byte("h2")))}, {23, nil}, {45, []byte{1, 1}},
			schemes(0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601), {5, []byte{1, 0, 0, 0, 0}},
			{extSessionTicket, nil}, {18, nil}, versions(0x6a6a, VersionTLS13, VersionTLS12), {0xff01, []byte{0}},
			{extEncryptedHello, join([]byte{0, 0, 1, 0, 1, 7}, vector16(make([]byte, 32)),
				vector16(make([]byte, 208)))},
			{11, []byte{1, 0}}, groups(0x3a3a, 0x11ec, 29, 23, 24), {0xcaca, []byte{0}},
		},
	}
}
