package load

import (
	"errors"

	"golang.org/x/sys/unix"
)

// readBytes is how much is read at once.
const readBytes = 256 << 10

// headBytes is the largest head of an answer.
const headBytes = 16 << 10

var errClosed = errors.New("closed by the peer")

// handle does what an event of a connection asks for.
func (g *Generator) handle(c *conn, events uint32) {
	generation := c.generation
	c.ending = c.ending || events&hangup != 0
	switch {
	case c.state == connecting:
		g.clock = g.now()
		g.connected(c)
	case c.state == shaking:
		if g.shake(c); !c.ending {
			return // it has read what there was
		}
	case events&unix.EPOLLOUT != 0 && c.unsent():
		g.send(c)
	}
	if events&(unix.EPOLLIN|hangup) != 0 && c.generation == generation && c.state != shaking {
		g.receive(c)
	}
}

// receive reads what there is. It reports whether the connection goes on.
func (g *Generator) receive(c *conn) bool {
	for generation := c.generation; ; {
		held := copy(g.in, c.held)
		n, err := unix.Read(c.fd, g.in[held:])
		if err == unix.EINTR {
			continue
		}
		g.clock = g.now()
		switch {
		case err == unix.EAGAIN:
			return true
		case err == nil && n == 0:
			err = errClosed
		}
		if err != nil {
			g.ended(c, err)
			return false
		}
		g.arrived(c, g.in[:held+n])
		if c.generation != generation {
			return false
		}
		if n < len(g.in)-held && !c.ending {
			return true // what arrives now has an event
		}
	}
}

// arrived takes in what was read.
func (g *Generator) arrived(c *conn, b []byte) {
	switch {
	case c.role == halfOpener: // it may be told why it is closed
		return
	case g.secure == nil:
		g.process(c, b)
		return
	}
	generation := c.generation
	c.held = c.held[:0]
	plain, err := c.openRecords(b)
	if len(plain) > 0 {
		g.process(c, plain)
	}
	if err != nil && c.generation == generation {
		g.ended(c, err)
	}
}

// process takes in plain text.
func (g *Generator) process(c *conn, b []byte) {
	switch {
	case c.role == streamer:
		g.streamed(c, b)
		return
	case c.state == upgrading:
		g.upgraded(c, b)
		return
	case c.waiting() == 0:
		g.misframed(c, "bytes that nobody asked for: %.80q", b)
		return
	case g.echo != nil:
		g.returned(c, b)
		return
	}
	for generation := c.generation; len(b) > 0 && c.generation == generation; {
		if !c.answer.inBody {
			used, whole, err := g.readHead(c, b)
			switch {
			case err != nil:
				g.misframed(c, "an answer that cannot be read: %.80q", b)
				return
			case !whole:
				return
			}
			b = b[used:]
		} else {
			used, err := g.readBody(&c.answer, b)
			if err != nil {
				g.misframed(c, "a body that cannot be read: %.80q", b)
				return
			}
			b = b[used:]
		}
		if c.answer.whole() {
			g.complete(c, b)
		}
	}
}

// readHead takes in a head, or the next part of one. It returns how much of b that was.
func (g *Generator) readHead(c *conn, b []byte) (used int, whole bool, err error) {
	text, had := b, len(c.partial)
	if had > 0 {
		c.partial = append(c.partial, b[:min(len(b), headBytes)]...)
		text = c.partial
	}
	h, whole, err := g.heads.parse(text)
	switch {
	case err != nil || !whole && len(text) >= headBytes:
		return 0, false, errFraming
	case !whole && had == 0:
		c.partial = append(c.partial, b...)
		return len(b), false, nil
	case !whole:
		return len(b), false, nil
	}
	c.partial = c.partial[:0]
	if h.status >= 200 { // those below announce the answer
		c.answer.begin(h, g.contents.all())
	}
	return h.size - had, true, nil
}

// readBody takes in the next part of a body, and compares it with what must come. It returns how much of b that was.
func (g *Generator) readBody(a *answer, b []byte) (used int, err error) {
	part := b
	if a.head.length >= 0 {
		part = b[:min(int64(len(b)), a.head.length-a.got)]
		used = len(part)
	} else if part, used, err = a.chunks.Next(b); err != nil {
		return 0, err
	}
	if a.head.status == 200 && a.matches != 0 {
		if a.matches = g.contents.match(a.matches, a.got, part); a.matches == 0 {
			g.tallyOf(g.clock).sample("another body than expected: %.80q", part)
		}
	}
	a.got += int64(len(part))
	return used, nil
}

// complete counts a whole answer. When it was the last of its connection, that is freed; then nothing may follow, and
// rest is empty.
func (g *Generator) complete(c *conn, rest []byte) {
	if c.waiting() == 1 && len(rest) > 0 {
		g.misframed(c, "bytes behind the answer: %.80q", rest)
		return
	}
	closing := c.answer.head.closing
	right := g.judge(&c.answer, c)
	g.answered(c, right, closing)
}

// answered goes on after an answer, the right one or another.
func (g *Generator) answered(c *conn, right, closing bool) {
	c.answer = answer{}
	c.answered++
	if c.role == idler {
		g.rest(c, right, closing)
		return
	}
	g.inFlight--
	switch {
	case c.waiting() > 0 && !closing:
	case c.waiting() > 0:
		g.ended(c, errClosed)
	case g.cfg.PerRequest:
		g.reopen(c)
	case closing || c.ending || c.unsent():
		g.tallyOf(g.clock).Reconnects++
		g.reopen(c)
	default:
		g.release(c)
	}
}

// misframed counts the requests of a connection on which the limits of messages were lost, and gives it up.
func (g *Generator) misframed(c *conn, format string, b []byte) {
	t := g.tallyOf(g.clock)
	t.sample(format, b)
	t.Errors.Framing += max(c.waiting(), 1)
	g.drop(c)
}

// ended counts what was lost with a connection that the peer ended, or that is of no use any more.
func (g *Generator) ended(c *conn, why error) {
	t := g.tallyOf(g.clock)
	switch {
	case c.opening() || g.cfg.PerRequest && c.waiting() > 0 && c.sent == 0:
		t.Errors.Connect++
		t.sample("connect: %v", why)
	case c.role == streamer:
		t.Dropped++
		t.sample("stream dropped after %d pieces: %v", c.stream.next, why)
	case c.waiting() > 0:
		t.Errors.Lost += c.waiting()
		t.sample("connection lost with %d bytes of an answer: %v", c.answer.got, why)
	case c.state == resting && c.role == idler:
		t.sample("idle connection ended: %v", why)
	default:
		t.Reconnects++
	}
	g.drop(c)
}

// drop closes a connection on which something went wrong, and has it replaced; at once, where the next request may
// have more luck.
func (g *Generator) drop(c *conn) {
	switch {
	case c.role == idler:
		g.leave(c)
	case c.role == streamer || c.role == halfOpener || c.opening():
		g.pause(c)
	default:
		g.inFlight -= c.waiting()
		if g.cfg.PerRequest {
			g.pause(c)
		} else {
			g.reopen(c)
		}
	}
}
