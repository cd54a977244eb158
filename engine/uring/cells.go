package uring

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// cells are what an operation points to besides its data: they live from the request to the submission, when
// the kernel copies them (FEAT_SUBMIT_STABLE). As no more operations wait than the submission queue has
// entries, that many cells in a circle suffice.
type cells struct {
	base unsafe.Pointer
	next uint32
	mask uint32
	data uint64 // address of the arena
	mem  []byte
}

// cell is what a send of several spans needs, or a connect. It fills whole cache lines.
type cell struct {
	msg  msghdr
	iov  [engine.SendSpansMax]iovec
	addr [110]byte
	_    [26]byte
}

func (c *cells) open(n uint32, a *mem.Arena) error {
	m, err := unix.Mmap(-1, 0, int(n)*int(unsafe.Sizeof(cell{})), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("map io_uring operands: %w", err)
	}
	*c = cells{base: unsafe.Pointer(unsafe.SliceData(m)), mask: n - 1, mem: m,
		data: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(a.All()))))}
	return nil
}

func (c *cells) take() *cell {
	i := c.next & c.mask
	c.next++
	return (*cell)(unsafe.Add(c.base, uintptr(i)*unsafe.Sizeof(cell{})))
}

func (c *cells) close() {
	if c.mem != nil {
		_ = unix.Munmap(c.mem)
		c.mem = nil
	}
}
