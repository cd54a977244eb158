package origin

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/perf/load"
)

const handshake = "GET /websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// masked is a frame from a client.
func masked(first byte, payload string) string {
	key := []byte{1, 2, 3, 4}
	b := []byte{first, frameMasked | byte(len(payload))}
	if len(payload) >= frameMedium {
		b = []byte{first, frameMasked | frameMedium, byte(len(payload) >> 8), byte(len(payload))}
	}
	b = append(b, key...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return string(b)
}

func TestWebSocketAtEverySplit(t *testing.T) {
	long := strings.Repeat("0123456789", 30)
	text := handshake + masked(0x81, "hello") + masked(0x82, long) + masked(0x89, "ping") + masked(0x82, "")
	want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n" +
		"\x81\x05hello" + "\x82\x7e\x01\x2c" + long + "\x8a\x04ping" + "\x82\x00"
	for cut := range text {
		o, c, other := pair(t)
		o.process(c, []byte(text[:cut]))
		o.process(c, []byte(text[cut:]))
		if got := read(other); got != want {
			t.Fatalf("split at %d: %q, want %q", cut, got, want)
		}
	}
}

func TestWebSocketEnds(t *testing.T) {
	for text, want := range map[string]string{
		handshake + masked(0x88, "\x03\xe8"):                "\x88\x02\x03\xe8",
		handshake + "\x82\x05hello":                         "", // without a mask
		handshake + "\x82\xff\x00\x00":                      "", // longer than anything that is sent
		handshake + "\x82\xfe\xff\xff":                      "",
		strings.Replace(handshake, "Upgrade: W", "X: w", 1): "HTTP/1.1 400",
	} {
		o, c, other := pair(t)
		o.process(c, []byte(text))
		_, got, _ := strings.Cut(read(other), "=\r\n\r\n")
		if c.fd >= 0 || want == "" && got != "" || !strings.HasPrefix(got, want) && c.upgraded {
			t.Errorf("%q: %q, want %q; open: %v", text, got, want, c.fd >= 0)
		}
	}
}

func TestEchoAllocatesNothing(t *testing.T) {
	o, c, other := pair(t)
	c.kind = Echo
	message := load.Pattern(100)
	got := make([]byte, 200)
	if n := testing.AllocsPerRun(100, func() {
		o.process(c, message)
		if n, _ := unix.Read(other, got); n != len(message) {
			t.Fatal(n)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
