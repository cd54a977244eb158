package uring

import (
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// What is due comes of no completion: a send out of a pipe that has ended, and a receive that is tried without asking
// the ring first, since the one before has left something behind. A stream that does not pause then costs no poll, and
// its pieces grow while others have their turn.

// takeTurns gives the connections that are due their turn, each once, while out has room and until much has been
// received.
func (b *Backend) takeTurns(out []engine.Event, n int) int {
	b.bulked = 0
	for b.due.first != 0 && n < len(out) && b.bulked < bulkPerTurn {
		n = b.turn(b.due.pop(b.conns), out, n)
	}
	return n
}

// turn reports what of c is due from out[n] on, and returns the number of events then in out.
func (b *Backend) turn(c *engine.Conn, out []engine.Event, n int) int {
	if c.State&engine.StateClosing != 0 {
		if b.settle(c, &out[n]) {
			n++
		}
		return n
	}
	if c.Priv[privFlags]&flagPiped != 0 {
		c.Priv[privFlags] &^= flagPiped
		c.State &^= engine.StateSend
		out[n] = engine.Event{Kind: engine.EvSent, Slot: c.Slot, Gen: c.Gen, Res: int32(c.Priv[privRes])}
		n++
	}
	if c.Priv[privFlags]&flagAgain == 0 {
		return n
	}
	if n == len(out) {
		b.due.push(b.conns, c)
		return n
	}
	c.Priv[privFlags] &^= flagAgain
	res := int32(1)
	if c.State&engine.StateCancel != 0 {
		res = -int32(unix.ECANCELED)
	}
	if b.receiveOnce(c, res, &out[n]) {
		n++
	}
	return n
}
