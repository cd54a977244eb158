package accesslog

import (
	"fmt"
	"math/bits"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Rings is the rings of all shards and the bell by which they call their one consumer.
type Rings struct {
	bell  bell
	rings []*Ring
}

// MinRing is the least size of a ring in bytes: a power of two that holds two lines of MaxLine.
const MinRing = 256 << 10

const _ = uint(MinRing - 2*MaxLine)

// NewRings makes n rings of size bytes each, a power of two of at least MinRing. They must be closed.
func NewRings(n, size int, f Format) (*Rings, error) {
	if size < MinRing || bits.OnesCount(uint(size)) != 1 {
		return nil, fmt.Errorf("access log ring of %d bytes: must be a power of two of at least %d", size, MinRing)
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("create access log eventfd: %w", err)
	}
	rs := &Rings{bell: bell{fd: fd}}
	for range n {
		rs.rings = append(rs.rings, newRing(size, f, &rs.bell))
	}
	return rs, nil
}

// Len is the number of rings.
func (rs *Rings) Len() int { return len(rs.rings) }

// Ring is the ring of shard i.
func (rs *Rings) Ring(i int) *Ring { return rs.rings[i] }

// Dropped is the number of lines lost in all rings.
func (rs *Rings) Dropped() (n uint64) {
	for _, r := range rs.rings {
		n += r.Dropped()
	}
	return n
}

// Close releases the bell. The shards and the consumer must be done.
func (rs *Rings) Close() error { return unix.Close(rs.bell.fd) }

// BellFD is the eventfd that becomes readable when the consumer is called. It stays the rings'.
func (rs *Rings) BellFD() int { return rs.bell.fd }

// The consumer says with Nap, Park and Woken how eagerly it wants to be called.

// Nap announces that the consumer looks again soon, and wants to be called only when a ring gets crowded. It reports
// false when one is: the consumer should not wait then.
func (rs *Rings) Nap() bool {
	rs.bell.state.Store(napping)
	for _, r := range rs.rings {
		if r.crowded() {
			return false
		}
	}
	return true
}

// Park announces that the consumer sleeps until a line is appended. It reports false when there is one already.
func (rs *Rings) Park() bool {
	rs.bell.state.Store(parked)
	for _, r := range rs.rings {
		if r.used() > 0 {
			return false
		}
	}
	return true
}

// Woken announces that the consumer is at work, and need not be called.
func (rs *Rings) Woken() { rs.bell.state.Store(awake) }

// The states of the consumer.
const (
	awake uint32 = iota
	napping
	parked
)

// bell wakes the consumer. While the consumer is at work or naps between two looks, a shard does no more than read a
// word; the system call is made once for a consumer that had parked, or when a ring fills up unexpectedly fast.
//
// No call is lost: the shard publishes its line and then reads the state, the consumer publishes its state and
// then looks at the rings, and both orders are sequentially consistent.
type bell struct {
	state atomic.Uint32
	fd    int
}

func (b *bell) appended(r *Ring) {
	if s := b.state.Load(); s == parked || s == napping && r.crowded() {
		if b.state.Swap(awake) != awake {
			b.ring()
		}
	}
}

// one is the number 1 as eventfd(2) wants it, in either byte order a number above 0.
var one = [8]byte{0: 1}

// ring makes the eventfd readable. It cannot fail in a way that matters: EAGAIN means that it is readable already.
func (b *bell) ring() { _, _ = unix.Write(b.fd, one[:]) }
