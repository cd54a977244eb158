package chunked

import (
	"bytes"
	"io"
	"net/http/httputil"
	"strings"
	"testing"
)

// decode reads parts one after the other. It returns the data, and what came after the body.
func decode(parts ...string) (data, rest string, done bool, err error) {
	var d Decoder
	for _, part := range parts {
		for b := []byte(part); len(b) > 0; {
			piece, used, err := d.Next(b)
			if err != nil {
				return data, rest, false, err
			}
			if used == 0 {
				rest += string(b)
				break
			}
			data, b = data+string(piece), b[used:]
		}
	}
	return data, rest, d.Done(), nil
}

func TestEverySplit(t *testing.T) {
	text := "5\r\nhello\r\n6;x=y\r\n world\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nTrailer: x\r\nb:\r\n\r\nnext"
	for a := range len(text) {
		for b := a; b <= len(text); b++ {
			data, rest, done, err := decode(text[:a], text[a:b], text[b:])
			if data != "hello worldabcdefghijklmnopqrstuvwxyz" || rest != "next" || !done || err != nil {
				t.Fatalf("split at %d and %d: %q, %q, %v, %v", a, b, data, rest, done, err)
			}
		}
	}
	end := strings.Index(text, "next")
	for n := range end {
		if _, _, done, err := decode(text[:n]); done || err != nil {
			t.Errorf("%q: %v, %v", text[:n], done, err)
		}
	}
}

func TestFaults(t *testing.T) {
	for _, text := range []string{
		"x\r\n", "\r\n", ";x\r\n", "5 \r\n", "-1\r\n", strings.Repeat("f", 20), "1\r\nab", "1\r\na\rb", "0\r\n\rx",
		"1\r\na\r\n1\r\na\r\nx",
	} {
		if _, _, done, err := decode(text); err != ErrFraming || done {
			t.Errorf("%q: %v, %v", text, done, err)
		}
	}
	if data, _, _, err := decode("ffffffff\r\nabc"); data != "abc" || err != nil {
		t.Errorf("4 GiB less one: %q, %v", data, err)
	}
}

func FuzzNext(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), uint8(3))
	f.Add([]byte("1;x\r\na\r\n0\r\nA: b\r\n\r\n"), uint8(7))
	f.Fuzz(func(t *testing.T, text []byte, cut uint8) {
		at := min(int(cut), len(text))
		data, _, done, err := decode(string(text))
		data2, _, done2, err2 := decode(string(text[:at]), string(text[at:]))
		if data != data2 || done != done2 || err != err2 {
			t.Fatalf("whole %q, %v, %v; cut %q, %v, %v", data, done, err, data2, done2, err2)
		}
		if !done {
			return
		}
		want, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(text)))
		if err == nil && data != string(want) {
			t.Errorf("%q, net/http says %q", data, want)
		}
	})
}
