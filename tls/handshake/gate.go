package handshake

import (
	"errors"
	"io"
	"time"

	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/certs"
)

const (
	headerLen = 5
	randomAt  = 4 + 2 // where a hello has its random: behind type, length and version
	randomEnd = randomAt + 32

	// maxWritten bounds what a handshake may write: a chain of certificates and what is around it.
	maxWritten = 128 << 10
	// keptWritten is what a goroutine keeps of that memory.
	keptWritten = 8 << 10

	typeAlert     = 21
	typeHandshake = 22
)

var errWritten = errors.New("handshake writes more than is allowed: is the certificate chain that long?")

// gate is the connection that crypto/tls sees. It gives out one record at a time, so that nothing behind the last one
// of the handshake is taken; it keeps what was written, for the keys' sequence number; and it lets what was written go
// when crypto/tls waits for an answer, so that a flight is one piece of news.
type gate struct {
	nowhere
	c       *Conversation
	hello   []byte // what is left of c.hello
	relayed bool   // the handshake is over, and what is written need not be kept

	// Reading.
	header  [headerLen]byte
	have    int // bytes of the header
	rest    int // bytes of the record that were not given out
	lastLen int // length of the last whole record's content
	opening [randomEnd]byte
	opened  int // bytes of the first handshake message that are in opening

	// Writing.
	written []byte
	unsaid  bool        // there is output that is no news yet
	said    alert.Alert // the last alert that could be read on its way out

	cut     bool // the peer's stream has ended
	secrets secrets

	// What the server found for the name.
	policy int
	entry  certs.Entry
	found  bool
	lookup time.Duration // what that took
}

// begin makes g the gate of another conversation.
func (g *gate) begin(c *Conversation) {
	written := g.written[:0]
	if cap(written) > keptWritten {
		written = nil
	}
	g.secrets.wipe()
	*g = gate{c: c, hello: c.hello, written: written}
}

// take reads from the stream what has come of it, at least one byte, and waits for that.
func (g *gate) take(p []byte) (int, error) {
	if len(g.hello) > 0 {
		n := copy(p, g.hello)
		g.hello = g.hello[n:]
		return n, nil
	}
	c := g.c
	if c.arrived() == 0 {
		if refused := c.hungry.Load() && c.hungry.Swap(false); refused || g.unsaid {
			g.unsaid = false
			c.post(0)
		}
		c.reader.wait(func() bool { return c.arrived() > 0 || c.eof.Load() || c.cancelled.Load() })
	}
	if c.cancelled.Load() {
		return 0, errCancelled
	}
	r := c.in.Load()
	if r == nil || r.len() == 0 {
		g.cut = true
		return 0, io.EOF
	}
	n := r.get(p)
	if c.hungry.Load() && c.hungry.Swap(false) {
		c.post(0)
	}
	return n, nil
}

// Read gives out what is left of a record's header, or else of its content.
func (g *gate) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if g.have < headerLen {
		n, err := g.take(p[:min(len(p), headerLen-g.have)])
		g.have += copy(g.header[g.have:], p[:n])
		if g.have == headerLen {
			g.rest = int(g.header[3])<<8 | int(g.header[4])
			g.lastLen = g.rest
			g.next()
		}
		return n, err
	}
	n, err := g.take(p[:min(len(p), g.rest)])
	g.rest -= n
	if g.header[0] == typeHandshake {
		g.opened += copy(g.opening[g.opened:], p[:n])
	}
	g.next()
	return n, err
}

// next goes on to another record when this one is whole.
func (g *gate) next() {
	if g.have == headerLen && g.rest == 0 {
		g.have = 0
	}
}

// between reports whether all that was read is whole records.
func (g *gate) between() bool { return g.have == 0 }

// Write takes records. Only when there is no room for them it waits.
func (g *gate) Write(p []byte) (int, error) {
	c := g.c
	if c.cancelled.Load() {
		return 0, errCancelled
	}
	if !g.relayed {
		if len(g.written)+len(p) > maxWritten {
			return 0, errWritten
		}
		g.written = append(g.written, p...)
		if len(p) == alert.RecordLen && p[0] == typeAlert {
			g.said = alert.Alert(p[alert.RecordLen-1])
		}
	}
	took := c.out.put(p)
	for took < len(p) {
		c.post(0)
		c.room.wait(func() bool { return len(c.out.space()) > 0 || c.cancelled.Load() })
		if c.cancelled.Load() {
			return took, errCancelled
		}
		took += c.out.put(p[took:])
	}
	if g.relayed {
		c.post(0)
	} else {
		g.unsaid = true
	}
	return took, nil
}

// arrived is how many bytes of ciphertext wait.
func (c *Conversation) arrived() int {
	if r := c.in.Load(); r != nil {
		return r.len()
	}
	return 0
}

// leftover is what was fed and not read. There is no reader any more.
func (c *Conversation) leftover() []byte {
	r := c.in.Load()
	if r == nil || r.len() == 0 {
		return nil
	}
	if front := r.front(); len(front) == r.len() {
		return front
	}
	b := make([]byte, r.len())
	r.get(b)
	return b
}
