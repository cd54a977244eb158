package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
)

// Mode is one way in which the proxy speaks TLS: an engine, and who has the records.
type Mode struct {
	Name string
	// Relayed: crypto/tls has the records, as where the shards may not. It is so in a process that keeps to FIPS 140,
	// which does without X25519 and ChaCha20 too.
	Relayed bool
	args    []string
	env     []string
}

// Modes runs test once in each mode, as a subtest of its name.
func Modes(t *testing.T, test func(t *testing.T, mode Mode)) {
	Engines(t, func(t *testing.T, engine string) {
		test(t, Mode{Name: engine, args: []string{"--engine", engine}})
	})
	t.Run("relayed", func(t *testing.T) {
		test(t, Mode{Name: "relayed", Relayed: true, env: []string{"GODEBUG=fips140=only"}})
	})
}

// Start is Start in this mode.
func (m Mode) Start(t testing.TB, config string, args ...string) *Proxy {
	t.Helper()
	p := launchProxy(t, 0, m.env, config, append(append([]string(nil), m.args...), args...))
	p.WaitOutput(ready, 1)
	if relayed := strings.Contains(p.Output(), "TLS takes a goroutine for each connection"); relayed != m.Relayed {
		t.Errorf("relayed: %v, want %v", relayed, m.Relayed)
	}
	return p
}

// SecureListener is a listener that speaks TLS with these certificates, as a part of a configuration. Keys that are put
// right behind it belong to its table "tls".
func SecureListener(name, addr string, ids ...*Identity) string {
	text := fmt.Sprintf("[listeners.%s]\naddress = %q\n[listeners.%s.tls]\ncertificates = [", name, addr, name)
	for _, id := range ids {
		text += fmt.Sprintf("{ cert = %q, key = %q }, ", id.Cert, id.Key)
	}
	return text + "]\n"
}

// Secure connects to addr and shakes hands. The connection is closed when the test ends.
func Secure(t testing.TB, addr string, config *tls.Config) *Wire {
	t.Helper()
	w, err := TrySecure(t, addr, config)
	if err != nil {
		t.Fatalf("shake hands: %v", err)
	}
	return w
}

// TrySecure is Secure for a handshake that may be refused.
func TrySecure(t testing.TB, addr string, config *tls.Config) (*Wire, error) {
	t.Helper()
	return secureOver(t, Raw(t, addr).conn, config)
}

// secureOver shakes hands over a connection.
func secureOver(t testing.TB, under net.Conn, config *tls.Config) (*Wire, error) {
	conn := tls.Client(under, config)
	w := newWire(t, conn)
	w.guard()
	if err := conn.Handshake(); err != nil {
		return nil, err
	}
	return w, nil
}

// State is what was agreed on.
func (w *Wire) State() tls.ConnectionState { return w.conn.(*tls.Conn).ConnectionState() }

// SecureClient is Client that speaks TLS as config says; every request goes to addr, whatever its URL names.
func SecureClient(t testing.TB, addr string, config *tls.Config) *http.Client {
	t.Helper()
	c := Client(t)
	tr := c.Transport.(*http.Transport)
	dial := tr.DialContext
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) { return dial(ctx, network, addr) }
	tr.TLSClientConfig = config
	return c
}

// trickle is a connection on which each byte is a segment of its own.
type trickle struct{ net.Conn }

func (c trickle) Write(p []byte) (int, error) {
	for i := range p {
		if _, err := c.Conn.Write(p[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(p), nil
}

const recordHead = 5 // type, version, length

// shredded is a connection whose first message is split over records of so many bytes each, every one of which leaves
// by itself.
type shredded struct {
	net.Conn
	size int
	done bool
}

func (c *shredded) Write(p []byte) (int, error) {
	if c.done {
		return c.Conn.Write(p)
	}
	c.done = true
	for rest := p[recordHead:]; len(rest) > 0; {
		n := min(len(rest), c.size)
		record := binary.BigEndian.AppendUint16(bytes.Clone(p[:recordHead-2]), uint16(n))
		if _, err := c.Conn.Write(append(record, rest[:n]...)); err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	return len(p), nil
}

// gathered is a connection that sends the first message at once, and what follows in one piece when it is told to.
type gathered struct {
	net.Conn
	begun, open bool
	later       []byte
}

func (c *gathered) Write(p []byte) (int, error) {
	if c.open || !c.begun {
		c.begun = true
		return c.Conn.Write(p)
	}
	c.later = append(c.later, p...)
	return len(p), nil
}

// Release sends what has been gathered.
func (c *gathered) Release() error {
	c.open = true
	_, err := c.Conn.Write(c.later)
	return err
}

// heard is a connection that knows which record came last.
type heard struct {
	net.Conn
	rest   []byte // the beginning of a head
	within int    // bytes of the record that are still to come
	kind   byte
	length int
}

func (c *heard) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for b := p[:n]; len(b) > 0; {
		if skip := min(c.within, len(b)); skip > 0 {
			c.within, b = c.within-skip, b[skip:]
			continue
		}
		c.rest, b = append(c.rest, b[0]), b[1:]
		if len(c.rest) == recordHead {
			c.kind, c.length = c.rest[0], int(binary.BigEndian.Uint16(c.rest[3:]))
			c.within, c.rest = c.length, c.rest[:0]
		}
	}
	return n, err
}

// Announced reports whether the last record was a whole one that holds an alert, by its type or, where that is
// encrypted, by its length: close_notify is what ends a stream that is not cut off.
func (c *heard) Announced() bool {
	const alert, data, sealedAlert = 21, 23, 2 + 1 + 16
	return c.within == 0 && len(c.rest) == 0 && (c.kind == alert || c.kind == data && c.length == sealedAlert)
}

// nobodyReads is where servers that are to be refused complain of it.
var nobodyReads = log.New(io.Discard, "", 0)
