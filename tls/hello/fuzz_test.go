package hello

import (
	"slices"
	"testing"
)

// FuzzHello gives any stream as a whole, in two and byte by byte, and a message also in records of another size: the
// result is the same, nothing behind the end is looked at, and what crypto/tls understands as well it understands in
// the same way.
func FuzzHello(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s, uint16(len(s)/2), uint16(40))
	}
	f.Fuzz(check)
}

// FuzzMessage is FuzzHello with the lengths in front of the message made right, so that more of it is read.
func FuzzMessage(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s[min(len(s), recordHeader+messageHeader):], uint16(len(s)/2), uint16(40))
	}
	f.Fuzz(func(t *testing.T, body []byte, cut, size uint16) {
		if len(body) <= MaxMessage-messageHeader {
			check(t, stream(handshake(typeClientHello, body)), cut, size)
		}
	})
}

// stricter are the faults with which crypto/tls can live: limits, which it has others for, what it tells only when it
// needs it, warnings, and versions of records that are not from this world.
var stricter = []Code{
	BadRecordVersion, AlertFirst, Interleaved, TrailingBytes, HelloTooLarge, TooManySuites, TooManyExtensions,
	TooManyProtocols, TooManySchemes, TooManyKeyShares, BadVersion, BadSessionID, BadSuites, BadCompression,
	BadServerName, InvalidName, RepeatedKeyShare, BadPSK, BadECH,
}

func check(t *testing.T, s []byte, cut, size uint16) {
	h, message, n, code := read(s)
	if parts := feedInParts(s, int(cut)%(len(s)+1)); parts != code && (parts != OK || !code.Fault()) {
		t.Fatalf("%v as a whole, %v in parts", code, parts)
	}
	info := understood(s)
	if code != OK {
		if info != nil && !slices.Contains(stricter, code) {
			t.Fatalf("%v, which crypto/tls does not find", code)
		}
		return
	}
	if n > len(s) || n < recordHeader+len(message) {
		t.Fatalf("a message of %d bytes is in %d", len(message), n)
	}
	again, _, _, code := read(records(message, 1+int(size)))
	if code != OK && code != HelloTooLarge || code == OK && again != h {
		t.Fatalf("in other records: %v, %+v, want %+v", code, again, h)
	}
	walk(t, &h, message)
	if info != nil {
		if err := compare(&h, message, info); err != nil {
			t.Fatal(err)
		}
	}
}

// feedInParts is what Scanner says of a stream that comes up to cut, and then byte by byte.
func feedInParts(s []byte, cut int) (code Code) {
	var scan Scanner
	for i := cut; i <= len(s); i++ {
		before := code
		if code = scan.Feed(s[:i:i]); before != NeedMore && code != before {
			return codes
		}
	}
	return code
}

// walk reads everything there is.
func walk(t *testing.T, h *Hello, message []byte) {
	var b Board
	o := b.Show(h, message, true)
	if len(o.Suites) == 0 || len(o.JA4) != JA4Bytes || (len(o.SNI) > 0) != (h.Name == NameHost) {
		t.Fatalf("offer %+v of %+v", o, h)
	}
	for i, c := range o.JA4 {
		if !alphanumeric(c) && (c != '_' || i != 10 && i != 23) || c >= 'A' && c <= 'Z' {
			t.Fatalf("fingerprint %s", o.JA4)
		}
	}
	extensions, shares := 0, 0
	for e := Extensions(h.Extensions.In(message)); len(e) > 0; extensions++ {
		_, _, e = e.Next()
	}
	for k := KeyShares(h.KeyShares.In(message)); len(k) > 0; shares++ {
		_, _, k = k.Next()
	}
	if extensions != int(h.ExtensionCount) || shares > MaxKeyShares {
		t.Fatalf("%d extensions, %d key shares", extensions, shares)
	}
}
