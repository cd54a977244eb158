package uring

import (
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// A full socket whose peer has ended its own side needs help. When a send has to wait, io_uring polls the socket, and
// takes that it is half-closed for the event it waits for, always: it tries 128 times in a row, then has a worker
// thread try, and may give up with EAGAIN. So, once either the end of stream or such a failure was seen, sends are
// asked not to wait, and the epoll set, which can be asked about room alone, tells when to try again.

// connTag marks an event of the epoll set that is a connection's: slot s is connTag - s, the generation beside it.
const connTag = wakeTag - 1

// awaitRoom has the epoll set tell when c's socket takes more. The send stays in flight until then; it reports false,
// with the errno, when that cannot be arranged.
func (b *Backend) awaitRoom(c *engine.Conn) (errno int32, ok bool) {
	c.Priv[privFlags] |= flagEnded
	ev := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: connTag - int32(c.Slot), Pad: int32(c.Gen)}
	b.syscalls++
	if err := unix.EpollCtl(b.accept.epfd, unix.EPOLL_CTL_ADD, int(c.FD), &ev); err != nil {
		e, _ := err.(unix.Errno)
		return -int32(e), false
	}
	return 0, true
}

// roomCame reports the send of the connection that ev is about as not taken, so that it is asked for again. An event of
// a socket that is being closed means nothing.
func (b *Backend) roomCame(ev *unix.EpollEvent, out *engine.Event) bool {
	c := b.conns.At(uint32(connTag - ev.Fd))
	if c.Gen != uint32(ev.Pad) || c.State&engine.StateClosing != 0 {
		return false
	}
	var unused unix.EpollEvent
	_ = unix.EpollCtl(b.accept.epfd, unix.EPOLL_CTL_DEL, int(c.FD), &unused)
	b.syscalls++
	c.State &^= engine.StateSend
	*out = engine.Event{Kind: engine.EvSent, Slot: c.Slot, Gen: c.Gen, Res: -int32(unix.EAGAIN)}
	return true
}
