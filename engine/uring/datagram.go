package uring

import (
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/engine/udp"
)

// UDP sockets are no operations of the ring: they stand in the epoll set, edge-triggered, and are read when their turn
// comes, many datagrams in a call. See RATIONALE.md for what a multishot receive costs instead.

// socket is what is known of c's UDP socket. It lies where a stream keeps the result of its connect.
func socket(c *engine.Conn) *udp.Socket { return (*udp.Socket)(&c.Priv[privRes]) }

// AttachDatagrams makes fd the socket of c.
func (b *Backend) AttachDatagrams(c *engine.Conn, fd int) int { return b.udp.Attach(c, int32(fd)) }

// ConnectDatagrams opens a UDP socket for c that is connected to to.
func (b *Backend) ConnectDatagrams(c *engine.Conn, to *engine.Addr) int { return b.udp.Connect(c, to) }

// watchDatagrams puts fd into the epoll set and makes it the socket of c.
func (b *Backend) watchDatagrams(c *engine.Conn, fd int32, s udp.Socket) int {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: connTag - int32(c.Slot), Pad: int32(c.Gen)}
	b.syscalls++
	if err := unix.EpollCtl(b.accept.epfd, unix.EPOLL_CTL_ADD, int(fd), &ev); err != nil {
		return udp.Negative(err)
	}
	b.Attach(c, int(fd))
	c.State |= engine.StateDatagrams
	*socket(c) = s
	return 0
}

// RecvDatagrams takes what has come.
func (b *Backend) RecvDatagrams(c *engine.Conn, out []engine.Datagram) int {
	engine.CheckDatagrams(c)
	s := socket(c)
	n := b.udp.Receive(c.FD, s, out)
	switch {
	case n == -int(unix.ENOBUFS):
		b.starved.push(b.conns, c)
	case s.Due():
		b.done.push(b.conns, c)
	}
	return n
}

// SendDatagrams sends.
func (b *Backend) SendDatagrams(c *engine.Conn, in []engine.Datagram) int {
	engine.CheckDatagrams(c)
	return b.udp.Send(c.FD, socket(c), in)
}

// fed reports whether buffers have come back for sockets that found none.
func (b *Backend) fed() bool {
	return b.starved.first != 0 && b.arena.Receivable(mem.Small)+b.arena.Receivable(mem.Bulk) > 0
}

// feed has the sockets that found no buffer reported anew: when there are buffers, or when one of them is closed.
func (b *Backend) feed() {
	b.done.join(b.conns, &b.starved)
}

// connCame handles what the epoll set tells of a connection's socket, and reports whether there was room for the event.
// That a UDP socket has something is reported from the list of slots, so that no edge is lost where there is none.
func (b *Backend) connCame(ev *unix.EpollEvent, out []engine.Event, n int) (int, bool) {
	c := b.conns.At(uint32(connTag - ev.Fd))
	switch {
	case c.Gen != uint32(ev.Pad) || c.State&engine.StateClosing != 0:
	case c.State&engine.StateDatagrams != 0:
		if socket(c).Edge(ev.Events); socket(c).Due() {
			b.done.push(b.conns, c)
		}
	case n == len(out):
		return n, false
	default:
		out[n] = b.roomCame(c)
		n++
	}
	return n, true
}
