// Package udp moves datagrams between UDP sockets and a shard's arena, many at a time: what the backends on real
// sockets have in common.
//
// It owns the memory in which recvmmsg(2) and sendmmsg(2) find their operands, and knows of each socket, in one word
// that the backend keeps, what there is to know: whether it may have something, and how much to prepare for. When to
// look is the backend's business.
//
// Invariants: the kernel is given addresses of mapped memory only; nothing blocks; between calls no buffer is held; a
// socket that may have something to receive is Due, or whoever had its last EvReadable has not received since, or it
// waits for buffers.
//
// It imports engine and engine/mem, and is imported by engine/epoll and engine/uring; server asks it for Drops alone.
package udp

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// bytesMax is about how many bytes one Receive or one system call of Send moves: enough to make the call cheap, and
// little enough to still be in the cache when they are sent on.
const bytesMax = 256 << 10

// IO is one shard's means to move datagrams.
type IO struct {
	arena *mem.Arena
	base  unsafe.Pointer // the arena's first byte
	cells *cells
	held  [engine.DatagramsMax]room
	watch func(c *engine.Conn, fd int32, s Socket) int

	Syscalls uint64 // made so far
	NoBufs   uint64 // calls of Receive that found no buffer
}

// Open maps what system calls need. watch is how the backend makes fd the socket of c and has itself told of it; what
// it returns is 0 or a negative errno.
func (x *IO) Open(arena *mem.Arena, watch func(c *engine.Conn, fd int32, s Socket) int) error {
	cells, err := mapCells()
	if err != nil {
		return err
	}
	*x = IO{arena: arena, base: unsafe.Pointer(unsafe.SliceData(arena.All())), cells: cells, watch: watch}
	return nil
}

// Close unmaps it. It may be called without Open.
func (x *IO) Close() {
	if x.cells != nil {
		x.cells.unmap()
		x.cells = nil
	}
}

// call makes a system call that cannot block.
func (x *IO) call(nr uintptr, fd int32, count int) (int, unix.Errno) {
	x.Syscalls++
	for {
		n, _, e := unix.RawSyscall6(nr, uintptr(fd), uintptr(unsafe.Pointer(&x.cells.messages)), uintptr(count),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// Attach implements AttachDatagrams.
func (x *IO) Attach(c *engine.Conn, fd int32) int {
	s, err := x.adopt(fd)
	if err != nil {
		return Negative(err)
	}
	return x.watch(c, fd, s)
}

// Connect implements ConnectDatagrams.
func (x *IO) Connect(c *engine.Conn, to *engine.Addr) int {
	fd, s, err := x.dial(to)
	if err != nil {
		return Negative(err)
	}
	res := x.watch(c, fd, s)
	if res < 0 {
		_ = unix.Close(int(fd))
	}
	return res
}

// adopt prepares fd for Receive and Send: it asks for the address that a datagram was sent to, and for the datagrams
// of one sender together where the kernel knows how (Linux 5.0).
func (x *IO) adopt(fd int32) (Socket, error) {
	x.Syscalls += 3
	family, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return 0, err
	}
	switch family {
	case unix.AF_INET:
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	case unix.AF_INET6:
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		x.Syscalls++
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1) // for IPv4, where it is received too
	default:
		err = unix.EAFNOSUPPORT
	}
	if err != nil {
		return 0, err
	}
	return x.gather(fd, family), nil
}

// dial opens a socket that is connected to to.
func (x *IO) dial(to *engine.Addr) (int32, Socket, error) {
	x.Syscalls += 3
	fd, err := unix.Socket(to.Family(), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, 0, err
	}
	x.cells.address = to.Raw
	address := uintptr(unsafe.Pointer(&x.cells.address))
	_, _, e := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), address, uintptr(to.Len))
	if e != 0 {
		_ = unix.Close(fd)
		return -1, 0, e
	}
	return int32(fd), x.gather(int32(fd), to.Family()) | bitConnected, nil
}

// gather has the kernel pass several datagrams of a sender on as one. One that cannot does not divide them either, or
// does not even know that it should.
func (x *IO) gather(fd int32, family int) Socket {
	var s Socket
	if unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) != nil {
		s = bitWhole
	}
	if family == unix.AF_INET6 {
		s |= bitSix
	}
	return s
}

// Negative is err as a result: a negative errno, or 0.
func Negative(err error) int {
	e, _ := err.(unix.Errno)
	return -int(e)
}

func mapCells() (*cells, error) {
	const flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE
	m, err := unix.Mmap(-1, 0, int(unsafe.Sizeof(cells{})), unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return nil, fmt.Errorf("map operands of datagrams: %w", err)
	}
	return (*cells)(unsafe.Pointer(unsafe.SliceData(m))), nil
}

func (k *cells) unmap() {
	_ = unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(k)), unsafe.Sizeof(*k)))
}
