package load

import "golang.org/x/sys/unix"

// take gives a free connection requests: those that are due in an open loop, as many as it may carry in a closed one.
func (g *Generator) take(c *conn) {
	n := 0
	for n < g.cfg.Pipeline && g.schedule.due(g.next, g.clock) {
		c.dues[n] = g.clock
		if !g.closedLoop {
			c.dues[n] = g.schedule.at(g.next)
		}
		t := g.tallyOf(c.dues[n])
		t.Requests++
		t.lag.Record(g.clock - max(c.dues[n], g.freeSince))
		g.next++
		n++
	}
	g.inFlight += n
	g.ask(c, n)
}

// ask sends n requests.
func (g *Generator) ask(c *conn, n int) {
	c.state, c.asked, c.answered = busy, n, 0
	g.serial++
	c.stamp = g.serial
	m := &g.texts[c.role]
	c.size, c.sent = int64(n)*(int64(m.head)+m.body), 0
	if c.fd < 0 {
		// On loopback the handshake is over when connect returns; elsewhere there will be an event.
		if err := g.connect(c, watchInput); err != nil {
			g.ended(c, err)
			return
		}
		if g.secure != nil {
			g.encrypt(c)
			return
		}
	}
	g.send(c)
}

// send sends as much of the requests as the socket takes.
func (g *Generator) send(c *conn) {
	m := &g.texts[c.role]
	if g.echo != nil {
		g.echo.stamp(c.stamp)
	}
	for c.unsent() {
		n, err := g.write(c, m.part(c.sent, c.size))
		c.sent += int64(n)
		switch {
		case err == unix.EAGAIN:
			if err := g.awaitRoom(c); err != nil {
				g.ended(c, err)
			}
			return
		case err != nil && err != unix.EINTR:
			g.unsendable(c, err)
			return
		}
	}
}

// awaitRoom has an event come when the socket has room again.
func (g *Generator) awaitRoom(c *conn) error {
	if c.watchesOutput {
		return nil
	}
	c.watchesOutput = true
	return g.watch(c, unix.EPOLL_CTL_MOD, watchOutput)
}

// unsendable is called when a connection takes no more of a request. There may be an answer to its first part.
func (g *Generator) unsendable(c *conn, err error) {
	c.ending = true
	if c.sent == 0 || g.receive(c) {
		g.ended(c, err)
	}
}
