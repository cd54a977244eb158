package sim

import (
	"errors"
	"io"
	"net/netip"

	"golang.org/x/sys/unix"
)

// ErrWait says that nothing can be read or written just now.
var ErrWait = errors.New("not now")

// stream is one direction of a connection.
type stream struct {
	data   []byte
	window int  // most bytes held
	ended  bool // nothing will be added
}

func (s *stream) room() int { return max(0, s.window-len(s.data)) }

// take removes the first n bytes.
func (s *stream) take(n int) []byte {
	p := s.data[:n]
	s.data = s.data[n:]
	return p
}

// Peer is the other end of one of the backend's connections. Nothing blocks, and what is done to it the backend
// sees in a later Poll.
type Peer struct {
	so     *socket
	addr   netip.AddrPort
	in     stream // from the backend
	out    stream // to the backend
	closed bool   // by us
	broken bool   // a reset went over the connection, in either direction
}

// Addr is the peer's own address, as the backend sees it.
func (p *Peer) Addr() netip.AddrPort { return p.addr }

// Write writes as much as the connection takes. ErrWait when that is nothing; EPIPE when the stream is over.
func (p *Peer) Write(b []byte) (int, error) {
	switch {
	case p.broken:
		return 0, unix.ECONNRESET
	case p.closed, p.out.ended:
		return 0, unix.EPIPE
	case p.so.closed: // the backend's end is gone: it answers with a reset
		p.broken = true
		return len(b), nil
	}
	n := min(len(b), p.out.room())
	if n == 0 && len(b) > 0 {
		return 0, ErrWait
	}
	p.out.data = append(p.out.data, b[:n]...)
	return n, nil
}

// Read reads what has arrived. ErrWait when that is nothing, io.EOF at the end, ECONNRESET after a reset.
func (p *Peer) Read(b []byte) (int, error) {
	switch {
	case p.closed:
		return 0, unix.EBADF
	case len(p.in.data) > 0:
		return copy(b, p.in.take(min(len(b), len(p.in.data)))), nil
	case p.broken:
		return 0, unix.ECONNRESET
	case p.in.ended:
		return 0, io.EOF
	}
	return 0, ErrWait
}

// Arrived takes all that has arrived.
func (p *Peer) Arrived() []byte { return p.in.take(len(p.in.data)) }

// Ended reports whether everything was read and nothing more will come; reset, whether by a reset.
func (p *Peer) Ended() (ended, reset bool) {
	return len(p.in.data) == 0 && (p.in.ended || p.broken), p.broken
}

// SetWindow sets how many unread bytes the peer lets arrive; 0 stops the backend's sends.
func (p *Peer) SetWindow(n int) { p.in.window = n }

// CloseWrite ends the stream to the backend.
func (p *Peer) CloseWrite() { p.out.ended = true }

// Close closes the peer's end. With unread data the backend sees a reset, else the end of the stream, and a reset when
// it sends afterwards.
func (p *Peer) Close() {
	if len(p.in.data) > 0 {
		p.Reset()
		return
	}
	p.closed, p.out.ended = true, true
}

// Reset breaks the connection. Of the data that the backend has not received some is lost, from a byte on that is drawn
// by chance.
func (p *Peer) Reset() {
	p.closed = true
	p.broke()
}

// broke lets a reset pass over the connection. What the peer has received it may still read.
func (p *Peer) broke() {
	p.broken = true
	p.out.data = p.out.data[:p.so.w.rng.IntN(len(p.out.data)+1)]
}
