package origin

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/perf/load"
)

const (
	// watchStream are the events of a stream: told as long as they last, so that streams take turns.
	watchStream = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP
	// pieceBytes is how much of a stream is given to a socket at once. It is a copy, as of what a server has made: what
	// is sent from a file comes in pages of its own, which a proxy that passes pages on would be paid for.
	pieceBytes = 256 << 10
)

// flow is where a connection of a Source is.
type flow struct {
	sent, received int64 // bytes of the pattern
	ordered        bool  // the first byte has come, which says whether
	compared       bool  // the others are looked at
	wrong          int64 // pieces that were not what they had to be
	ended          bool  // the peer sends no more
}

// carry does what an event of a stream asks for.
func (o *Origin) carry(c *conn, events uint32) {
	f := &c.flow
	if events&(unix.EPOLLIN|ended) != 0 && !f.ended {
		o.takeFlow(c)
	}
	if events&unix.EPOLLOUT == 0 || c.fd < 0 {
		return
	}
	if f.ended {
		o.write(c, load.AppendTotals(nil, f.sent, f.received, f.wrong), false) // there is room for so little
		if c.fd >= 0 {
			o.close(c)
		}
		return
	}
	f.sent += int64(o.write(c, o.body[f.sent%load.PatternPeriod:][:pieceBytes], false))
}

// takeFlow takes a piece of what comes.
func (o *Origin) takeFlow(c *conn) {
	f := &c.flow
	b, discard := o.in, unix.MSG_TRUNC // the kernel throws the bytes away, and tells how many they were
	switch {
	case !f.ordered:
		b, discard = b[:1], 0
	case f.compared:
		discard = 0
	}
	n, _, err := unix.Recvfrom(c.fd, b, discard)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err != nil:
		o.close(c)
	case n == 0:
		f.ended = true
		if err := o.watch(c.fd, unix.EPOLL_CTL_MOD, unix.EPOLLOUT, c.generation); err != nil {
			o.close(c)
		}
	case !f.ordered:
		f.ordered, f.compared = true, b[0] == load.UploadCompared
	default:
		if f.compared && !bytes.Equal(b[:n], o.body[f.received%load.PatternPeriod:][:n]) {
			f.wrong++
		}
		f.received += int64(n)
	}
}
