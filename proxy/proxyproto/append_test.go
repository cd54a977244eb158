package proxyproto

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

func TestAppendV1(t *testing.T) {
	for _, tc := range []struct{ src, dst, want string }{
		{"10.0.0.1:12345", "192.0.2.7:443", "PROXY TCP4 10.0.0.1 192.0.2.7 12345 443\r\n"},
		{"[2001:db8::1]:0", "[::]:65535", "PROXY TCP6 2001:db8::1 :: 0 65535\r\n"},
		{"[fe80::1%eth0]:7", "[fe80::2%eth0]:80", "PROXY TCP6 fe80::1 fe80::2 7 80\r\n"},
		{"10.0.0.1:10", "[2001:db8::1]:9", "PROXY TCP6 ::ffff:10.0.0.1 2001:db8::1 10 9\r\n"},
		{"", "10.0.0.1:1", "PROXY UNKNOWN\r\n"},
		{"10.0.0.1:1", "", "PROXY UNKNOWN\r\n"},
	} {
		src, _ := netip.ParseAddrPort(tc.src)
		dst, _ := netip.ParseAddrPort(tc.dst)
		if got := string(AppendV1([]byte("x"), src, dst)); got != "x"+tc.want {
			t.Errorf("%s to %s: %q, want %q", tc.src, tc.dst, got, tc.want)
		}
	}
}

// vectorsOf are the vectors in b, by type.
func vectorsOf(t *testing.T, b []byte) map[byte]string {
	t.Helper()
	all := map[byte]string{}
	for len(b) > 0 {
		n := int(binary.BigEndian.Uint16(b[1:]))
		all[b[0]] = string(b[3 : 3+n])
		b = b[3+n:]
	}
	return all
}

func TestAppendV2(t *testing.T) {
	h := &Header{Source: ports("10.0.0.1:12345"), Destination: ports("192.0.2.7:443")}
	if got := string(AppendV2(nil, h, nil)); got != v2(0x21, 0x11, four) {
		t.Errorf("without facts: %q", got)
	}
	if got := string(AppendV2(nil, &Header{Local: true, Source: h.Source, Destination: h.Source}, &Facts{
		Authority: []byte("a")})); got != v2(0x20, 0, "") {
		t.Errorf("local: %q", got)
	}
	if got := string(AppendV2(nil, &Header{}, &Facts{ALPN: []byte("h2")})); got != v2(0x21, 0, vector(1, "h2")) {
		t.Errorf("not known: %q", got)
	}
	f := &Facts{
		Authority: []byte("example.com"), ALPN: []byte("http/1.1"), TLS: true, Version: []byte("TLSv1.3"),
		Cipher: []byte("TLS_AES_128_GCM_SHA256"), CommonName: []byte("somebody"),
	}
	b := AppendV2([]byte("before"), h, f)[len("before"):]
	got := vectorsOf(t, b[fixedBytes+12:])
	inner := vectorsOf(t, []byte(got[typeTLS][5:]))
	if got[typeAuthority] != "example.com" || got[typeALPN] != "http/1.1" || inner[typeTLSVersion] != "TLSv1.3" ||
		inner[typeCipher] != "TLS_AES_128_GCM_SHA256" || got[typeTLS][:5] != "\x01\x00\x00\x00\x01" || len(inner) != 2 {
		t.Errorf("facts: %q", b)
	}
	f.Certificate, f.Verified = true, true
	got = vectorsOf(t, AppendV2(nil, h, f)[fixedBytes+12:])
	if inner = vectorsOf(t, []byte(got[typeTLS][5:])); got[typeTLS][:5] != "\x07\x00\x00\x00\x00" ||
		inner[typeCommonName] != "somebody" {
		t.Errorf("certificate: %q", got[typeTLS])
	}
}

// What is long is left out, and the rest is there.
func TestAppendV2Room(t *testing.T) {
	h := &Header{Source: ports("[::1]:1"), Destination: ports("[::2]:2")}
	for n := 0; n < 2*MaxLen; n++ {
		long := bytes.Repeat([]byte("x"), n)
		f := &Facts{Authority: []byte("a.test"), TLS: true, Certificate: true, CommonName: long, ALPN: []byte("h2")}
		for range 2 {
			b := AppendV2(nil, h, f)
			if got, m, code := splits(t, b); code != OK || got != *h || m != len(b) || len(b) > MaxLen {
				t.Fatalf("%d bytes: %v, %+v, %d of %d", n, code, got, m, len(b))
			}
			f.ALPN, f.CommonName = long, []byte(strings.Repeat("y", 64))
		}
	}
}

// FuzzAppend checks that what is written is read as what it was.
func FuzzAppend(f *testing.F) {
	f.Add([]byte{10, 0, 0, 1}, []byte{192, 0, 2, 7}, uint16(12345), uint16(443), []byte("a.test"), []byte("h2"), true)
	f.Add(make([]byte, 16), bytes.Repeat([]byte{255}, 16), uint16(0), uint16(65535), []byte{}, []byte{}, false)
	f.Add([]byte{10, 0, 0, 1}, make([]byte, 16), uint16(9), uint16(10), make([]byte, 500), make([]byte, 30), true)
	f.Fuzz(func(t *testing.T, src, dst []byte, from, to uint16, authority, cn []byte, tls bool) {
		a, ok1 := netip.AddrFromSlice(src)
		z, ok2 := netip.AddrFromSlice(dst)
		h := Header{Source: netip.AddrPortFrom(a, from), Destination: netip.AddrPortFrom(z, to)}
		want := h
		switch {
		case !ok1 || !ok2:
			want = Header{}
		case a.Is4() != z.Is4():
			want.Source = netip.AddrPortFrom(netip.AddrFrom16(a.As16()), from)
			want.Destination = netip.AddrPortFrom(netip.AddrFrom16(z.As16()), to)
		}
		line := AppendV1(nil, h.Source, h.Destination)
		if got, n, code := splits(t, line); code != OK || got != want || n != len(line) || n > MaxLine {
			t.Fatalf("%q: %v, %+v, want %+v", line, code, got, want)
		}
		block := AppendV2(nil, &h, &Facts{Authority: authority, TLS: tls, Certificate: true, CommonName: cn})
		if got, n, code := splits(t, block); code != OK || got != want || n != len(block) {
			t.Fatalf("%q: %v, %+v, want %+v", block, code, got, want)
		}
	})
}

// FuzzAddress compares with netip.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"1.2.3.4", "::1", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", "1:2::3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { likeNetip(t, s) })
}
