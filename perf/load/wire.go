package load

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Wire is what is spoken on the connections of a load.
type Wire string

const (
	HTTP Wire = "" // requests and answers
	// Echo is messages on TCP connections, which the upstream sends back as they are.
	Echo Wire = "echo"
	// WebSocket is the same in frames (RFC 6455), after a handshake on each connection.
	WebSocket Wire = "websocket"
	// Datagrams is the same by UDP, where some may get lost.
	Datagrams Wire = "datagrams"
	// Bulk is streams, on which the upstream sends as much as they take.
	Bulk Wire = "bulk"
)

// StampBytes is what a message begins with: a number that no other one of the same loader has, so that one which comes
// back on another connection, or twice, is found.
const StampBytes = 8

// mostMessage is the most bytes of a message: fewer than any socket takes at once, and than a datagram has at most.
const mostMessage = 32 << 10

// checkWire refuses what cannot be had together.
func (c *Config) checkWire() error {
	switch c.Wire {
	case HTTP:
		if c.Message != 0 || c.Duplex {
			return fmt.Errorf("load: found messages of %d bytes with HTTP, expected a wire such as %q", c.Message, Echo)
		}
		return nil
	case Bulk:
	case Echo, WebSocket, Datagrams:
		if c.Message < StampBytes || c.Message > mostMessage {
			return fmt.Errorf("load: found messages of %d bytes, expected %d to %d", c.Message, StampBytes, mostMessage)
		}
	default:
		return fmt.Errorf("load: found wire %q, expected one of %q", c.Wire, []Wire{Echo, WebSocket, Datagrams, Bulk})
	}
	switch {
	case c.Streams > 0 || c.Upload > 0 || c.Download > 0 || c.Pipeline > 1 || c.TLS != nil:
		return fmt.Errorf("load: found wire %q with streams, bodies, pipelining or TLS, expected it alone", c.Wire)
	case c.Wire != Echo && c.PerRequest, (c.Wire == Bulk || c.Wire == Datagrams) && c.Idle > 0:
		return fmt.Errorf("load: found wire %q with idle connections, or one for each message", c.Wire)
	}
	return nil
}

// echo is the one message of a load, as it is sent and as it must come back. Only the stamp differs.
type echo struct {
	text, back []byte
	stampText  []byte // the stamp's place in text
	stampBack  []byte
	mask       uint64 // of the stamp in text
	payload    int64
}

// Of frames (RFC 6455, section 5.2).
const (
	frameBinary = 0x82 // with FIN: the whole of a message
	frameMasked = 0x80
	frameMedium = 126 // two bytes of length follow
	frameSmall  = 125 // the greatest length that stands in its place
)

// frameMask is the masking key. A client that is no browser has no script to protect others from.
var frameMask = [4]byte{0x5a, 0xc3, 0x69, 0x1e}

func newEcho(cfg *Config) *echo {
	e := &echo{payload: int64(cfg.Message)}
	content := Pattern(cfg.Message)
	if cfg.Wire != WebSocket {
		e.text, e.back = content, bytes.Clone(content)
		e.stampText, e.stampBack = e.text, e.back
		return e
	}
	e.back = append(appendFrameHead(nil, len(content), 0), content...)
	e.text = append(appendFrameHead(nil, len(content), frameMasked), frameMask[:]...)
	at := len(e.text)
	for i, b := range content {
		e.text = append(e.text, b^frameMask[i%len(frameMask)])
	}
	e.stampText, e.stampBack = e.text[at:], e.back[at-len(frameMask):]
	e.mask = uint64(binary.LittleEndian.Uint32(frameMask[:])) * (1<<32 + 1)
	return e
}

// appendFrameHead appends the first bytes of the frame of a message of n bytes, up to where a masking key may follow.
func appendFrameHead(b []byte, n int, masked byte) []byte {
	if n <= frameSmall {
		return append(b, frameBinary, masked|byte(n))
	}
	return append(b, frameBinary, masked|frameMedium, byte(n>>8), byte(n))
}

// stamp gives the message its number.
func (e *echo) stamp(n uint64) {
	binary.LittleEndian.PutUint64(e.stampText, n^e.mask)
	binary.LittleEndian.PutUint64(e.stampBack, n)
}

// returned compares what came with what was sent.
func (g *Generator) returned(c *conn, b []byte) {
	g.echo.stamp(c.stamp)
	rest := g.echo.back[c.answer.got:]
	if len(b) > len(rest) || !bytes.Equal(b, rest[:len(b)]) {
		g.misframed(c, "not the message that was sent: %.80q", b)
		return
	}
	if c.answer.got += int64(len(b)); len(b) < len(rest) {
		return
	}
	due := c.dues[c.answered]
	t := g.tallyOf(due)
	t.Answered++
	t.Bytes += 2 * g.echo.payload
	t.latency.Record(g.clock - due)
	g.answered(c, true, false)
}
