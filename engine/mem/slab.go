package mem

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Slab is a fixed array of T outside the Go heap, reserved whole and touched page by page: its virtual size is
// the limit, its resident size what was really used. Free entries are handed out last-in first-out, so that the
// ones in the cache come first. T must not contain Go pointers.
//
// Index 0 is never handed out: it means "none" in whatever refers to the slab.
type Slab[T any] struct {
	items []T
	free  []uint32
	high  uint32
	raw   []byte
}

// NewSlab reserves a slab of n entries. It must be closed.
func NewSlab[T any](n int) (*Slab[T], error) {
	var t T
	size := (n + 1) * int(unsafe.Sizeof(t))
	raw, err := reserve(size)
	if err != nil {
		return nil, fmt.Errorf("map slab of %d bytes: %w", size, err)
	}
	items := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(raw))), n+1)
	return &Slab[T]{items: items, free: make([]uint32, 0, n), high: 1, raw: raw}, nil
}

// reserve maps address space that costs memory only where it is touched.
func reserve(size int) ([]byte, error) {
	const lazily = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, lazily)
}

// Close unmaps the slab.
func (s *Slab[T]) Close() error { return unix.Munmap(s.raw) }

// Take returns a free entry's index, or 0 when there is none. The entry holds what its last user left there.
func (s *Slab[T]) Take() uint32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	if int(s.high) >= len(s.items) {
		return 0
	}
	s.high++
	return s.high - 1
}

// Put gives an entry back.
func (s *Slab[T]) Put(i uint32) { s.free = append(s.free, i) }

// At is the entry with index i.
func (s *Slab[T]) At(i uint32) *T { return &s.items[i] }

// Used is the number of entries taken and not given back.
func (s *Slab[T]) Used() int { return int(s.high) - 1 - len(s.free) }

// Len is the number of entries.
func (s *Slab[T]) Len() int { return len(s.items) - 1 }
