// Package mem owns a shard's buffer memory: one mmap'ed arena, cut into buffers of a few classes.
//
// The kernel is given addresses of this memory only, never of the Go heap, so that the garbage
// collector neither scans nor moves what an operation in flight refers to. Everything in it is named
// by an offset from the arena's start (Span) and by the buffer it lies in (Buf); there are no pointers.
//
// Invariants: the arena never grows after NewArena, so the budget is a sum that is known at start; a
// buffer returns to its class when its last reference is dropped, and not before; an idle connection
// holds no buffer. An arena belongs to one shard and is used on that shard's thread only.
//
// Imported by the engine backends, shard and proxy.
package mem

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/internal/invariant"
)

// Class is a kind of buffer.
type Class uint8

const (
	// Small buffers receive heads and everything on connections that are idle or interactive. Each
	// has Headroom spare bytes before the data, so that a head can be edited in place.
	Small Class = iota
	// Bulk buffers receive bodies that have proved to be large. There is no headroom.
	Bulk
	// Head buffers hold a message head that outgrew a Small buffer. They have Headroom too.
	Head
	// Record buffers hold one TLS record: one that came in several pieces, or some that are on their way out. There is
	// no headroom.
	Record
	// Pipe buffers are pipes of the kernel, between two sockets whose bytes need not be looked at. They take no memory
	// of the arena, and a span of one says only how many bytes it is about.
	Pipe
	classes
)

// Headroom is the number of bytes before the data of a Small or Head buffer that belong to whoever
// holds the buffer: fields added to a message head are written there. It is enough for all of them with the longest
// host name in each.
const Headroom = 1280

// Tailroom is the number of bytes behind the data capacity of every buffer, enough for the CRLF that
// ends a chunk.
const Tailroom = 16

// Buf names a buffer: its class in the top four bits, its index below.
type Buf uint32

// NoBuf is the Buf that names none.
const NoBuf Buf = ^Buf(0)

const indexBits = 28

// Class tells which class b belongs to.
func (b Buf) Class() Class { return Class(b >> indexBits) }

// Index is b's number within its class.
func (b Buf) Index() uint32 { return uint32(b) & (1<<indexBits - 1) }

// Make names buffer number index of class c.
func Make(c Class, index uint32) Buf { return Buf(uint32(c)<<indexBits | index) }

// Span is a range of an arena's bytes.
type Span struct{ Off, Len uint32 }

// End is the offset behind the span's last byte.
func (s Span) End() uint32 { return s.Off + s.Len }

// Sizes is the budget of an arena, one line per consumer: how many buffers of each class, and how
// many data bytes a Bulk buffer has. The other sizes are fixed.
type Sizes struct {
	Small, Bulk, Head, Record int

	BulkBytes int
	// Pipes is the number of Pipe buffers: of descriptors twice as many, and of the kernel's memory up to PipeBytes
	// each while a peer does not read.
	Pipes int
}

const (
	// SmallBytes is the data capacity of a Small buffer.
	SmallBytes = 4096
	// HeadBytes is the data capacity of a Head buffer: the largest message head we accept.
	HeadBytes = 64 << 10
	// RecordBytes is the data capacity of a Record buffer: the longest record of TLS with its header, nonce and tag.
	RecordBytes = 16<<10 + 32
	// colour staggers the buffers by cache lines: with strides of a whole page the first lines of
	// all buffers would compete for the same few sets of the cache.
	colour = 192
)

// Bytes is the address space that the budget takes. Pages are touched on first use, and buffers are
// reused last-in first-out, so the resident size follows the real need.
func (s Sizes) Bytes() int64 {
	return int64(s.Small)*int64(Headroom+SmallBytes+Tailroom+colour) +
		int64(s.Bulk)*int64(s.BulkBytes+Tailroom+colour) +
		int64(s.Head)*int64(Headroom+HeadBytes+Tailroom+colour) +
		int64(s.Record)*int64(RecordBytes+Tailroom+colour)
}

type pool struct {
	base, stride, room, cap uint32
	kept                    int      // how many are not for what is received
	free                    []uint32 // LIFO: the buffer used last is the one still in the cache
	refs                    []uint16
}

// keptPart is the part of the Small buffers, one in so many, that no receive may take: however much comes at once,
// there are some for what has to be done with it, like a head that is moved, a handshake's last words or a refusal.
const keptPart = 16

// Arena is one shard's buffer memory.
type Arena struct {
	mem   []byte
	pools [classes]pool
	pipes pipes
}

// NewArena maps the memory of one shard. The arena must be closed.
func NewArena(s Sizes) (*Arena, error) {
	total := s.Bytes()
	if total <= 0 || total >= 1<<32 {
		return nil, fmt.Errorf("buffer arena of %d bytes: must be between 1 byte and 4 GiB a shard", total)
	}
	m, err := reserve(int(total))
	if err != nil {
		return nil, fmt.Errorf("map buffer arena of %d bytes: %w", total, err)
	}
	a := &Arena{mem: m, pipes: pipes{ends: make([]PipeEnds, s.Pipes)}}
	at := a.cut(Small, 0, s.Small, Headroom, SmallBytes)
	at = a.cut(Bulk, at, s.Bulk, 0, s.BulkBytes)
	at = a.cut(Head, at, s.Head, Headroom, HeadBytes)
	at = a.cut(Record, at, s.Record, 0, RecordBytes)
	a.cut(Pipe, at, s.Pipes, 0, 0)
	return a, nil
}

func (a *Arena) cut(c Class, at uint32, n, room, capacity int) uint32 {
	p := pool{
		base: at, room: uint32(room), cap: uint32(capacity),
		stride: uint32(room + capacity + Tailroom + colour),
		free:   make([]uint32, n), refs: make([]uint16, n),
	}
	for i := range p.free {
		p.free[i] = uint32(n - 1 - i)
	}
	if c == Small {
		p.kept = n / keptPart
	}
	a.pools[c] = p
	return at + uint32(n)*p.stride
}

// Close unmaps the arena and closes its pipes. No operation may be in flight and no span may be used afterwards.
func (a *Arena) Close() error {
	for i := range a.pipes.ends {
		a.pipes.close(uint32(i))
	}
	return unix.Munmap(a.mem)
}

// Take takes a buffer with one reference; false when the class is spent.
func (a *Arena) Take(c Class) (Buf, bool) {
	p := &a.pools[c]
	n := len(p.free)
	if n == 0 {
		return NoBuf, false
	}
	i := p.free[n-1]
	p.free = p.free[:n-1]
	if invariant.Enabled && p.refs[i] != 0 {
		invariant.Fail("free buffer %d of class %d has %d references", i, c, p.refs[i])
	}
	p.refs[i] = 1
	return Make(c, i), true
}

// TakeToReceive is Take for what the kernel is about to fill. It does not take the last Small buffers.
func (a *Arena) TakeToReceive(c Class) (Buf, bool) {
	if p := &a.pools[c]; len(p.free) <= p.kept {
		return NoBuf, false
	}
	return a.Take(c)
}

// Receivable is the number of buffers that TakeToReceive would find.
func (a *Arena) Receivable(c Class) int { return max(len(a.pools[c].free)-a.pools[c].kept, 0) }

// Hold adds a reference to b.
func (a *Arena) Hold(b Buf) { a.pools[b.Class()].refs[b.Index()]++ }

// Drop gives one reference of b back; with the last one the buffer is free again. NoBuf is ignored.
func (a *Arena) Drop(b Buf) {
	if b == NoBuf {
		return
	}
	p := &a.pools[b.Class()]
	i := b.Index()
	if invariant.Enabled && p.refs[i] == 0 {
		invariant.Fail("buffer %d of class %d dropped twice", i, b.Class())
	}
	p.refs[i]--
	if p.refs[i] > 0 {
		return
	}
	if b.Class() == Pipe {
		if a.pipes.ends[i].held > 0 {
			a.pipes.close(i) // what is in it would be somebody else's
		}
	} else if invariant.Enabled {
		a.poison(b)
	}
	p.free = append(p.free, i) // never grows: capacity is the number of buffers
}

// poison overwrites a free buffer, so that a span kept too long fails a test instead of passing by luck.
func (a *Arena) poison(b Buf) {
	p := &a.pools[b.Class()]
	at := p.base + b.Index()*p.stride
	m := a.mem[at : at+p.room+p.cap]
	m[0] = 0xCC
	for n := 1; n < len(m); n *= 2 { // not byte by byte, which takes milliseconds under the race detector
		copy(m[n:], m[:n])
	}
}

// Data is the span of b that receives data: behind the headroom, Cap bytes long.
func (a *Arena) Data(b Buf) Span {
	p := &a.pools[b.Class()]
	return Span{Off: p.base + b.Index()*p.stride + p.room, Len: p.cap}
}

// Bytes are the bytes of a span. The slice is valid while the span's buffer is held.
func (a *Arena) Bytes(s Span) []byte { return a.mem[s.Off : s.Off+s.Len : s.Off+s.Len] }

// All is the whole arena, for code that works with offsets.
func (a *Arena) All() []byte { return a.mem }

// Free is the number of free buffers of class c.
func (a *Arena) Free(c Class) int { return len(a.pools[c].free) }

// Count is the number of buffers of class c, free or not.
func (a *Arena) Count(c Class) int { return len(a.pools[c].refs) }

// InUse is the number of buffers of class c that somebody (a backend's ring included) holds.
func (a *Arena) InUse(c Class) int { return a.Count(c) - a.Free(c) }
