package engine

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Local is what a backend on real sockets answers to Backend.Local.
func Local(c *Conn) netip.AddrPort {
	var a Addr
	a.Len = uint32(len(a.Raw))
	_, _, e := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(c.FD), uintptr(unsafe.Pointer(&a.Raw)),
		uintptr(unsafe.Pointer(&a.Len)))
	if e != 0 {
		return netip.AddrPort{}
	}
	return a.AddrPort()
}

// Gone is what a backend on real sockets answers to Backend.Gone: of hang-ups and errors poll(2) tells in any case.
func Gone(c *Conn) bool {
	fds := [1]unix.PollFd{{Fd: c.FD}}
	n, err := unix.Poll(fds[:], 0)
	return n > 0 && err == nil && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0
}
