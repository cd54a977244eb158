package load

import (
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"net"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/tls/record"
)

// shake is the TLS handshake of a connection. crypto/tls blocks where it waits for the peer, so it has a coroutine,
// which gives the thread back as long as the socket has nothing for it. A coroutine may only be resumed by a goroutine
// that is locked to its thread in the same way as the one that began it: none outlives New or Run.
//
// It is also the connection that crypto/tls sees. Only the methods it has itself are used.
type shake struct {
	net.Conn
	g       *Generator
	c       *conn
	resume  func() (struct{}, bool) // runs the coroutine until it pauses or ends
	abandon func()                  // ends it
	pause   func(struct{}) bool     // gives the thread back; false: it was abandoned

	read           []byte // received, and not given to crypto/tls
	rest           int    // of them those that belong to a record of which it has got some
	written        []byte // everything that was sent
	client, server []byte // traffic secrets
	keys           *record.Keys
	err            error // why it failed
}

const (
	recordHead = 5 // of a record: type, version, length
	// firstRead is room for what servers answer to a ClientHello.
	firstRead = 4 << 10
)

var errAbandoned = errors.New("abandoned")

// encrypt begins the handshake of a connection.
func (g *Generator) encrypt(c *conn) {
	s := &shake{g: g, c: c, read: make([]byte, 0, firstRead)}
	s.resume, s.abandon = iter.Pull(s.run)
	c.state, c.shake = shaking, s
	g.shake(c)
}

// shake goes on with a handshake as far as that goes. When it is over, the connection is used.
func (g *Generator) shake(c *conn) {
	s := c.shake
	g.secure.running = s
	_, paused := s.resume()
	g.secure.running = nil
	if paused {
		return
	}
	g.clock = g.now()
	if s.err != nil {
		g.ended(c, fmt.Errorf("handshake: %w", s.err))
		return
	}
	if c.layer == nil {
		c.layer = new(record.Layer)
	}
	c.layer.Start(s.keys)
	c.shake, c.held = nil, append(c.held, s.read...)
	g.ready(c)
}

// abandonAll gives up the handshakes that run. Their connections are opened again.
func (g *Generator) abandonAll() {
	g.schedule = schedule{} // so that nothing is asked for
	for i := range g.conns {
		if c := &g.conns[i]; c.shake != nil {
			g.reopen(c)
		}
	}
}

// run is the coroutine.
func (s *shake) run(pause func(struct{}) bool) {
	s.pause = pause
	t := tls.Client(s, s.g.secure.config)
	if s.err = t.Handshake(); s.err != nil {
		return
	}
	state := t.ConnectionState()
	if s.err = s.g.secure.verify(&state); s.err == nil {
		s.keys, s.err = record.NewKeys13(state.CipherSuite, true, s.client, s.server, s.written)
	}
}

// Read gives out one record after the other, so that nothing behind the last one of the handshake is taken.
func (s *shake) Read(p []byte) (int, error) {
	for s.rest == 0 {
		if b := s.read; len(b) >= recordHead {
			if size := recordHead + int(b[3])<<8 + int(b[4]); len(b) >= size {
				s.rest = size
				break
			}
		}
		if err := s.receive(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.read[:s.rest])
	s.read, s.rest = s.read[n:], s.rest-n
	return n, nil
}

// receive waits for what comes next.
func (s *shake) receive() error {
	for {
		n, err := unix.Read(s.c.fd, s.g.in)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if !s.pause(struct{}{}) {
				return errAbandoned
			}
		case err != nil:
			return err
		case n == 0:
			return errClosed
		default:
			s.read = append(s.read, s.g.in[:n]...)
			return nil
		}
	}
}

// Write sends all of p.
func (s *shake) Write(p []byte) (int, error) {
	for sent := 0; sent < len(p); {
		n, err := unix.Write(s.c.fd, p[sent:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if err := s.g.awaitRoom(s.c); err != nil {
				return sent, err
			}
			if !s.pause(struct{}{}) {
				return sent, errAbandoned
			}
		case err != nil:
			return sent, err
		default:
			sent += n
		}
	}
	s.written = append(s.written, p...)
	return len(p), nil
}
