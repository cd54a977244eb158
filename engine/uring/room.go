package uring

import (
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// A send that finds its socket full does not wait in the ring. There it would be polled for, and io_uring takes for the
// event that is waited for that the peer has ended its own side, always: with such a peer it tries 128 times in a row
// and then has a worker thread block in the send, one for each connection. The epoll set can be asked about room alone.
// It tells when there is some, and the send is then asked for again.

// connTag marks an event of the epoll set that is a connection's: slot s is connTag - s, the generation beside it.
const connTag = wakeTag - 1

// awaitRoom has the epoll set tell when c's socket takes more. The send stays in flight until then; it reports false,
// with the errno, when that cannot be arranged.
func (b *Backend) awaitRoom(c *engine.Conn) (errno int32, ok bool) {
	ev := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: connTag - int32(c.Slot), Pad: int32(c.Gen)}
	b.syscalls++
	if err := unix.EpollCtl(b.accept.epfd, unix.EPOLL_CTL_ADD, int(c.FD), &ev); err != nil {
		e, _ := err.(unix.Errno)
		return -int32(e), false
	}
	c.Priv[privFlags] |= flagRoom
	return 0, true
}

// roomCame reports c's send as not taken, so that it is asked for again.
func (b *Backend) roomCame(c *engine.Conn) engine.Event {
	var unused unix.EpollEvent
	_ = unix.EpollCtl(b.accept.epfd, unix.EPOLL_CTL_DEL, int(c.FD), &unused)
	b.syscalls++
	c.State &^= engine.StateSend
	c.Priv[privFlags] &^= flagRoom
	return engine.Event{Kind: engine.EvSent, Slot: c.Slot, Gen: c.Gen, Res: -int32(unix.EAGAIN)}
}
