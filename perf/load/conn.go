package load

import (
	"bytes"
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// responseBytes is the most that an answer may have, head and body; and what is read of a stream at once.
const responseBytes = 8 << 10

// timerIndex stands for the timer where events name a connection.
const timerIndex = -1

type state uint8

const (
	closed     state = iota
	connecting       // the handshake runs
	idle             // in the ring of free connections, or soon
	busy             // a request is without an answer, or a stream runs
)

// conn is one connection.
type conn struct {
	index, generation int32
	fd                int // -1: none
	state             state
	queued            bool          // its index is in the ring of free connections, whatever its state
	due               time.Duration // when its request was to be sent
	in                []byte        // what has come of the response
	stream            *stream       // nil: it carries requests
}

func (c *conn) close() {
	if c.fd >= 0 {
		_ = unix.Close(c.fd) // takes it out of the epoll set as well
	}
	c.fd, c.state = -1, closed
	c.generation++
	c.in = c.in[:0]
}

// open begins to connect. If that fails, it is tried again after a pause.
func (g *Generator) open(c *conn) {
	if c.stream != nil {
		*c.stream = stream{last: -1}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		g.failed(c, err)
		return
	}
	c.fd, c.state = fd, connecting
	err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if e := unix.Connect(fd, &g.addr); err == nil && e != unix.EINPROGRESS {
		err = e
	}
	if err == nil {
		err = g.watch(c, unix.EPOLL_CTL_ADD, unix.EPOLLOUT)
	}
	if err != nil {
		g.failed(c, err)
	}
}

func (g *Generator) watch(c *conn, op int, events uint32) error {
	event := unix.EpollEvent{Events: events, Fd: c.index, Pad: c.generation}
	return unix.EpollCtl(g.epoll, op, c.fd, &event)
}

// failed counts a connection that could not be had.
func (g *Generator) failed(c *conn, err error) {
	c.close()
	g.tally.Errors.Connect++
	g.tally.sample("connect: %v", err)
	g.pause(c)
}

// pause has a closed connection opened again a little later.
func (g *Generator) pause(c *conn) {
	if g.down == 0 {
		g.retryAt = g.now() + retry
	}
	g.down++
	c.state = closed
}

func (g *Generator) reopenDown() {
	g.down = 0
	for i := range g.conns {
		if c := &g.conns[i]; c.state == closed {
			g.open(c)
		}
	}
}

func (g *Generator) reopen(c *conn) {
	c.close()
	g.open(c)
}

// handle does what an event of a connection asks for.
func (g *Generator) handle(c *conn, events uint32) {
	if c.state == connecting {
		g.connected(c)
		return
	}
	n, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
	case err != nil:
		g.ended(c, err)
	case n == 0:
		g.ended(c, errors.New("closed by the peer"))
	default:
		c.in = c.in[:len(c.in)+n]
		if c.stream != nil {
			g.streamed(c)
		} else {
			g.received(c)
		}
	}
}

// connected is called when the handshake has ended, one way or the other.
func (g *Generator) connected(c *conn) {
	code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	if err == nil {
		err = g.watch(c, unix.EPOLL_CTL_MOD, unix.EPOLLIN|unix.EPOLLRDHUP)
	}
	if err != nil {
		g.failed(c, err)
		return
	}
	if c.stream != nil {
		g.ask(c)
		return
	}
	g.release(c)
}

// ask sends a request. It is so small that a free connection takes it whole.
func (g *Generator) ask(c *conn) {
	c.state = busy
	text := g.asks[0]
	if c.stream != nil {
		text = g.asks[1]
	}
	if n, err := unix.Write(c.fd, text); err != nil {
		g.ended(c, err)
	} else if n < len(text) {
		g.ended(c, errors.New("the request was not taken whole"))
	}
}

// received looks at what has come of an answer.
func (g *Generator) received(c *conn) {
	if c.state != busy {
		g.tally.Errors.Framing++
		g.tally.sample("bytes that nobody asked for: %.80q", c.in)
		g.reopen(c)
		return
	}
	h, whole, err := parseHead(c.in)
	size := h.size + h.length
	switch {
	case err != nil || whole && (h.length < 0 || size > cap(c.in)) || len(c.in) == cap(c.in) && !whole ||
		whole && len(c.in) > size:
		g.tally.Errors.Framing++
		g.tally.sample("an answer that cannot be read: %.80q", c.in)
		g.inFlight--
		g.reopen(c)
	case whole && len(c.in) == size:
		g.answered(c, &h)
	}
}

// answered counts a whole answer, and frees its connection.
func (g *Generator) answered(c *conn, h *head) {
	t, body := g.tally, c.in[h.size:]
	g.inFlight--
	service := -1
	for i, want := range g.bodies {
		if bytes.Equal(body, want) {
			service = i
		}
	}
	switch {
	case h.status != 200:
		t.Errors.Status++
		t.sample("status %d: %.80q", h.status, body)
	case service < 0:
		t.Errors.Body++
		t.sample("body %.80q", body)
	case !g.allowed[service]:
		t.Errors.Service++
		t.sample("answered by service %s", g.cfg.Services[service])
	default:
		t.Answered++
		t.answers[service]++
		t.latency.Record(g.now() - c.due)
	}
	if h.closing {
		t.Reconnects++
		g.reopen(c)
		return
	}
	c.in = c.in[:0]
	g.release(c)
}

// streamed looks at what has come of a stream.
func (g *Generator) streamed(c *conn) {
	s, body := c.stream, c.in
	if !s.begun {
		h, whole, err := parseHead(c.in)
		switch {
		case err != nil, !whole && len(c.in) == cap(c.in):
			g.ended(c, errFraming)
			return
		case !whole:
			return
		case h.status != 200 || h.length != -1:
			g.ended(c, errors.New("not a stream: "+string(c.in[:min(len(c.in), 80)])))
			return
		}
		s.begun, body = true, c.in[h.size:]
	}
	pieces, err := s.feed(body)
	c.in = c.in[:0]
	if err != nil {
		g.ended(c, err)
		return
	}
	if pieces > 0 {
		now := g.now()
		if s.last >= 0 {
			g.tally.Gap = max(g.tally.Gap, now-s.last)
		}
		s.last = now
		g.tally.Pieces += pieces
	}
}

// ended counts a connection that the peer ended, or that is of no use any more, and opens it again.
func (g *Generator) ended(c *conn, why error) {
	t := g.tally
	switch {
	case c.stream != nil:
		t.Dropped++
		t.sample("stream dropped after %d pieces: %v", c.stream.next, why)
		c.close()
		g.pause(c)
		return
	case c.state == busy:
		t.Errors.Lost++
		t.sample("connection lost with %d bytes of an answer: %v", len(c.in), why)
		g.inFlight--
	default:
		t.Reconnects++
	}
	g.reopen(c)
}

// release puts a connection into the ring of free ones.
func (g *Generator) release(c *conn) {
	c.state = idle
	if g.free.count == 0 {
		g.freeSince = g.now()
	}
	if !c.queued {
		c.queued = true
		g.free.put(c.index)
	}
}

// takeFree takes the connection that has been free for longest; nil when there is none.
func (g *Generator) takeFree() *conn {
	for g.free.count > 0 {
		c := &g.conns[g.free.take()]
		c.queued = false
		if c.state == idle {
			return c
		}
	}
	return nil
}

// ring is a queue of connections.
type ring struct {
	slots       []int32
	head, count int
}

func (r *ring) put(i int32) {
	r.slots[(r.head+r.count)%len(r.slots)] = i
	r.count++
}

func (r *ring) take() int32 {
	i := r.slots[r.head]
	r.head = (r.head + 1) % len(r.slots)
	r.count--
	return i
}
