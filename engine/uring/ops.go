package uring

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/internal/invariant"
)

// Uses of Conn.Priv.
const (
	privNext  = iota // the next slot of the list it is on, plus one
	privRes          // the result of a connect, or of a send out of a pipe, that ended without a completion
	privFlags        // flag*
)

const (
	flagListed = 1 << iota // on the list of slots with an event to report
	flagReset              // Close asked for a reset
	flagPiped              // a send out of a pipe has ended, to be reported
	flagRoom               // a send waits for room in the epoll set

	flagModeShift = 8 // from here on: the engine.RecvMode of the last receive
)

// Attach makes fd, just accepted, the socket of c.
func (b *Backend) Attach(c *engine.Conn, fd int) {
	if invariant.Enabled && (c.FD >= 0 || c.Ops != 0) {
		invariant.Fail("slot %d attached twice", c.Slot)
	}
	c.FD = int32(fd)
	b.highSlot = max(b.highSlot, c.Slot+1)
}

// Connect opens a socket for c and connects it to to.
func (b *Backend) Connect(c *engine.Conn, to *engine.Addr) {
	if invariant.Enabled && (c.FD >= 0 || c.Ops != 0) {
		invariant.Fail("slot %d connected twice", c.Slot)
	}
	b.highSlot = max(b.highSlot, c.Slot+1)
	c.State |= engine.StateConnect
	family := to.Family()
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	b.syscalls++
	if err != nil {
		b.report(c, err)
		return
	}
	c.FD = int32(fd)
	b.syscalls++
	if family == unix.AF_UNIX {
		// A unix socket connects at once or not at all, so there is nothing to wait for.
		_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&to.Raw)), uintptr(to.Len))
		b.report(c, errno)
		return
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	c.Ops++
	s := b.ring.sqe()
	cell := b.cells.take()
	cell.addr = to.Raw
	*s = sqe{
		opcode: opConnect, fd: c.FD, addr: uint64(uintptr(unsafe.Pointer(&cell.addr))), off: uint64(to.Len),
		userData: token(c, kindConnect),
	}
}

// report queues an EvConnected that comes of no completion; err is nil, a zero Errno or an Errno.
func (b *Backend) report(c *engine.Conn, err error) {
	errno, _ := err.(unix.Errno)
	c.Priv[privRes] = uint32(-int32(errno))
	b.done.push(b.conns, c)
}

// Recv arms a receive.
func (b *Backend) Recv(c *engine.Conn, mode engine.RecvMode) {
	if invariant.Enabled && c.State&(engine.StateRecv|engine.StateClosing) != 0 {
		invariant.Fail("receive on slot %d in state %#x", c.Slot, c.State)
	}
	c.State |= engine.StateRecv
	b.arm(c, mode)
}

// arm queues a receive. It never asks to poll first, not even on a socket that must be empty: a stream armed so
// takes what has come meanwhile and then overlooks an end of stream or a reset behind it.
func (b *Backend) arm(c *engine.Conn, mode engine.RecvMode) {
	c.Priv[privFlags] = c.Priv[privFlags]&(1<<flagModeShift-1) | uint32(mode)<<flagModeShift
	c.Ops++
	s := b.ring.sqe()
	if mode >= engine.RecvBulk {
		*s = sqe{opcode: opPollAdd, fd: c.FD, opFlags: unix.POLLIN, userData: token(c, kindRecv)}
		return
	}
	*s = sqe{opcode: opRecv, flags: sqeBufferSelect, fd: c.FD, bufGroup: bufferGroup, userData: token(c, kindRecv)}
	if mode == engine.RecvStream {
		s.ioprio, s.fileIndex = b.stream, b.streamMost
	}
}

// RecvCancel asks an armed receive to end.
func (b *Backend) RecvCancel(c *engine.Conn) {
	if c.State&(engine.StateRecv|engine.StateCancel) != engine.StateRecv {
		return
	}
	c.State |= engine.StateCancel
	b.cancel(c, kindRecv)
}

// cancel queues a cancellation of c's operation of a kind. It is named by its token, by which the kernel
// finds it at once: to cancel by descriptor it searches all that it holds.
func (b *Backend) cancel(c *engine.Conn, kind uint8) {
	c.Ops++
	*b.ring.sqe() = sqe{opcode: opAsyncCancel, addr: token(c, kind), userData: token(c, kindCancel+kind)}
}

// Send sends the spans' bytes.
func (b *Backend) Send(c *engine.Conn, spans []mem.Span, more bool) {
	if invariant.Enabled {
		checkSend(c, spans)
	}
	c.State |= engine.StateSend
	c.Ops++
	b.sends++
	flags := uint32(unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT) // who waits for room does so elsewhere, see room.go
	if more {
		flags |= unix.MSG_MORE
	}
	s := b.ring.sqe()
	if len(spans) == 1 {
		*s = sqe{
			opcode: opSend, fd: c.FD, addr: b.cells.data + uint64(spans[0].Off), len: spans[0].Len,
			opFlags: flags, userData: token(c, kindSend),
		}
		return
	}
	cell := b.cells.take()
	for i, span := range spans {
		cell.iov[i] = iovec{base: b.cells.data + uint64(span.Off), len: uint64(span.Len)}
	}
	cell.msg = msghdr{iov: uint64(uintptr(unsafe.Pointer(&cell.iov))), iovLen: uint64(len(spans))}
	*s = sqe{
		opcode: opSendmsg, fd: c.FD, addr: uint64(uintptr(unsafe.Pointer(&cell.msg))), len: 1,
		opFlags: flags, userData: token(c, kindSend),
	}
}

func checkSend(c *engine.Conn, spans []mem.Span) {
	if c.State&(engine.StateSend|engine.StateClosing) != 0 || c.FD < 0 {
		invariant.Fail("send on slot %d in state %#x", c.Slot, c.State)
	}
	if len(spans) == 0 || len(spans) > engine.SendSpansMax {
		invariant.Fail("send of %d spans on slot %d", len(spans), c.Slot)
	}
	for _, s := range spans {
		if s.Len == 0 {
			invariant.Fail("send of an empty span on slot %d", c.Slot)
		}
	}
}

// CloseWrite sends the end of stream. An error means that the peer is gone, which the next receive tells.
func (b *Backend) CloseWrite(c *engine.Conn) {
	if invariant.Enabled && c.State&engine.StateSend != 0 {
		invariant.Fail("half-close of slot %d with a send in flight", c.Slot)
	}
	b.shutdown(c, unix.SHUT_WR)
}

func (b *Backend) shutdown(c *engine.Conn, how int) {
	_ = unix.Shutdown(int(c.FD), how)
	b.syscalls++
}

// Unacked is the number of bytes that the peer has not acknowledged.
func (b *Backend) Unacked(c *engine.Conn) int {
	b.syscalls++
	return engine.Unacked(c)
}

// AckNow acknowledges what has been received.
func (b *Backend) AckNow(c *engine.Conn) {
	b.syscalls++
	engine.AckNow(c)
}

// Local is the address of c's own end.
func (b *Backend) Local(c *engine.Conn) netip.AddrPort {
	b.syscalls++
	return engine.Local(c)
}

// Gone reports whether c's connection is broken.
func (b *Backend) Gone(c *engine.Conn) bool {
	b.syscalls++
	return engine.Gone(c)
}

// token names an operation of c.
func token(c *engine.Conn, kind uint8) uint64 { return uint64(engine.MakeToken(c.Slot, c.Gen, kind)) }
