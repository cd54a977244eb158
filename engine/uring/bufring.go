package uring

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine/mem"
)

// maxIDs bounds a class: the kernel names a buffer by 16 bits, and we use its index in the class.
const maxIDs = 1 << 16

// bufferGroup is the group that the ring's buffers are registered as.
const bufferGroup = 0

// postedPart is the part of a class, one in so many, that is posted at most: a peer that sends as fast as we receive
// may have all of it before anybody can say no.
const postedPart = 4

// settleAfter is the number of quiet turns after which a target that a burst has raised is lowered again.
const settleAfter = 1 << 14

// bufRing is a ring of buffers that the kernel may receive into, one for a class of the arena.
//
// Only a few buffers are posted at a time: the kernel takes them in the order in which they were posted, so
// the fewer there are the sooner the same ones come round, still in the cache. When a burst finds the ring
// empty though the arena is not, the target grows; it shrinks again after a long quiet time.
//
// The kernel's share in a posted buffer is one reference, which passes to the event that reports the data.
type bufRing struct {
	arena   *mem.Arena
	entries []bufEntry
	class   mem.Class
	tail    uint16
	posted  uint32 // buffers that the kernel holds, as far as we have heard
	target  uint32 // how many it should hold
	least   uint32 // target's lower bound
	most    uint32 // target's upper bound
	quiet   uint32 // turns since the ring was last found empty

	base, stride, room uint32 // where a buffer's data lies: base + index*stride, room bytes
	addr               uint64 // address of the arena
	mem                []byte
}

// open registers a ring for class c.
func (b *bufRing) open(r *ring, a *mem.Arena, c mem.Class, target int) error {
	n := a.Count(c)
	if n == 0 || n > maxIDs {
		return fmt.Errorf("buffer class %d of %d buffers: must have between 1 and %d", c, n, maxIDs)
	}
	first := a.Data(mem.Make(c, 0))
	*b = bufRing{arena: a, class: c, base: first.Off, room: first.Len,
		addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(a.All()))))}
	if n > 1 {
		b.stride = a.Data(mem.Make(c, 1)).Off - first.Off
	}
	if err := b.register(r, ringSize(n)); err != nil {
		return err
	}
	b.most = uint32(min(max(n/postedPart, 1), len(b.entries)))
	b.least = min(uint32(target), b.most)
	b.target = b.least
	return nil
}

// ringSize is the number of entries for a class of n buffers: a power of two.
func ringSize(n int) int {
	size := minEntries
	for size < n && size < 4096 {
		size *= 2
	}
	return size
}

// register maps a ring and tells the kernel of it, with fewer entries when memory is short.
func (b *bufRing) register(r *ring, size int) error {
	for {
		m, err := unix.Mmap(-1, 0, size*int(unsafe.Sizeof(bufEntry{})), unix.PROT_READ|unix.PROT_WRITE,
			unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
		if err != nil {
			return fmt.Errorf("map buffer ring: %w", err)
		}
		base := unsafe.Pointer(unsafe.SliceData(m))
		reg := bufReg{ringAddr: uint64(uintptr(base)), ringEntries: uint32(size), bgid: bufferGroup}
		if err = r.registerBuffers(&reg); err == nil {
			b.mem, b.entries = m, unsafe.Slice((*bufEntry)(base), size)
			return nil
		}
		_ = unix.Munmap(m)
		if err != unix.ENOMEM || size/2 < minEntries {
			return stepError(fmt.Sprintf("register buffer ring of %d entries", size), err)
		}
		size /= 2
	}
}

// close unregisters the ring and drops the kernel's share of what is still posted. No receive may be in flight.
func (b *bufRing) close(r *ring) {
	if b.mem == nil {
		return
	}
	r.unregisterBuffers(bufferGroup)
	mask := uint16(len(b.entries) - 1)
	for i := range uint16(b.posted) {
		b.arena.Drop(mem.Make(b.class, uint32(b.entries[(b.tail-1-i)&mask].bid)))
	}
	_ = unix.Munmap(b.mem)
	b.mem, b.entries, b.posted = nil, nil, 0
}

// topUp posts buffers until the target is reached or the arena is spent; called once a turn, before entering
// the kernel.
func (b *bufRing) topUp() {
	if b.quiet++; b.quiet >= settleAfter {
		b.quiet = 0
		b.target = max(b.target-b.target/4, b.least)
	}
	if b.posted < b.target {
		b.post()
	}
}

func (b *bufRing) post() {
	entries := b.entries
	for b.posted < b.target {
		buf, ok := b.arena.TakeToReceive(b.class)
		if !ok {
			break
		}
		i := buf.Index()
		off := b.base + i*b.stride
		e := &entries[int(b.tail)&(len(entries)-1)]
		e.addr, e.len, e.bid = b.addr+uint64(off), b.room, uint16(i)
		b.tail++
		b.posted++
	}
	entries[0].tail = b.tail // a plain store: the kernel reads it in our own system calls only
}

// consume accounts for a completion that carries buffer bid. It returns the buffer with the reference that the data
// holds, and where the data starts.
func (b *bufRing) consume(bid uint32) (mem.Buf, uint32) {
	b.posted--
	return mem.Make(b.class, bid), b.base + bid*b.stride
}

// replenish is asked when a receive found the ring empty. It reports whether a further attempt may succeed: a
// buffer can be posted, or was since. More are posted from now on.
func (b *bufRing) replenish() bool {
	free := b.arena.Receivable(b.class) > 0
	if free && b.quiet > 0 { // once a turn, however many receives ask
		b.target = min(b.target*2, b.most)
		b.quiet = 0
	}
	return free || b.posted > 0
}
