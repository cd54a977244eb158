package proxy

import (
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/tls/handshake"
)

// mishap is what a connection has failed with, for the log.
type mishap struct {
	errno int32            // what the kernel said
	shake handshake.Reason // why there is no TLS with the upstream

	said    [handshake.MaxDetail]byte // in words what became of a connection over TLS
	saidLen uint8
}

// mishapOf is where it is noted what l fails with, on which an exchange or a tunnel must be running.
func (w *Worker) mishapOf(l *link) *mishap {
	if l.tunnel != 0 {
		return &w.tunnels.At(l.tunnel).mishap
	}
	return &w.exs.At(l.ex).mishap
}

// say keeps in words what became of a connection over TLS. They are two parts of one text.
func (m *mishap) say(what, name string) {
	n := copy(m.said[:], what)
	m.saidLen = uint8(n + copy(m.said[n:], name))
}

// forgive clears what a connection has failed with, as what it was for goes on with another one.
func (m *mishap) forgive() { m.errno, m.shake, m.saidLen = 0, handshake.OK, 0 }

// appendTo says what happened.
func (m *mishap) appendTo(b []byte) []byte {
	switch {
	case m.saidLen > 0:
		return append(b, m.said[:m.saidLen]...)
	case m.shake != handshake.OK && m.errno == 0:
		return append(b, m.shake.String()...)
	case m.errno != 0:
		return append(b, unix.ErrnoName(unix.Errno(m.errno))...)
	}
	return b
}
