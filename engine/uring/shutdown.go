package uring

import (
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// Shutdown waits for the kernel to let go, in turns of idleTurn nanoseconds. It gives up after idleTurns of them
// in which nothing came: a second in all.
const (
	idleTurns = 100
	idleTurn  = 10e6
)

// Shutdown cancels everything, waits until the kernel holds none of our memory, and releases what the
// backend owns.
func (b *Backend) Shutdown() {
	for slot := range b.highSlot {
		if c := b.conns.At(slot); c.State&engine.StateLive != 0 {
			c.State |= engine.StateClosing
		}
	}
	*b.ring.sqe() = sqe{
		opcode: opAsyncCancel, opFlags: cancelAny | cancelAll, userData: uint64(engine.MakeToken(0, 0, kindCancelAll)),
	}
	var out [64]engine.Event
	for idle := 0; idle < idleTurns && b.inFlight() && b.ring.err == nil; {
		if b.ring.ready() == 0 {
			_ = b.ring.enter(1, idleTurn, 0)
			if b.ring.ready() == 0 {
				idle++
			}
		}
		b.reap(out[:], 0)
	}
	b.release()
}

// inFlight tells whether the kernel still holds an operation, and closes the sockets of those where it
// holds none.
func (b *Backend) inFlight() bool {
	busy := b.accept.armed
	for slot := range b.highSlot {
		c := b.conns.At(slot)
		if c.State&engine.StateClosing == 0 {
			continue
		}
		if c.Ops > 0 {
			busy = true
		} else if c.FD >= 0 {
			b.releaseSocket(c)
		}
	}
	return busy
}

// release gives back everything but the connections' sockets, those excepted that the kernel would not let
// go. It also serves an Open that failed half-way.
func (b *Backend) release() {
	for slot := range b.highSlot {
		if c := b.conns.At(slot); c.State&engine.StateClosing != 0 && c.FD >= 0 {
			_ = unix.Close(int(c.FD))
			c.FD = -1
		}
	}
	b.wake.close()
	b.accept.close()
	b.small.close(&b.ring)
	b.ring.close()
	b.cells.close()
	b.udp.Close()
}
