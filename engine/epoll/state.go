package epoll

import "github.com/uringproxy/uringproxy/engine"

// The use of engine.Conn.Priv.
const (
	privBits = 0 // the bits below
	privNext = 1 // run list: the next slot plus one
	privSend = 2 // bitBlocked: the cell that holds the spans; bitSent: the result; of a UDP socket: an udp.Socket
)

const (
	bitIn      = 1 << iota // reading may yield something
	bitOut                 // writing may succeed
	bitHup                 // an end, a failure or urgent data: a short read does not prove the socket drained
	bitListed              // stands on the run list
	bitBlocked             // a send waits for room, its spans are in a cell
	bitSent                // a send is done, to be reported
	bitDialled             // a connect is done, to be reported; its errno is in the upper half
	bitFull                // a send out of a pipe found the socket full, which is reported when it no longer is

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

// push puts c at the end of the run list, unless it stands on a list already.
func (b *Backend) push(c *engine.Conn) {
	if c.Priv[privBits]&bitListed == 0 {
		b.append(&b.run, c)
	}
}

// append puts c, which is on no list, at the end of one.
func (b *Backend) append(l *runList, c *engine.Conn) {
	c.Priv[privBits] |= bitListed
	c.Priv[privNext] = 0
	if l.tail != 0 {
		b.env.Conns.At(l.tail - 1).Priv[privNext] = c.Slot + 1
	} else {
		l.head = c.Slot + 1
	}
	l.tail = c.Slot + 1
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
	case c.State&engine.StateDatagrams != 0 && c.State&engine.StateClosing == 0:
		return socket(c).Due()
	case c.State&(engine.StateClosing|engine.StateCancel) != 0, bits&(bitSent|bitDialled) != 0:
		return true
	case c.State&engine.StateConnect != 0:
		return bits&(bitOut|bitHup) != 0
	case bits&(bitBlocked|bitFull) != 0 && bits&bitOut != 0:
		return true
	}
	return c.State&engine.StateRecv != 0 && bits&bitIn != 0
}
