package proxyproto

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"strings"
	"testing"
)

func ports(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// binaryHeader is a header of version 2 with what is given behind its fixed part.
func binaryHeader(command, family byte, block string) string {
	return string(binary.BigEndian.AppendUint16([]byte{command, family}, uint16(len(block)))) + block
}

func v2(command, family byte, block string) string {
	return signature2 + binaryHeader(command, family, block)
}

func vector(kind byte, value string) string {
	return string([]byte{kind, byte(len(value) >> 8), byte(len(value))}) + value
}

// summed is a header whose last vector is its checksum.
func summed(command, family byte, block string) string {
	h := v2(command, family, block+vector(typeCRC32C, "\x00\x00\x00\x00"))
	sum := crc32.Checksum([]byte(h), crc32.MakeTable(crc32.Castagnoli))
	return h[:len(h)-4] + string(binary.BigEndian.AppendUint32(nil, sum))
}

const (
	four = "\x0a\x00\x00\x01\xc0\x00\x02\x07\x30\x39\x01\xbb"
	six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\xff\xff\x00\x00"
)

var parseCases = []struct {
	name, in string
	want     Header
	code     Code
}{
	{"tcp4", "PROXY TCP4 10.0.0.1 192.0.2.7 12345 443\r\n",
		Header{Source: ports("10.0.0.1:12345"), Destination: ports("192.0.2.7:443")}, OK},
	{"tcp6", "PROXY TCP6 2001:db8::1 ::ffff:1.2.3.4 0 65535\r\n",
		Header{Source: ports("[2001:db8::1]:0"), Destination: ports("[::ffff:1.2.3.4]:65535")}, OK},
	{"longest tcp6", "PROXY TCP6 " + strings.Repeat("ffff:", 7) + "ffff " + strings.Repeat("ffff:", 7) +
		"ffff 65535 65535\r\n",
		Header{Source: ports("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
			Destination: ports("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535")}, OK},
	{"unknown", "PROXY UNKNOWN\r\n", Header{}, OK},
	{"longest unknown", "PROXY UNKNOWN " + strings.Repeat("x", MaxLine-16) + "\r\n", Header{}, OK},
	{"line too long", "PROXY UNKNOWN " + strings.Repeat("x", MaxLine-15) + "\r\n", Header{}, LineTooLong},
	{"line without end", "PROXY TCP4 " + strings.Repeat("1", MaxLine), Header{}, LineTooLong},
	{"unknown with more", "PROXY UNKNOWNS\r\n", Header{}, BadProtocol},
	{"lower case", "PROXY tcp4 10.0.0.1 192.0.2.7 12345 443\r\n", Header{}, BadProtocol},
	{"udp", "PROXY UDP4 10.0.0.1 192.0.2.7 12345 443\r\n", Header{}, BadProtocol},
	{"no protocol", "PROXY \r\n", Header{}, BadProtocol},
	{"lf alone", "PROXY TCP4 10.0.0.1 192.0.2.7 12345 443\n", Header{}, BadLineEnd},
	{"cr alone", "PROXY TCP4 10.0.0.1 192.0.2.7 12345\r443\r\n", Header{}, BadLineEnd},
	{"other family", "PROXY TCP4 ::1 ::2 1 2\r\n", Header{}, BadAddress},
	{"other family of the second", "PROXY TCP6 ::1 10.0.0.1 1 2\r\n", Header{}, BadAddress},
	{"octal", "PROXY TCP4 10.0.0.01 192.0.2.7 12345 443\r\n", Header{}, BadAddress},
	{"zone", "PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n", Header{}, BadAddress},
	{"two spaces", "PROXY TCP4  10.0.0.1 192.0.2.7 12345 443\r\n", Header{}, BadAddress},
	{"tab", "PROXY TCP4\t10.0.0.1 192.0.2.7 12345 443\r\n", Header{}, BadProtocol},
	{"port with zero", "PROXY TCP4 10.0.0.1 192.0.2.7 012345 443\r\n", Header{}, BadPort},
	{"port too large", "PROXY TCP4 10.0.0.1 192.0.2.7 65536 443\r\n", Header{}, BadPort},
	{"negative port", "PROXY TCP4 10.0.0.1 192.0.2.7 -1 443\r\n", Header{}, BadPort},
	{"space behind", "PROXY TCP4 10.0.0.1 192.0.2.7 1 2 \r\n", Header{}, BadPort},
	{"no addresses", "PROXY TCP4\r\n", Header{}, BadLine},
	{"one address", "PROXY TCP4 10.0.0.1\r\n", Header{}, BadLine},
	{"no ports", "PROXY TCP4 10.0.0.1 10.0.0.2\r\n", Header{}, BadLine},
	{"one port", "PROXY TCP4 10.0.0.1 10.0.0.2 80\r\n", Header{}, BadLine},

	{"nothing of it", "GET / HTTP/1.1\r\n", Header{}, NotProxy},
	{"like it", "PROXIES", Header{}, NotProxy},
	{"post", "POST / HTTP/1.1\r\n", Header{}, NotProxy},
	{"empty lines", "\r\n\r\nGET / HTTP/1.1\r\n", Header{}, NotProxy},
	{"tls", "\x16\x03\x01", Header{}, NotProxy},

	{"v2 tcp4", v2(0x21, 0x11, four),
		Header{Source: ports("10.0.0.1:12345"), Destination: ports("192.0.2.7:443")}, OK},
	{"v2 udp4", v2(0x21, 0x12, four),
		Header{Source: ports("10.0.0.1:12345"), Destination: ports("192.0.2.7:443")}, OK},
	{"v2 tcp6", v2(0x21, 0x21, six),
		Header{Source: ports("[2001:db8::1]:65535"), Destination: ports("[2001:db8::2]:0")}, OK},
	{"v2 unix", v2(0x21, 0x31, strings.Repeat("\x00", 216)), Header{}, OK},
	{"v2 unspecified", v2(0x21, 0x00, ""), Header{}, OK},
	{"v2 unspecified with something", v2(0x21, 0x00, "12345"), Header{}, OK},
	{"v2 family without transport", v2(0x21, 0x10, "1"), Header{}, OK},
	{"v2 local", v2(0x20, 0x00, ""), Header{Local: true}, OK},
	{"v2 local with addresses", v2(0x20, 0x11, four), Header{Local: true}, OK},
	{"v2 local of any family", v2(0x20, 0xff, "??"), Header{Local: true}, OK},
	{"v2 vectors", v2(0x21, 0x11, four+vector(4, "")+vector(0xea, "abc")+vector(2, "example.com")),
		Header{Source: ports("10.0.0.1:12345"), Destination: ports("192.0.2.7:443")}, OK},
	{"v2 checksum", summed(0x21, 0x11, four+vector(2, "example.com")),
		Header{Source: ports("10.0.0.1:12345"), Destination: ports("192.0.2.7:443")}, OK},
	{"v2 longest", v2(0x21, 0x11, four+vector(4, strings.Repeat("x", MaxLen-16-12-3))),
		Header{Source: ports("10.0.0.1:12345"), Destination: ports("192.0.2.7:443")}, OK},

	{"v2 too long", v2(0x21, 0x11, four+vector(4, strings.Repeat("x", MaxLen-16-12-2))), Header{}, TooLong},
	{"v2 local too long", v2(0x20, 0x00, strings.Repeat("x", MaxLen)), Header{}, TooLong},
	{"v2 version 1", v2(0x11, 0x11, four), Header{}, BadVersion},
	{"v2 version 3", v2(0x31, 0x11, four), Header{}, BadVersion},
	{"v2 command", v2(0x22, 0x11, four), Header{}, BadCommand},
	{"v2 family", v2(0x21, 0x41, four), Header{}, BadFamily},
	{"v2 transport", v2(0x21, 0x13, four), Header{}, BadFamily},
	{"v2 short", v2(0x21, 0x11, four[1:]), Header{}, TooShort},
	{"v2 short of six", v2(0x21, 0x21, four), Header{}, TooShort},
	{"v2 short of unix", v2(0x21, 0x31, four), Header{}, TooShort},
	{"v2 half a vector", v2(0x21, 0x11, four+"\x04\x00"), Header{}, BadVector},
	{"v2 vector that is too long", v2(0x21, 0x11, four+"\x04\x00\x02x"), Header{}, BadVector},
	{"v2 checksum of two bytes", v2(0x21, 0x11, four+vector(3, "xx")), Header{}, BadVector},
	{"v2 two checksums", summed(0x21, 0x11, four+vector(3, "\x00\x00\x00\x00")), Header{}, BadVector},
	{"v2 wrong checksum", v2(0x21, 0x11, four+vector(3, "\x00\x00\x00\x00")), Header{}, BadChecksum},
	{"v2 other signature", strings.Replace(v2(0x21, 0x11, four), "QUIT", "QUIP", 1), Header{}, NotProxy},
}

// splits checks that every beginning of in gives the answer that in gives, or asks for more, and that nothing behind
// the header counts.
func splits(t testing.TB, in []byte) (Header, int, Code) {
	t.Helper()
	h, n, code := Parse(in)
	if (code > NotProxy) != (code.Fault() && h.Version > 0) || code == OK && h.Version != version(in) {
		t.Fatalf("%q: %v of version %d", in, code, h.Version)
	}
	for i := 0; i <= len(in); i++ {
		part, m, early := Parse(in[:i:i])
		switch {
		case early == NeedMore && code != NeedMore && (code.Fault() || i < n):
		case early == NeedMore && code == NeedMore:
		case early != code, code == OK && (part != h || m != n || i < n):
			t.Fatalf("%q: %v %+v %d after %d bytes, %v %+v %d of all", in, early, part, m, i, code, h, n)
		}
	}
	h.Version = 0
	return h, n, code
}

func version(in []byte) uint8 {
	if in[0] == 'P' {
		return 1
	}
	return 2
}

func TestParse(t *testing.T) {
	for _, tc := range parseCases {
		t.Run(tc.name, func(t *testing.T) {
			for _, behind := range []string{"", "x", "\r\n", tc.in} {
				h, n, code := splits(t, []byte(tc.in+behind))
				if code != tc.code || code == OK && (h != tc.want || n != len(tc.in)) {
					t.Errorf("%v, %+v in %d bytes; want %v, %+v in %d", code, h, n, tc.code, tc.want, len(tc.in))
				}
			}
		})
	}
}

// A header is never awaited beyond its greatest length.
func TestParseEnds(t *testing.T) {
	for _, begin := range []string{"PROXY ", "PROXY TCP4 ", signature2, signature2 + "\x21\x11\x02\x08", "\r\n"} {
		b := []byte(begin + strings.Repeat("A", MaxLen-len(begin)))
		if _, _, code := Parse(b); code == NeedMore {
			t.Errorf("%q: more is awaited after %d bytes", begin, len(b))
		}
	}
}

// Addresses are read as netip reads them.
func TestAddressesLikeNetip(t *testing.T) {
	for _, s := range []string{
		"", "1", "1.2.3", "1.2.3.4", "1.2.3.4.5", "1.2.3.4.", ".1.2.3.4", "1..3.4", "255.255.255.255", "256.1.1.1",
		"0.0.0.0", "00.0.0.0", "1.2.3.04", "a.b.c.d", "+1.2.3.4", "::", ":", ":::", "::1", "1::", "1::2::3",
		"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8",
		"1:2:3:4::5:6:7:8", "1:2:3:4:5:6:7:", ":1:2:3:4:5:6:7", "12345::", "0001::", "::ffff:1.2.3.4", "::1.2.3.4",
		"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "::1.2.3.4:5", "1.2.3.4::", "FFFF:abcd::",
		"g::", "::ffff:256.2.3.4", "::ffff:1.2.3.04", "1:::2",
	} {
		likeNetip(t, s)
	}
}

func likeNetip(t *testing.T, s string) {
	want, err := netip.ParseAddr(s)
	for _, v6 := range []bool{false, true} {
		var got netip.Addr
		ok := parseAddr([]byte(s), v6, &got)
		if fine := err == nil && want.Is6() == v6 && want.Zone() == ""; ok != fine || ok && got != want {
			t.Errorf("%q: %v, %v; netip says %v, %v", s, got, ok, want, err)
		}
	}
}

func TestCodes(t *testing.T) {
	seen := map[string]bool{}
	for c := range codes {
		if s := c.String(); s == "" || seen[s] {
			t.Errorf("code %d: %q", c, s)
		}
		seen[c.String()] = true
	}
	if NeedMore.Fault() || OK.Fault() || !NotProxy.Fault() || codes.String() == "" {
		t.Error("what is a fault is not clear")
	}
}

func TestNoAllocation(t *testing.T) {
	ins := make([][]byte, len(parseCases))
	for i := range ins {
		ins[i] = []byte(parseCases[i].in)
	}
	out := make([]byte, 0, MaxLen)
	f := &Facts{Authority: []byte("example.com"), TLS: true, Version: []byte("TLSv1.3")}
	h := &Header{Source: ports("[::1]:1"), Destination: ports("10.0.0.1:2")}
	if n := testing.AllocsPerRun(50, func() {
		for _, in := range ins {
			Parse(in)
		}
		AppendV1(out, h.Source, h.Destination)
		AppendV2(out, h, f)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, tc := range parseCases {
		f.Add([]byte(tc.in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, n, code := splits(t, in[:min(len(in), 2*MaxLen)])
		if n > MaxLen || code == NeedMore && len(in) >= MaxLen {
			t.Fatalf("%v, %d bytes of %d", code, n, len(in))
		}
		if code == OK && (h.Source.Addr().IsValid() != h.Destination.Addr().IsValid() || n > len(in) ||
			h.Local && h.Source.IsValid()) {
			t.Fatalf("%+v in %d bytes", h, n)
		}
	})
}
