package hello

import (
	"bytes"
	"testing"
)

// TestFraming feeds streams as a whole, in every two, and byte by byte: the answer is the same, and a fault is told at
// the byte where the table's stream ends.
func TestFraming(t *testing.T) {
	smallest := parts{}.message()
	some := func(n int) []byte { return records(smallest, 10)[:n] }
	large := handshake(typeClientHello, make([]byte, MaxMessage-messageHeader))
	for name, c := range map[string]struct {
		stream []byte
		want   Code
	}{
		"hello":                         {stream(smallest), OK},
		"hello in records of one byte":  {records(smallest, 1), OK},
		"hello in two":                  {records(smallest, 30), OK},
		"largest":                       {stream(large), OK},
		"half":                          {stream(smallest)[:20], NeedMore},
		"nothing":                       {nil, NeedMore},
		"too large":                     {record(22, []byte{1, 0, 0x3f, 0xfd}), HelloTooLarge},
		"far too large":                 {record(22, []byte{1, 1, 0, 0}), HelloTooLarge},
		"too many bytes of records":     {records(large, 8000)[:2*8005+recordHeader], HelloTooLarge},
		"full of small records":         {records(large, 7)[:16385], HelloTooLarge},
		"full but for a header":         {records(large, 8188)[:MaxStream], HelloTooLarge},
		"other minor version":           {[]byte{22, 3, 255, 0}, NeedMore},
		"other version":                 {[]byte{22, 4}, BadRecordVersion},
		"empty record":                  {[]byte{22, 3, 1, 0, 0}, EmptyRecord},
		"empty record within":           {append(some(15), 22, 3, 1, 0, 0), EmptyRecord},
		"large record":                  {[]byte{22, 3, 1, 0x40, 1}, RecordTooLarge},
		"ServerHello":                   {[]byte{22, 3, 1, 0, 50, 2}, NotHello},
		"message behind":                {record(22, append(smallest, 1))[:recordHeader+messageHeader], TrailingBytes},
		"message behind, second record": {append(some(15), 22, 3, 1, 0, 200), TrailingBytes},
		"alert":                         {[]byte{21}, AlertFirst},
		"alert within":                  {append(some(15), 21), Interleaved},
		"change cipher spec":            {[]byte{20}, UnexpectedRecord},
		"change cipher spec within":     {append(records(smallest, 3)[:8], 20), Interleaved},
		"application data":              {[]byte{23}, UnexpectedRecord},
		"heartbeat":                     {[]byte{24}, UnexpectedRecord},
		"unknown type within":           {append(records(smallest, 1)[:6], 99), Interleaved},
		"SSLv2":                         {[]byte{0x80, 0x2e, 1}, SSLv2},
		"nearly SSLv2":                  {[]byte{0x80, 0x2e, 2}, NotTLS},
		"GET":                           {[]byte("GET "), PlainHTTP},
		"OPTIONS":                       {[]byte("OPTIONS "), PlainHTTP},
		"HTTP/2":                        {[]byte("PRI * HTTP/2.0\r\n"), PlainHTTP},
		"PROXY":                         {[]byte("PROXY "), ProxyHeader},
		"PROXY, binary":                 {[]byte("\r\n\r\n\x00\r\nQUIT\n"), ProxyHeader},
		"a method's beginning":          {[]byte("DELE"), NeedMore},
		"nearly a method":               {[]byte("GETS"), NotTLS},
		"SSH":                           {[]byte("S"), NotTLS},
		"lower case":                    {[]byte("g"), NotTLS},
		"zero":                          {[]byte{0}, NotTLS},
	} {
		t.Run(name, func(t *testing.T) {
			for cut := 0; cut <= len(c.stream); cut += 1 + len(c.stream)/500 {
				var s Scanner
				if code := s.Feed(exactly(c.stream[:cut])); code != NeedMore && cut < len(c.stream) {
					t.Fatalf("%v after %d bytes of %d", code, cut, len(c.stream))
				}
				if code := s.Feed(exactly(c.stream)); code != c.want {
					t.Fatalf("%v after %d bytes and the rest, want %v", code, cut, c.want)
				}
				if code := s.Feed(append(exactly(c.stream), "more"...)); c.want != NeedMore && code != c.want {
					t.Fatalf("%v, want %v for good", code, c.want)
				}
				if c.want == OK && s.Len() != len(c.stream) {
					t.Fatalf("%d bytes, want %d", s.Len(), len(c.stream))
				}
			}
			var s Scanner
			for i := range len(c.stream) + 1 {
				if code := s.Feed(c.stream[:i:i]); i < len(c.stream) && code != NeedMore {
					t.Fatalf("%v after %d bytes of %d", code, i, len(c.stream))
				}
			}
			if s.code != c.want {
				t.Errorf("%v byte by byte, want %v", s.code, c.want)
			}
		})
	}
}

// TestMessage wants the same message however it was cut into records, in place when it came in one.
func TestMessage(t *testing.T) {
	message := chrome().message()
	behind := []byte("\x17\x03\x03\x00\x01x")
	for n := 1; n <= len(message); n++ {
		stream := records(message, n)
		if len(stream) > MaxStream {
			t.Fatalf("a browser's hello in records of %d bytes is refused for its size", n)
		}
		var s Scanner
		stream = append(stream, behind...)
		if code := s.Feed(stream); code != OK || s.Len() != len(stream)-len(behind) {
			t.Fatalf("%v, %d bytes", code, s.Len())
		}
		got := s.Message(stream, make([]byte, s.Scratch()))
		if !bytes.Equal(got, message) || cap(got) != len(got) {
			t.Fatalf("message in records of %d bytes differs", n)
		}
		if one := n == len(message); one != (&got[0] == &stream[recordHeader]) || one != (s.Scratch() == 0) {
			t.Fatalf("message in records of %d bytes: in place %v", n, !one)
		}
	}
}

// TestCodes wants a reason of its own for each fault, and an alert wherever somebody would understand it.
func TestCodes(t *testing.T) {
	seen := map[string]Code{}
	silent := map[Code]bool{OK: true, PlainHTTP: true, ProxyHeader: true, NotTLS: true, AlertFirst: true}
	for c := NeedMore; c < codes; c++ {
		text := c.String()
		if other, twice := seen[text]; twice || text == "" {
			t.Errorf("code %d: reason %q, as code %d", c, text, other)
		}
		seen[text] = c
		if alert, ok := c.Alert(); ok == silent[c] || ok != (alert != 0) {
			t.Errorf("%v: alert %d, %v", c, alert, ok)
		}
		if c.Fault() != (c != OK && c != NeedMore) {
			t.Errorf("%v: fault %v", c, c.Fault())
		}
	}
	if _, ok := codes.Alert(); !ok || codes.String() != "unknown fault" {
		t.Error("a code beyond the last has no alert or no reason")
	}
}
