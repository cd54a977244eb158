package epoll

import "github.com/uringproxy/uringproxy/engine"

// The use of engine.Conn.Priv.
const (
	privBits = 0 // the bits below
	privNext = 1 // run list: the next slot plus one
	privSend = 2 // bitBlocked: the cell that holds the spans; bitSent: the result
)

const (
	bitIn      = 1 << iota // reading may yield something
	bitOut                 // writing may succeed
	bitHup                 // the peer ended or the socket failed: a short read does not prove it drained
	bitListed              // stands on the run list
	bitBlocked             // a send waits for room, its spans are in a cell
	bitSent                // a send is done, to be reported
	bitDialled             // a connect is done, to be reported; its errno is in the upper half

	modeShift  = 8 // two bits: the armed receive's engine.RecvMode
	modeMask   = 3 << modeShift
	errnoShift = 16
)

func mode(c *engine.Conn) engine.RecvMode {
	return engine.RecvMode(c.Priv[privBits] & modeMask >> modeShift)
}

// runList is the queue of connections with something to do or to report, first in first out, linked by slots
// through the connections themselves.
type runList struct {
	head, tail uint32 // slot plus one; 0 for none
}

func (l *runList) empty() bool { return l.head == 0 }

// push puts c at the end, unless it stands there already.
func (b *Backend) push(c *engine.Conn) {
	if c.Priv[privBits]&bitListed != 0 {
		return
	}
	c.Priv[privBits] |= bitListed
	c.Priv[privNext] = 0
	if b.run.tail != 0 {
		b.env.Conns.At(b.run.tail - 1).Priv[privNext] = c.Slot + 1
	} else {
		b.run.head = c.Slot + 1
	}
	b.run.tail = c.Slot + 1
}

// pop takes the first connection off the list, which must not be empty.
func (b *Backend) pop() *engine.Conn {
	c := b.env.Conns.At(b.run.head - 1)
	b.run.head = c.Priv[privNext]
	if b.run.head == 0 {
		b.run.tail = 0
	}
	c.Priv[privBits] &^= bitListed
	return c
}

// runnable reports whether c has something to report, or something to do that it is ready for.
func runnable(c *engine.Conn) bool {
	bits := c.Priv[privBits]
	switch {
	case c.State&(engine.StateClosing|engine.StateCancel) != 0, bits&(bitSent|bitDialled) != 0:
		return true
	case c.State&engine.StateConnect != 0:
		return bits&(bitOut|bitHup) != 0
	case bits&bitBlocked != 0 && bits&bitOut != 0:
		return true
	}
	return c.State&engine.StateRecv != 0 && bits&bitIn != 0
}
