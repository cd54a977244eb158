package uring

import (
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// A receive into a Bulk buffer, or into a pipe, is no operation of the ring: the ring tells that there is something to
// receive, and it is received when its turn comes. The ring itself would take the first segments as soon as they are
// there; meanwhile more of them come, so that one call gets what would have been two or three pieces, each with a send
// of its own.

// bulkPerTurn is how many bytes are received into Bulk buffers before what they are for is done: they should still be
// in the cache when they are sent.
const bulkPerTurn = 256 << 10

// bulkReady receives for c, whose socket has something or has ended. It reports whether ev was set.
func (b *Backend) bulkReady(c *engine.Conn, e *cqe, ev *engine.Event, mode engine.RecvMode) bool {
	c.Ops--
	if c.State&engine.StateClosing != 0 {
		c.State &^= engine.StateRecv | engine.StateCancel
		return b.settle(c, ev)
	}
	*ev = engine.Event{Kind: engine.EvRecv, Slot: c.Slot, Gen: c.Gen, Res: e.res, Buf: mem.NoBuf}
	if e.res > 0 {
		if mode == engine.RecvPiped {
			ev.Res = b.receivePiped(c, ev)
		} else {
			ev.Res = b.receiveBulk(c, ev)
		}
		if ev.Res == -int32(unix.EAGAIN) { // urgent data is told of as any other, and is not there to be received
			if c.State&engine.StateCancel == 0 {
				b.arm(c, mode)
				return false
			}
			ev.Res = -int32(unix.ECANCELED)
		}
	}
	c.State &^= engine.StateRecv | engine.StateCancel
	return true
}

// receiveBulk receives once into a fresh buffer, and notes in ev where. It returns what an event reports as result.
func (b *Backend) receiveBulk(c *engine.Conn, ev *engine.Event) int32 {
	buf, ok := b.arena.TakeToReceive(mem.Bulk)
	if !ok {
		return b.noBufs(c)
	}
	data := b.arena.Data(buf)
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.FD), uintptr(b.cells.data)+uintptr(data.Off),
		uintptr(data.Len), unix.MSG_DONTWAIT, 0, 0)
	b.syscalls++
	if errno != 0 || n == 0 {
		b.arena.Drop(buf)
		return -int32(errno)
	}
	ev.Off, ev.Buf = data.Off, buf
	if uint32(n) == data.Len {
		ev.Flags = engine.FlagNonEmpty
	}
	b.bulked += uint32(n)
	return int32(n)
}

// pipedShare is how much less a byte that goes through a pipe counts than one that is copied.
const pipedShare = 4

// receivePiped receives once into an empty pipe.
func (b *Backend) receivePiped(c *engine.Conn, ev *engine.Event) int32 {
	res := engine.RecvSpliced(c, b.arena, ev, &b.syscalls)
	if res == -int32(unix.ENOBUFS) {
		return b.noBufs(c)
	}
	b.bulked += uint32(max(res, 0)) / pipedShare
	return res
}

// RecvPipe arms a receive into a pipe.
func (b *Backend) RecvPipe(c *engine.Conn, most uint32) {
	c.Most = most
	b.Recv(c, engine.RecvPiped)
}

// SendPipe sends what is in a pipe. That is never done by the ring, which would have a thread of its own for it.
func (b *Backend) SendPipe(c *engine.Conn, pipe mem.Buf, n uint32) {
	engine.CheckSendPipe(c, n)
	c.State |= engine.StateSend
	b.syscalls++
	res := engine.SpliceOut(c, b.arena, pipe, n)
	if res == -int32(unix.EAGAIN) {
		errno, ok := b.awaitRoom(c)
		if ok {
			return
		}
		res = errno
	}
	c.Priv[privRes] = uint32(res)
	c.Priv[privFlags] |= flagPiped
	b.moved.push(b.conns, c)
}
