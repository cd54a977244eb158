package e2e

import (
	"bytes"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// webSocketKey is the key of every handshake that is made by hand, webSocketAccept what belongs to it.
const (
	webSocketKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	webSocketAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

// WebSocketRequest is a handshake (RFC 6455, section 4.1).
func WebSocketRequest(target, host string, fields ...string) string {
	return Request("GET", target, host, "", append([]string{"Connection: keep-alive, Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Key: " + webSocketKey, "Sec-WebSocket-Version: 13"}, fields...)...)
}

// acceptOf is the answer to a key (RFC 6455, section 4.2.2).
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// frame is one frame of WebSocket (RFC 6455, section 5.2), sound or not.
type frame struct {
	flags   byte // FIN and the three bits that are for extensions
	op      byte
	mask    bool
	payload []byte
	long    bool // its length takes eight bytes, however small it is
}

const fin, rsv1, rsv2, rsv3 = 0x80, 0x40, 0x20, 0x10

func (f frame) append(b []byte, rng *rand.Rand) []byte {
	b = append(b, f.flags|f.op)
	masked := byte(0)
	if f.mask {
		masked = 0x80
	}
	switch n := len(f.payload); {
	case f.long || n > 0xffff:
		b = binary.BigEndian.AppendUint64(append(b, masked|127), uint64(n))
	case n > 125:
		b = binary.BigEndian.AppendUint16(append(b, masked|126), uint16(n))
	default:
		b = append(b, masked|byte(n))
	}
	if !f.mask {
		return append(b, f.payload...)
	}
	key := binary.BigEndian.AppendUint32(nil, rng.Uint32())
	b = append(b, key...)
	for i, c := range f.payload {
		b = append(b, c^key[i%4])
	}
	return b
}

// frames are of all kinds that there are, and of some that there should not be.
func frames(mask bool, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	noise := make([]byte, 1<<20)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	text := []byte(strings.Repeat("Grüße, κόσμε! ", 300))
	list := []frame{
		{fin, 1, mask, []byte("Hello"), false},
		{0, 1, mask, text[:1000], false}, // in fragments, with control frames in between
		{fin, 9, mask, []byte("ping"), false},
		{0, 0, mask, nil, false},
		{fin, 10, mask, []byte("pong"), false},
		{fin, 0, mask, text[1000:], false},
		{fin, 2, mask, noise, false},
		{fin, 2, mask, noise[:70_000], false},
		{fin | rsv1, 1, mask, []byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), false}, // compressed (RFC 7692)
		{fin | rsv2 | rsv3, 11, mask, noise[:125], false},
		{fin, 1, mask, []byte("\xff\xfe\xc0\x80"), false}, // not UTF-8
		{fin, 9, mask, noise[:200], false},                // too long for a control frame
		{fin, 2, mask, noise[:3], true},
	}
	for at := 0; at < len(noise); at += 4096 {
		list = append(list, frame{0, byte(2 * min(1, max(0, 1-at))), mask, noise[at : at+4096], false})
	}
	list = append(list, frame{fin, 0, mask, nil, false},
		frame{fin, 8, mask, append([]byte{3, 232}, "bye"...), false}, frame{fin, 1, mask, []byte("after it"), false})
	var b []byte
	for _, f := range list {
		b = f.append(b, rng)
	}
	return b
}

// webSocketFronts are ways through one proxy to the same upstream: with TLS on neither side, on one, or on both.
type webSocketFronts struct {
	*Proxy
	identity *Identity // of its listener over TLS
	fronts   []webSocketFront
}

// webSocketFront is one of them.
type webSocketFront struct {
	name, addr, path string
	tls              *tls.Config // nil: none
}

// url is that of its root, by a scheme that has an s for TLS.
func (f *webSocketFront) url(scheme string) string {
	if f.tls != nil {
		scheme += "s"
	}
	return fmt.Sprintf("%s://%s%s", scheme, f.addr, f.path)
}

// dial connects to it.
func (f *webSocketFront) dial(t testing.TB) *Wire {
	if f.tls == nil {
		return Raw(t, f.addr)
	}
	return Secure(t, f.addr, f.tls)
}

// openFronts starts a proxy before a server with that handler. more is added to the configuration.
func openFronts(t *testing.T, mode Mode, h http.Handler, more string) *webSocketFronts {
	t.Helper()
	plain, secure := httptest.NewServer(h), httptest.NewUnstartedServer(h)
	t.Cleanup(plain.Close)
	ca := NewAuthority(t, "ca")
	id := ca.Issue([]string{"127.0.0.1"})
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{id.TLS}}
	secure.Config.ErrorLog = nobodyReads
	secure.StartTLS()
	t.Cleanup(secure.Close)
	ws, wss := FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
	config := Config(plain.URL, ws) + SecureListener("s", wss, id) +
		fmt.Sprintf("[routes.tls]\npath_prefix = \"/tls/\"\nservice = \"tls\"\n[services.tls]\nendpoints = [%q]\n"+
			"[services.tls.tls]\nca = [%q]\n", secure.URL, ca.File) + more
	client := &tls.Config{RootCAs: ca.Pool, ServerName: "127.0.0.1"}
	f := &webSocketFronts{Proxy: mode.Start(t, config), identity: id}
	f.fronts = []webSocketFront{
		{"plain", ws, "/", nil}, {"client over TLS", wss, "/", client},
		{"upstream over TLS", ws, "/tls/", nil}, {"both over TLS", wss, "/tls/", client},
	}
	return f
}

// hijacked is an upstream that switches, and gives what comes then to f.
func hijacked(t testing.TB, f func(w *Wire)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		accept := acceptOf(r.Header.Get("Sec-WebSocket-Key"))
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		wire := &Wire{t: quiet{t}, conn: conn, in: rw.Reader}
		defer stopQuietly()
		wire.Send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
			"Sec-WebSocket-Accept: " + accept + "\r\n\r\n")
		f(wire)
	})
}

// sameBytes says where two streams differ.
func sameBytes(got, want []byte) string {
	if bytes.Equal(got, want) {
		return ""
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	return fmt.Sprintf("%d bytes, want %d, different from byte %d on", len(got), len(want), at)
}

// echoFrames sends each frame back without its mask, until it has sent a Close back.
func echoFrames(w *Wire) {
	for {
		w.guard()
		head := w.read(2)
		n := uint64(head[1] & 0x7f)
		switch n {
		case 126:
			n = uint64(binary.BigEndian.Uint16(w.read(2)))
		case 127:
			n = binary.BigEndian.Uint64(w.read(8))
		}
		key := w.read(4)
		payload := w.read(int(n))
		for i := range payload {
			payload[i] ^= key[i%4]
		}
		f := frame{flags: head[0] & 0xf0, op: head[0] & 0x0f, payload: payload}
		w.Send(string(f.append(nil, nil)))
		if f.op == 8 {
			return
		}
	}
}

// read reads so many bytes.
func (w *Wire) read(n int) []byte {
	w.t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(w.in, b); err != nil {
		w.t.Fatalf("read: %v", err)
	}
	return b
}
