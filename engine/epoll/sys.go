package epoll

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// edgeTriggered is EPOLLET as the unsigned bit that the kernel has.
const edgeTriggered = 1 << 31

// What a token of the epoll set names.
const (
	kindConn = iota
	kindListener
	kindWake
)

// call makes a system call that cannot block. It bypasses the scheduler's bookkeeping: the calls
// are as short as a page of Go code, and a stop of the world waits for them as it waits for that.
func (b *Backend) call(nr, a0, a1, a2, a3, a4 uintptr) (uintptr, unix.Errno) {
	b.count.Syscalls++
	for {
		n, _, e := unix.RawSyscall6(nr, a0, a1, a2, a3, a4, 0)
		if e != unix.EINTR {
			return n, e
		}
	}
}

// result folds a system call's two results into the contract's one.
func result(n uintptr, e unix.Errno) int32 {
	if e != 0 {
		return -int32(e)
	}
	return int32(n)
}

func (b *Backend) at(offset uint32) uintptr { return uintptr(b.base) + uintptr(offset) }

// control adds, changes or removes fd's registration.
func (b *Backend) control(op int, fd int32, events uint32, token engine.Token) unix.Errno {
	ev := &b.cells.events[0]
	ev.Events, ev.Fd, ev.Pad = events, int32(token), int32(token>>32)
	_, e := b.call(unix.SYS_EPOLL_CTL, uintptr(b.epfd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(ev)), 0)
	return e
}

// watch registers a connection's socket, once for its life. Of urgent data it wants to know because a read stops there.
func (b *Backend) watch(c *engine.Conn) unix.Errno {
	const events = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLPRI | unix.EPOLLRDHUP | edgeTriggered
	return b.control(unix.EPOLL_CTL_ADD, c.FD, events, engine.MakeToken(c.Slot, c.Gen, kindConn))
}

// wait asks for edges, for at most timeout nanoseconds (negative: for ever), and returns their number.
func (b *Backend) wait(timeout int64) (int, unix.Errno) {
	n, e := 0, unix.Errno(0)
	if b.pwait2 {
		n, e = b.waitNano(timeout)
	} else {
		n, e = b.waitMilli(timeout)
	}
	if e == unix.EINTR {
		return 0, 0
	}
	return n, e
}

func (b *Backend) waitNano(timeout int64) (int, unix.Errno) {
	var limit unsafe.Pointer
	if timeout >= 0 {
		b.cells.timeout = unix.NsecToTimespec(timeout)
		limit = unsafe.Pointer(&b.cells.timeout)
	}
	return b.enter(unix.SYS_EPOLL_PWAIT2, uintptr(limit), timeout == 0)
}

// waitMilli is for kernels before 5.11. It rounds up: returning early would make the shard spin.
func (b *Backend) waitMilli(timeout int64) (int, unix.Errno) {
	limit := int64(-1)
	if timeout >= 0 {
		limit = min((timeout+999_999)/1_000_000, 1<<31-1)
	}
	return b.enter(unix.SYS_EPOLL_PWAIT, uintptr(limit), timeout == 0)
}

// enter waits for edges. Only a wait that returns at once may bypass the scheduler: a thread that sleeps
// without its knowledge stalls every garbage collection.
func (b *Backend) enter(nr, limit uintptr, atOnce bool) (int, unix.Errno) {
	b.count.Syscalls++
	events := uintptr(unsafe.Pointer(&b.cells.events))
	var n uintptr
	var e unix.Errno
	if atOnce {
		n, _, e = unix.RawSyscall6(nr, uintptr(b.epfd), events, eventsMax, limit, 0, 0)
	} else {
		n, _, e = unix.Syscall6(nr, uintptr(b.epfd), events, eventsMax, limit, 0, 0)
	}
	return int(n), e
}
