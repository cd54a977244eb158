package epoll

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/internal/invariant"
)

// Attach implements engine.Backend. A socket that cannot be registered (no memory, or
// /proc/sys/fs/epoll/max_user_watches reached) is shut down, so that its owner sees the stream end.
func (b *Backend) Attach(c *engine.Conn, fd int) {
	b.adopt(c, int32(fd))
	c.Priv[privBits] = bitOut // a new socket has room; whether it has data the first edge tells
	if e := b.watch(c); e != 0 {
		b.call(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_RDWR, 0, 0, 0)
		c.Priv[privBits] |= bitIn | bitHup
	}
}

func (b *Backend) adopt(c *engine.Conn, fd int32) {
	if invariant.Enabled && c.State != engine.StateLive {
		invariant.Fail("slot %d given a socket in state %#x", c.Slot, c.State)
	}
	c.FD = fd
	b.high = max(b.high, c.Slot+1)
}

// Connect implements engine.Backend.
func (b *Backend) Connect(c *engine.Conn, to *engine.Addr) {
	const kind = unix.SOCK_STREAM | unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
	fd, e := b.call(unix.SYS_SOCKET, uintptr(to.Family()), kind, 0, 0, 0)
	if e != 0 {
		fd = ^uintptr(0)
	}
	b.adopt(c, int32(fd))
	c.State |= engine.StateConnect
	if e == 0 {
		e = b.dial(c, to)
	}
	if e == unix.EINPROGRESS {
		return
	}
	c.Priv[privBits] |= bitDialled | uint32(e)<<errnoShift
	b.push(c)
}

// dial starts the connect. It registers the socket only afterwards: one that is not connecting yet counts as
// hung up.
func (b *Backend) dial(c *engine.Conn, to *engine.Addr) unix.Errno {
	if to.Family() != unix.AF_UNIX {
		b.cells.option = 1
		option := unsafe.Pointer(&b.cells.option)
		b.setOption(c, unix.IPPROTO_TCP, unix.TCP_NODELAY, option, unsafe.Sizeof(b.cells.option))
	}
	copy(b.cells.address[:], to.Raw[:to.Len])
	_, e := b.call(unix.SYS_CONNECT, uintptr(c.FD), uintptr(unsafe.Pointer(&b.cells.address)), uintptr(to.Len), 0, 0)
	if e != 0 && e != unix.EINPROGRESS {
		return e
	}
	if w := b.watch(c); w != 0 {
		return w
	}
	return e
}

// setOption sets a socket option to a value that lies in the cells.
func (b *Backend) setOption(c *engine.Conn, level, name uintptr, value unsafe.Pointer, size uintptr) {
	b.call(unix.SYS_SETSOCKOPT, uintptr(c.FD), level, name, uintptr(value), size)
}

// connected reports the end of a connect, when it has come.
func (b *Backend) connected(c *engine.Conn, ev *engine.Event) bool {
	bits := c.Priv[privBits]
	if bits&(bitDialled|bitOut|bitHup) == 0 {
		return false
	}
	res := -int32(bits >> errnoShift)
	if bits&bitDialled == 0 && bits&bitHup != 0 {
		res = b.socketError(c)
	}
	c.State &^= engine.StateConnect
	c.Priv[privBits] = bits&(1<<errnoShift-1)&^bitDialled | bitOut
	*ev = engine.Event{Kind: engine.EvConnected, Slot: c.Slot, Gen: c.Gen, Res: res}
	return true
}

// socketError takes the pending error of a socket: 0 or a negative errno.
func (b *Backend) socketError(c *engine.Conn) int32 {
	k := b.cells
	k.size = uint32(unsafe.Sizeof(k.option))
	_, e := b.call(unix.SYS_GETSOCKOPT, uintptr(c.FD), unix.SOL_SOCKET, unix.SO_ERROR,
		uintptr(unsafe.Pointer(&k.option)), uintptr(unsafe.Pointer(&k.size)))
	if e != 0 {
		return -int32(e)
	}
	return -k.option
}

// CloseWrite implements engine.Backend.
func (b *Backend) CloseWrite(c *engine.Conn) {
	if invariant.Enabled && c.State&(engine.StateSend|engine.StateClosing) != 0 {
		invariant.Fail("CloseWrite on slot %d in state %#x", c.Slot, c.State)
	}
	b.call(unix.SYS_SHUTDOWN, uintptr(c.FD), unix.SHUT_WR, 0, 0, 0)
}

// Close implements engine.Backend. The kernel holds nothing of c, so all three steps happen here; what is left is
// to say so.
func (b *Backend) Close(c *engine.Conn, reset bool) {
	if invariant.Enabled && c.State&engine.StateClosing != 0 {
		invariant.Fail("slot %d closed twice", c.Slot)
	}
	if c.Priv[privBits]&bitBlocked != 0 {
		b.blocked.release(c.Priv[privSend])
	}
	if c.FD >= 0 {
		b.shut(c, reset)
		c.FD = -1
	}
	if c.State&engine.StateDatagrams != 0 {
		b.feed() // it may stand there
	}
	c.State = engine.StateLive | engine.StateClosing
	b.push(c)
}

// shut closes the socket, which also ends its registration. A lingering time of zero makes the kernel send a reset
// and drop what was not sent.
func (b *Backend) shut(c *engine.Conn, reset bool) {
	if reset {
		k := b.cells
		k.linger = unix.Linger{Onoff: 1}
		b.setOption(c, unix.SOL_SOCKET, unix.SO_LINGER, unsafe.Pointer(&k.linger), unsafe.Sizeof(k.linger))
	}
	b.count.Syscalls++
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(c.FD), 0, 0) // never repeated: after EINTR the descriptor is gone
}
