package epoll

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

const (
	eventsMax = 512 // edges taken by one epoll_wait
	peersMax  = 256 // sockets accepted by one Poll
)

// cells is the memory outside the arena that system calls read and write.
type cells struct {
	events  [eventsMax]unix.EpollEvent
	peers   [peersMax]peerCell
	timeout unix.Timespec
	linger  unix.Linger
	option  int32
	size    uint32
	address [128]byte
	header  unix.Msghdr
	iov     [engine.SendSpansMax]unix.Iovec
}

// peerCell takes a socket address of either IP family; a unix peer's name is cut off, and ignored.
type peerCell [unix.SizeofSockaddrInet6]byte

func mapCells() (*cells, error) {
	m, err := mapMemory(int(unsafe.Sizeof(cells{})))
	if err != nil {
		return nil, fmt.Errorf("map system call cells: %w", err)
	}
	return (*cells)(unsafe.Pointer(unsafe.SliceData(m))), nil
}

// mapMemory reserves zeroed memory, which takes room when it is touched.
func mapMemory(size int) ([]byte, error) {
	const flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, flags)
}

func (k *cells) unmap() {
	if k != nil {
		unix.Munmap(unsafe.Slice((*byte)(unsafe.Pointer(k)), unsafe.Sizeof(*k)))
	}
}
