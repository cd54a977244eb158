package epoll

import (
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/engine/udp"
)

// socket is what is known of c's UDP socket. It lies where a stream keeps its send.
func socket(c *engine.Conn) *udp.Socket { return (*udp.Socket)(&c.Priv[privSend]) }

// AttachDatagrams implements engine.Backend.
func (b *Backend) AttachDatagrams(c *engine.Conn, fd int) int { return b.udp.Attach(c, int32(fd)) }

// ConnectDatagrams implements engine.Backend.
func (b *Backend) ConnectDatagrams(c *engine.Conn, to *engine.Addr) int { return b.udp.Connect(c, to) }

// watchDatagrams makes fd the socket of c.
func (b *Backend) watchDatagrams(c *engine.Conn, fd int32, s udp.Socket) int {
	const events = unix.EPOLLIN | edgeTriggered
	if e := b.control(unix.EPOLL_CTL_ADD, fd, events, engine.MakeToken(c.Slot, c.Gen, kindConn)); e != 0 {
		return -int(e)
	}
	b.adopt(c, fd)
	c.State |= engine.StateDatagrams
	*socket(c) = s
	return 0
}

// RecvDatagrams implements engine.Backend.
func (b *Backend) RecvDatagrams(c *engine.Conn, out []engine.Datagram) int {
	engine.CheckDatagrams(c)
	s := socket(c)
	n := b.udp.Receive(c.FD, s, out)
	switch {
	case n == -int(unix.ENOBUFS):
		b.starve(c)
	case s.Due():
		b.push(c)
	}
	return n
}

// SendDatagrams implements engine.Backend.
func (b *Backend) SendDatagrams(c *engine.Conn, in []engine.Datagram) int {
	engine.CheckDatagrams(c)
	return b.udp.Send(c.FD, socket(c), in)
}

// starve puts a socket that found no buffer aside, unless it stands on the run list already.
func (b *Backend) starve(c *engine.Conn) {
	if c.Priv[privBits]&bitListed == 0 {
		b.append(&b.starved, c)
	}
}

// feed puts the sockets that found no buffer back on the run list, when there are buffers or one of them is closed: the
// others then find out anew.
func (b *Backend) feed() {
	if b.starved.empty() {
		return
	}
	if b.run.empty() {
		b.run = b.starved
	} else {
		b.env.Conns.At(b.run.tail - 1).Priv[privNext] = b.starved.head
		b.run.tail = b.starved.tail
	}
	b.starved = runList{}
}

// readable reports that c's socket has something, when it is time to.
func (b *Backend) readable(c *engine.Conn, ev *engine.Event) int {
	s := socket(c)
	if !s.Due() {
		return 0
	}
	s.Tell()
	*ev = engine.Event{Kind: engine.EvReadable, Slot: c.Slot, Gen: c.Gen}
	return 1
}

// fed reports whether buffers have come back for sockets that found none.
func (b *Backend) fed() bool {
	return !b.starved.empty() && b.env.Mem.Receivable(mem.Small)+b.env.Mem.Receivable(mem.Bulk) > 0
}
