package epoll

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/internal/invariant"
)

// blockedSend keeps the spans of a send that found the socket full.
type blockedSend struct {
	spans [engine.SendSpansMax]mem.Span
	n     uint32 // spans in use
	more  bool
	next  uint32 // free list: index plus one
}

// blockedSends is the pool of them, mapped for every connection and touched as far as ever needed at once.
type blockedSends struct {
	cells []blockedSend
	free  uint32 // index plus one
	high  uint32 // cells from here on were never used
}

func (p *blockedSends) open(n int) error {
	m, err := mapMemory(n * int(unsafe.Sizeof(blockedSend{})))
	if err != nil {
		return fmt.Errorf("map cells for %d blocked sends: %w", n, err)
	}
	p.cells = unsafe.Slice((*blockedSend)(unsafe.Pointer(unsafe.SliceData(m))), n)
	return nil
}

func (p *blockedSends) close() {
	if p.cells != nil {
		first := unsafe.SliceData(p.cells)
		unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(first)), uintptr(len(p.cells))*unsafe.Sizeof(*first)))
		p.cells = nil
	}
}

// take finds a cell; there is one for every connection.
func (p *blockedSends) take() uint32 {
	if p.free == 0 {
		p.high++
		return p.high - 1
	}
	i := p.free - 1
	p.free = p.cells[i].next
	return i
}

func (p *blockedSends) release(i uint32) {
	p.cells[i].next = p.free
	p.free = i + 1
}

// Send implements engine.Backend. It tries at once unless the socket is known to be full.
func (b *Backend) Send(c *engine.Conn, spans []mem.Span, more bool) {
	if invariant.Enabled {
		checkSend(c, spans)
	}
	c.State |= engine.StateSend
	if c.Priv[privBits]&bitOut != 0 {
		if res := b.write(c, spans, more); res != -int32(unix.EAGAIN) {
			c.Priv[privBits] |= bitSent
			c.Priv[privSend] = uint32(res)
			b.push(c)
			return
		}
	}
	i := b.blocked.take()
	cell := &b.blocked.cells[i]
	cell.n, cell.more = uint32(copy(cell.spans[:], spans)), more
	c.Priv[privBits] |= bitBlocked
	c.Priv[privSend] = i
}

// SendPipe implements engine.Backend. A socket that is full is reported as such when it no longer is.
func (b *Backend) SendPipe(c *engine.Conn, pipe mem.Buf, n uint32) {
	engine.CheckSendPipe(c, n)
	c.State |= engine.StateSend
	res := -int32(unix.EAGAIN)
	if c.Priv[privBits]&bitOut != 0 {
		res = engine.SpliceOut(c, b.env.Mem, pipe, n)
		b.count.Syscalls++
	}
	if res == -int32(unix.EAGAIN) {
		c.Priv[privBits] = c.Priv[privBits]&^bitOut | bitFull
		return
	}
	c.Priv[privBits] |= bitSent
	c.Priv[privSend] = uint32(res)
	b.push(c)
}

func checkSend(c *engine.Conn, spans []mem.Span) {
	if c.State&(engine.StateSend|engine.StateClosing) != 0 || len(spans) == 0 || len(spans) > engine.SendSpansMax {
		invariant.Fail("Send of %d spans on slot %d in state %#x", len(spans), c.Slot, c.State)
	}
}

// sent reports the end of a send, when it has come; a blocked one is tried again first.
func (b *Backend) sent(c *engine.Conn, ev *engine.Event) bool {
	res := int32(c.Priv[privSend])
	if c.Priv[privBits]&bitSent == 0 {
		if c.Priv[privBits]&bitOut == 0 {
			return false
		}
		if res = b.retry(c); res == -int32(unix.EAGAIN) && c.Priv[privBits]&bitFull == 0 {
			return false
		}
	}
	c.State &^= engine.StateSend
	c.Priv[privBits] &^= bitSent | bitBlocked | bitFull
	*ev = engine.Event{Kind: engine.EvSent, Slot: c.Slot, Gen: c.Gen, Res: res}
	return true
}

// retry goes on with a send that has found the socket full. One out of a pipe is its owner's to repeat.
func (b *Backend) retry(c *engine.Conn) int32 {
	if c.Priv[privBits]&bitFull != 0 {
		return -int32(unix.EAGAIN)
	}
	i := c.Priv[privSend]
	cell := &b.blocked.cells[i]
	res := b.write(c, cell.spans[:cell.n], cell.more)
	if res != -int32(unix.EAGAIN) {
		b.blocked.release(i)
	}
	return res
}

// write makes one system call of the spans. Fewer bytes than asked, like EAGAIN, prove the socket full: the kernel
// then owes an edge.
func (b *Backend) write(c *engine.Conn, spans []mem.Span, more bool) int32 {
	flags := uintptr(unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT)
	if more {
		flags |= unix.MSG_MORE
	}
	var res int32
	asked := spans[0].Len
	if len(spans) == 1 {
		res = result(b.call(unix.SYS_SENDTO, uintptr(c.FD), b.at(spans[0].Off), uintptr(asked), flags, 0))
	} else {
		asked = b.vector(spans)
		res = result(b.call(unix.SYS_SENDMSG, uintptr(c.FD), uintptr(unsafe.Pointer(&b.cells.header)), flags, 0, 0))
	}
	if res == -int32(unix.EAGAIN) || res > 0 && uint32(res) < asked {
		c.Priv[privBits] &^= bitOut
	}
	return res
}

// vector points the message header at the spans and returns their length together.
func (b *Backend) vector(spans []mem.Span) uint32 {
	k := b.cells
	asked := uint32(0)
	for i, s := range spans {
		k.iov[i].Base = (*byte)(unsafe.Add(b.base, s.Off))
		k.iov[i].SetLen(int(s.Len))
		asked += s.Len
	}
	k.header.Iov = &k.iov[0]
	k.header.SetIovlen(len(spans))
	return asked
}
