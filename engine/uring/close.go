package uring

import (
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/internal/invariant"
)

// Close ends c: shut, join, release.
//
// Shut is shutdown(2), which ends receives and sends by itself and lets the peer see the end of stream. It is
// not used to reset, as the peer is to see nothing before the reset; nor while connecting, as the kernel
// would connect anew. Both cancel what is in flight instead.
func (b *Backend) Close(c *engine.Conn, reset bool) {
	if invariant.Enabled && c.State&engine.StateClosing != 0 {
		invariant.Fail("slot %d closed twice", c.Slot)
	}
	if c.State&engine.StateDatagrams != 0 {
		b.feed() // it may stand there
	}
	c.State |= engine.StateClosing
	if reset {
		c.Priv[privFlags] |= flagReset
	}
	switch {
	case c.Ops == 0:
		b.releaseSocket(c)
		b.done.push(b.conns, c)
	case reset || c.State&engine.StateConnect != 0:
		b.cancelOps(c)
	default:
		b.shutdown(c, unix.SHUT_RDWR)
	}
}

// cancelOps cancels whatever is in flight.
func (b *Backend) cancelOps(c *engine.Conn) {
	if c.State&(engine.StateRecv|engine.StateCancel) == engine.StateRecv {
		b.cancel(c, kindRecv)
	}
	if c.Priv[privFlags]&(flagRoom|flagPiped) != 0 {
		c.State &^= engine.StateSend // the ring does not know of it
	}
	if c.State&engine.StateSend != 0 {
		b.cancel(c, kindSend)
	}
	if c.State&engine.StateConnect != 0 {
		b.cancel(c, kindConnect)
	}
}

// releaseSocket closes the descriptor; nothing may be in flight.
func (b *Backend) releaseSocket(c *engine.Conn) {
	if c.FD < 0 {
		return
	}
	if c.Priv[privFlags]&flagReset != 0 {
		linger := unix.Linger{Onoff: 1}
		_ = unix.SetsockoptLinger(int(c.FD), unix.SOL_SOCKET, unix.SO_LINGER, &linger)
		b.syscalls++
	}
	_ = unix.Close(int(c.FD))
	b.syscalls++
	c.FD = -1
}

// settle is called for each completion of a closing connection, after what it carried has been put away. It
// reports whether the connection is now closed; ev then says so.
func (b *Backend) settle(c *engine.Conn, ev *engine.Event) bool {
	b.count.Stale++
	if c.Ops > 0 {
		return false
	}
	b.releaseSocket(c)
	*ev = engine.Event{Kind: engine.EvClosed, Slot: c.Slot, Gen: c.Gen}
	return true
}

// slotList is a first-in first-out list of slots, linked through the connections themselves: the ones with
// an event to report that comes of no completion.
type slotList struct{ first, last uint32 } // slots plus one; 0 is none

// push adds c, unless it is on the list already: what is reported of it depends on its state when it is taken.
func (l *slotList) push(t *engine.Table, c *engine.Conn) {
	if c.Priv[privFlags]&flagListed != 0 {
		return
	}
	c.Priv[privFlags] |= flagListed
	c.Priv[privNext] = 0
	if l.last == 0 {
		l.first = c.Slot + 1
	} else {
		t.At(l.last - 1).Priv[privNext] = c.Slot + 1
	}
	l.last = c.Slot + 1
}

// pop takes the first; the list must not be empty.
func (l *slotList) pop(t *engine.Table) *engine.Conn {
	c := t.At(l.first - 1)
	c.Priv[privFlags] &^= flagListed
	l.first = c.Priv[privNext]
	if l.first == 0 {
		l.last = 0
	}
	return c
}

// join moves all of other to the end of l.
func (l *slotList) join(t *engine.Table, other *slotList) {
	if l.last == 0 {
		*l = *other
	} else if other.first != 0 {
		t.At(l.last - 1).Priv[privNext] = other.first
		l.last = other.last
	}
	*other = slotList{}
}

// reportDone fills out from n on with the events of a list, which come of no completion.
func (b *Backend) reportDone(list *slotList, out []engine.Event, n int) int {
	for list.first != 0 && n < len(out) {
		c := list.pop(b.conns)
		if c.State&engine.StateClosing != 0 && c.Ops > 0 {
			continue // the last of its operations will say so
		}
		ev := engine.Event{Slot: c.Slot, Gen: c.Gen}
		switch {
		case c.State&engine.StateClosing != 0:
			c.State &^= engine.StateConnect
			ev.Kind = engine.EvClosed
		case c.Priv[privFlags]&flagPiped != 0:
			c.Priv[privFlags] &^= flagPiped
			c.State &^= engine.StateSend
			ev.Kind, ev.Res = engine.EvSent, int32(c.Priv[privRes])
		case c.State&engine.StateDatagrams == 0:
			c.State &^= engine.StateConnect
			ev.Kind, ev.Res = engine.EvConnected, int32(c.Priv[privRes])
		case socket(c).Due():
			socket(c).Tell()
			ev.Kind = engine.EvReadable
		default:
			continue
		}
		out[n] = ev
		n++
	}
	return n
}
