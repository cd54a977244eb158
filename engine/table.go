package engine

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/internal/invariant"
)

// Conn is what a backend knows of one socket: a slot of the shard's connection table. It is free of
// pointers, and its address is stable until the table is closed. The fields are written by the shard's
// thread only.
type Conn struct {
	FD   int32  // the socket; -1 while the slot has none
	Slot uint32 // this slot's index, constant
	Gen  uint32 // counts the slot's reuses; an event of an older generation is stale

	// Ops is the number of operations the kernel still holds for this socket: the slot is released
	// only when it is zero. Owned by the backend.
	Ops   uint16
	State State // owned by the backend; others read it through the methods
	_     uint8

	// Most bounds a receive into a pipe. Owned by the backend.
	Most uint32

	// Priv is the backend's own: pending work, list links. Meaningless to everyone else.
	Priv [3]uint32
}

const _ = uint(32 - unsafe.Sizeof(Conn{})) // two connections share a cache line

// State is the set of things a backend is doing for a Conn.
type State uint8

const (
	StateRecv      State = 1 << iota // true exactly while a receive is armed
	StateCancel                      // a cancellation of that receive is under way
	StateSend                        // true exactly while a send is in flight
	StateConnect                     // true exactly while a connect is in flight
	StateClosing                     // Close was called; the only event still to come is EvClosed
	StateLive                        // the slot is in use
	StateDatagrams                   // the socket is a UDP socket
)

// The state is that of the last Poll: while its batch is being worked off, an operation may have ended whose event is
// still waiting further back in the batch.

// RecvArmed reports whether a receive is armed: its last event, the one without FlagMore, is to come.
func (c *Conn) RecvArmed() bool { return c.State&StateRecv != 0 }

// SendBusy reports whether a send is in flight: its EvSent is to come.
func (c *Conn) SendBusy() bool { return c.State&StateSend != 0 }

// Closing reports whether Close was called.
func (c *Conn) Closing() bool { return c.State&StateClosing != 0 }

// Table is a shard's slab of connections, reserved whole at start and touched page by page.
type Table struct {
	conns []Conn
	free  []uint32
	high  uint32 // slots from high on were never used
	live  int
}

// NewTable reserves a table of n slots (at most 1<<24). It must be closed.
func NewTable(n int) (*Table, error) {
	if n <= 0 || n > 1<<24 {
		return nil, fmt.Errorf("connection table of %d slots: must be between 1 and %d", n, 1<<24)
	}
	size := n * int(unsafe.Sizeof(Conn{}))
	const lazily = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS | unix.MAP_NORESERVE
	m, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, lazily)
	if err != nil {
		return nil, fmt.Errorf("map connection table of %d slots: %w", n, err)
	}
	conns := unsafe.Slice((*Conn)(unsafe.Pointer(unsafe.SliceData(m))), n)
	return &Table{conns: conns, free: make([]uint32, 0, n)}, nil
}

// Close unmaps the table.
func (t *Table) Close() error {
	if t.conns == nil {
		return nil
	}
	p := (*byte)(unsafe.Pointer(unsafe.SliceData(t.conns)))
	size := len(t.conns) * int(unsafe.Sizeof(Conn{}))
	t.conns = nil
	return unix.Munmap(unsafe.Slice(p, size))
}

// Alloc takes a free slot; nil when the table is full.
func (t *Table) Alloc() *Conn {
	var slot uint32
	if n := len(t.free); n > 0 {
		slot = t.free[n-1]
		t.free = t.free[:n-1]
	} else if int(t.high) < len(t.conns) {
		slot = t.high
		t.high++
	} else {
		return nil
	}
	c := &t.conns[slot]
	c.FD, c.Slot, c.Ops, c.State = -1, slot, 0, StateLive
	c.Priv = [3]uint32{}
	t.live++
	return c
}

// Release gives a slot back. The backend must be done with it: after EvClosed, or before Attach and Connect.
func (t *Table) Release(c *Conn) {
	if invariant.Enabled && (c.State&StateLive == 0 || c.Ops != 0) {
		invariant.Fail("slot %d released in state %#x with %d operations in flight", c.Slot, c.State, c.Ops)
	}
	c.Gen = (c.Gen + 1) & GenMask
	c.State = 0
	c.FD = -1
	t.free = append(t.free, c.Slot)
	t.live--
}

// GenMask bounds a generation, so that slot, generation and kind fit the kernel's 64 bits of user data.
const GenMask = 1<<24 - 1

// At is the connection in a slot.
func (t *Table) At(slot uint32) *Conn { return &t.conns[slot] }

// Len is the number of slots; Live the number in use.
func (t *Table) Len() int  { return len(t.conns) }
func (t *Table) Live() int { return t.live }

// Unacked is what a backend on real sockets answers to Backend.Unacked: the length of the socket's send queue (tcp(7),
// SIOCOUTQ), which for TCP counts until the peer has acknowledged.
func Unacked(c *Conn) int {
	n, err := unix.IoctlGetInt(int(c.FD), unix.TIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

// AckNow is how a backend on real sockets does Backend.AckNow. It fails where there are no acknowledgements.
func AckNow(c *Conn) {
	_ = unix.SetsockoptInt(int(c.FD), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
}
