package origin

import (
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/perf/chunked"
)

const (
	// Events are told once, when something arrives, so that connections without input cost nothing. Room for output is
	// watched from when it was missing first.
	watchInput  = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	watchOutput = watchInput | unix.EPOLLOUT
	ended       = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	// headBytes is the largest head that is read.
	headBytes = 64 << 10
)

// conn is one connection, or the place of the next one with its descriptor.
type conn struct {
	fd         int // -1: closed
	generation int32
	kind       Kind   // of the service
	answer     []byte // and its body
	asker      bool   // does not count as accepted

	in       []byte // what has come, and was not looked at: a part of a head, or what came while output was blocked
	readable bool   // there may be more in the socket
	inBody   bool
	chunked  bool
	left     int64 // of a body whose length is known
	chunks   chunked.Decoder
	received int64 // of the body

	closing   bool // the connection ends with the answer to this request,
	finishing bool // which has been given

	pending       []byte // output that the socket had no room for,
	size, sent    int64  // and then bytes of the pattern, sent of which are gone
	watchesOutput bool

	streaming bool
	stream    stream
	upgraded  bool // to a WebSocket
	flow      flow
}

// reset makes c a new connection, and keeps its memory.
func (c *conn) reset(fd int, l *listener) {
	*c = conn{
		fd: fd, generation: c.generation + 1, kind: l.kind, answer: l.body,
		in: c.in[:0], pending: c.pending[:0], stream: stream{queued: c.stream.queued, next: c.stream.next},
	}
}

// blocked reports whether there is output that waits for room in the socket.
func (c *conn) blocked() bool { return len(c.pending) > 0 || c.sent < c.size }

func (o *Origin) close(c *conn) {
	_ = unix.Close(c.fd) // takes it out of the epoll set as well
	c.fd, c.streaming = -1, false
}

// handle does what an event of a connection asks for.
func (o *Origin) handle(c *conn, events uint32) {
	if c.kind == Source {
		o.carry(c, events)
		return
	}
	c.readable = c.readable || events&(unix.EPOLLIN|ended) != 0
	if c.blocked() {
		o.send(c)
		o.process(c, nil)
	}
	for c.readable && c.fd >= 0 && !c.blocked() {
		n, err := unix.Read(c.fd, o.in)
		switch {
		case err == unix.EAGAIN:
			c.readable = false
		case err == unix.EINTR:
		case err != nil || n == 0:
			o.close(c)
		default:
			c.readable = n == len(o.in) || events&ended != 0
			o.process(c, o.in[:n])
		}
	}
}

// process reads requests from what was kept and b, and answers them for as long as the socket takes the answers.
func (o *Origin) process(c *conn, b []byte) {
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		b = c.in
	}
	for len(b) > 0 && c.fd >= 0 && !c.finishing && !c.blocked() {
		used := o.next(c, b)
		if b = b[used:]; used == 0 {
			break
		}
		if len(o.out) >= outBytes {
			o.send(c)
		}
	}
	if len(o.out) > 0 {
		o.send(c)
	}
	if c.in = append(c.in[:0], b...); len(c.in) > headBytes && c.fd >= 0 && !c.blocked() {
		o.close(c)
	}
}

// next takes in the next part of a request, and answers it when it is whole. It returns how many bytes that were; 0
// when the head is not whole.
func (o *Origin) next(c *conn, b []byte) int {
	switch {
	case c.kind == Echo:
		o.out = append(o.out, b...)
		return len(b)
	case c.upgraded:
		return o.readFrame(c, b)
	case c.streaming:
		return len(b)
	case c.inBody:
		return o.readBody(c, b)
	}
	r, whole, err := parseRequest(b)
	switch {
	case err != nil:
		o.refuse(c)
		return len(b)
	case !whole:
		return 0
	}
	c.closing = r.closing
	c.inBody, c.chunked, c.left, c.received = r.chunked || r.length > 0, r.chunked, r.length, 0
	c.chunks = chunked.Decoder{}
	o.respond(c, &r)
	return r.size
}

// readBody counts the body of a request.
func (o *Origin) readBody(c *conn, b []byte) int {
	if !c.chunked {
		n := min(int64(len(b)), c.left)
		c.left -= n
		c.received += n
		if c.inBody = c.left > 0; !c.inBody {
			o.uploaded(c)
		}
		return int(n)
	}
	data, used, err := c.chunks.Next(b)
	if err != nil {
		o.refuse(c)
		return len(b)
	}
	c.received += int64(len(data))
	if c.inBody = !c.chunks.Done(); !c.inBody {
		o.uploaded(c)
	}
	return used
}
