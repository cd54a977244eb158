package epoll

import (
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/internal/invariant"
)

// One connection's share of a turn: a fast sender must not keep the others waiting.
const (
	readsPerTurn = 16
	bytesPerTurn = 256 << 10
)

// Recv implements engine.Backend.
func (b *Backend) Recv(c *engine.Conn, mode engine.RecvMode) {
	if invariant.Enabled && c.State&(engine.StateRecv|engine.StateClosing) != 0 {
		invariant.Fail("Recv on slot %d in state %#x", c.Slot, c.State)
	}
	c.State |= engine.StateRecv
	c.Priv[privBits] = c.Priv[privBits]&^modeMask | uint32(mode)<<modeShift
	if c.Priv[privBits]&bitIn != 0 && c.State&engine.StateConnect == 0 {
		b.push(c)
	}
}

// RecvPipe implements engine.Backend.
func (b *Backend) RecvPipe(c *engine.Conn, most uint32) {
	c.Most = most
	b.Recv(c, engine.RecvPiped)
}

// RecvCancel implements engine.Backend.
func (b *Backend) RecvCancel(c *engine.Conn) {
	if c.State&(engine.StateRecv|engine.StateClosing) == engine.StateRecv {
		c.State |= engine.StateCancel
		b.push(c)
	}
}

// receive reads while there is data, room in out and budget, or ends a cancelled receive. It returns the number of
// events.
func (b *Backend) receive(c *engine.Conn, out []engine.Event) int {
	if c.State&engine.StateCancel != 0 {
		b.endReceive(c, &out[0], -int32(unix.ECANCELED))
		return 1
	}
	m := mode(c)
	n, bytes := 0, int32(0)
	for n < len(out) && n < readsPerTurn && bytes < bytesPerTurn && c.Priv[privBits]&bitIn != 0 {
		ev := &out[n]
		res := b.read(c, m, ev)
		if res == -int32(unix.EAGAIN) {
			break
		}
		n++
		if res <= 0 {
			b.endReceive(c, ev, res)
			break
		}
		bytes += res
		if m != engine.RecvStream {
			c.State &^= engine.StateRecv
			break
		}
		ev.Flags |= engine.FlagMore
	}
	return n
}

// endReceive reports the end of the armed receive.
func (b *Backend) endReceive(c *engine.Conn, ev *engine.Event, res int32) {
	c.State &^= engine.StateRecv | engine.StateCancel
	*ev = engine.Event{Kind: engine.EvRecv, Slot: c.Slot, Gen: c.Gen, Res: res, Buf: mem.NoBuf}
}

// read receives once into a fresh buffer and, when data came, fills ev. Fewer bytes than the buffer has
// prove the socket drained, unless the peer has ended, whose end of stream is then still to be read, or has sent urgent
// data, before which a read stops.
func (b *Backend) read(c *engine.Conn, m engine.RecvMode, ev *engine.Event) int32 {
	if m == engine.RecvPiped {
		return b.splice(c, ev)
	}
	buf, ok := b.env.Mem.TakeToReceive(m.Class())
	if !ok {
		b.count.NoBufs++
		return -int32(unix.ENOBUFS)
	}
	data := b.env.Mem.Data(buf)
	res := result(b.call(unix.SYS_RECVFROM, uintptr(c.FD), b.at(data.Off), uintptr(data.Len), unix.MSG_DONTWAIT, 0))
	if res <= 0 {
		b.env.Mem.Drop(buf)
		if res == -int32(unix.EAGAIN) {
			c.Priv[privBits] &^= bitIn
		}
		return res
	}
	*ev = engine.Event{Kind: engine.EvRecv, Slot: c.Slot, Gen: c.Gen, Res: res, Off: data.Off, Buf: buf}
	if uint32(res) == data.Len {
		ev.Flags = engine.FlagNonEmpty
	} else if c.Priv[privBits]&bitHup == 0 {
		c.Priv[privBits] &^= bitIn
	}
	return res
}

// splice receives into an empty pipe. A pipe may be full of few bytes, so that nothing but an attempt in vain proves
// the socket drained.
func (b *Backend) splice(c *engine.Conn, ev *engine.Event) int32 {
	res := engine.RecvSpliced(c, b.env.Mem, ev, &b.count.Syscalls)
	switch res {
	case -int32(unix.ENOBUFS):
		b.count.NoBufs++
	case -int32(unix.EAGAIN):
		c.Priv[privBits] &^= bitIn
	}
	return res
}
