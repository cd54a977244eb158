package uring

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/internal/invariant"
)

// acceptShare: one event in so many is kept for accepted sockets when there are some and other events would fill all.
const acceptShare = 8

// Poll submits what was queued, waits, and fills out. It may return early without an event: after a signal,
// or when what happened concerns the backend alone. What does not fit into out is reported by the next Poll,
// which does not wait then.
func (b *Backend) Poll(timeout int64, out []engine.Event) (int, error) {
	b.accept.peers = 0
	if b.fed() {
		b.feed()
	}
	n := b.reportDone(&b.moved, out, 0) // all of them, or no completion is looked at in this turn
	if b.done.first != 0 {
		most := max(1, n, len(out)/2) // UDP sockets in need of turns must not take all of each
		n = b.reportDone(&b.done, out[:most], n)
	}
	b.small.topUp()
	ready := b.ring.ready()
	if ready == 0 || b.ring.pending() > 0 {
		if ready > 0 || n > 0 || b.accept.dirty {
			timeout = 0
		}
		if err := b.enter(timeout); err != nil {
			b.publish(n)
			return n, err
		}
	}
	room := out
	if b.accept.dirty {
		room = out[:len(out)-len(out)/acceptShare] // those who are here must not keep others out for ever
	}
	n = b.reap(room, n)
	if b.accept.dirty {
		n = b.acceptReady(out, n)
		n = b.reportDone(&b.done, out, n)
	}
	b.publish(n)
	return n, b.ring.err
}

// enter is the one system call of a turn.
func (b *Backend) enter(timeout int64) error {
	sends := b.sends
	b.sends = 0
	if timeout == 0 || !b.wake.sleep() {
		b.wake.consume()
		return b.ring.enter(0, 0, 0)
	}
	var err error
	gather := b.gather > 0 && b.minWait > 0
	if gather {
		// Sends are as good as done when they are submitted: they are not what is waited for.
		err = b.ring.enter(b.gather+sends, timeout, b.minWait)
	} else {
		err = b.ring.enter(1, timeout, 0)
	}
	b.wake.rise()
	return err
}

const (
	// defaultMinWait is small against what a request takes under load, and long enough to save most turns.
	defaultMinWait = 30 * time.Microsecond
	// gatherFrom is the number of busy connections from which on a wait gathers completions: with fewer, the one that
	// it delays is too likely to be the only one.
	gatherFrom = 16
	// gatherShare and gatherMost say how many completions a wait holds out for: a share of the busy connections.
	gatherShare, gatherMost = 8, 16
)

// Expect implements engine.Backend.
func (b *Backend) Expect(busy int) {
	b.gather = 0
	if busy >= gatherFrom {
		b.gather = uint32(min(busy/gatherShare, gatherMost))
	}
}

// reap translates completions to events while there is room for them, and until much has been received.
func (b *Backend) reap(out []engine.Event, n int) int {
	ready := b.ring.ready()
	if ready == 0 {
		return n
	}
	var i uint32
	b.bulked = 0
	for i < ready && n < len(out) && b.bulked < bulkPerTurn {
		e := b.ring.cqe(i)
		i++
		tok := engine.Token(e.userData)
		if tok.Kind() >= kindEpoll {
			if tok.Kind() == kindEpoll {
				b.epollReady(e)
			}
			continue
		}
		c := b.conns.At(tok.Slot())
		if invariant.Enabled && (c.Gen != tok.Gen() || c.Ops == 0) {
			invariant.Fail("completion %#x of slot %d, generation %d, %d operations", e.userData, c.Slot, c.Gen, c.Ops)
		}
		var reported bool
		switch tok.Kind() {
		case kindRecv:
			reported = b.received(c, e, &out[n])
		case kindSend:
			reported = b.sent(c, e, &out[n])
		case kindConnect:
			reported = b.ended(c, e, engine.StateConnect, engine.EvConnected, &out[n])
		default:
			reported = b.cancelled(c, e, tok.Kind()-kindCancel, &out[n])
		}
		if reported {
			n++
		}
	}
	b.ring.advance(i)
	return n
}

// received handles a completion of a receive. It reports whether ev was set.
func (b *Backend) received(c *engine.Conn, e *cqe, ev *engine.Event) bool {
	mode := engine.RecvMode(c.Priv[privFlags] >> flagModeShift)
	if mode >= engine.RecvBulk {
		return b.bulkReady(c, e, ev, mode)
	}
	res, buf, off := e.res, mem.NoBuf, uint32(0)
	if e.flags&cqeBuffer != 0 {
		buf, off = b.small.consume(e.flags >> cqeBufferShift)
		if res <= 0 {
			b.arena.Drop(buf)
			buf = mem.NoBuf
		}
	}
	armed := e.flags&cqeMore != 0
	if !armed {
		c.Ops--
	}
	if c.State&engine.StateClosing != 0 {
		if !armed {
			c.State &^= engine.StateRecv | engine.StateCancel
		}
		b.arena.Drop(buf)
		return b.settle(c, ev)
	}
	if !armed {
		if armed = b.carryOn(c, mode, res); armed && res < 0 {
			return false
		}
		if !armed {
			if res == -int32(unix.ENOBUFS) {
				res = b.noBufs(c)
			}
			c.State &^= engine.StateRecv | engine.StateCancel
		}
	}
	*ev = engine.Event{Kind: engine.EvRecv, Slot: c.Slot, Gen: c.Gen, Res: res, Off: off, Buf: buf}
	if armed {
		ev.Flags = engine.FlagMore
	}
	if e.flags&cqeSockNonEmpty != 0 && res > 0 {
		ev.Flags |= engine.FlagNonEmpty
	}
	return true
}

// carryOn arms a receive again that the kernel has ended though the caller need not know: one that found the
// ring of buffers empty while the arena was not, and a stream that could not stay armed (before Linux 6.0, or
// when the completion queue overflowed). Where streams have a limit, the caller is asked.
func (b *Backend) carryOn(c *engine.Conn, mode engine.RecvMode, res int32) bool {
	if c.State&engine.StateCancel != 0 {
		return false
	}
	if res > 0 && mode == engine.RecvStream && b.streamMost == 0 || res == -int32(unix.ENOBUFS) && b.small.replenish() {
		b.arm(c, mode)
		return true
	}
	return false
}

// noBufs is the result to report for a receive that found no buffer.
func (b *Backend) noBufs(c *engine.Conn) int32 {
	if c.State&engine.StateCancel != 0 {
		return -int32(unix.ECANCELED)
	}
	b.count.NoBufs++
	return -int32(unix.ENOBUFS)
}

// sent handles the completion of a send. It reports whether ev was set.
func (b *Backend) sent(c *engine.Conn, e *cqe, ev *engine.Event) bool {
	if e.res == -int32(unix.EAGAIN) && c.State&engine.StateClosing == 0 {
		errno, ok := b.awaitRoom(c)
		if ok {
			c.Ops--
			return false
		}
		e.res = errno
	}
	return b.ended(c, e, engine.StateSend, engine.EvSent, ev)
}

// ended handles the completion of a send or connect. It reports whether ev was set.
func (b *Backend) ended(c *engine.Conn, e *cqe, state engine.State, kind engine.Kind, ev *engine.Event) bool {
	c.Ops--
	c.State &^= state
	if c.State&engine.StateClosing != 0 {
		return b.settle(c, ev)
	}
	*ev = engine.Event{Kind: kind, Slot: c.Slot, Gen: c.Gen, Res: e.res}
	return true
}

// stateOf is the state of an operation in flight, by its kind.
var stateOf = [...]engine.State{
	kindRecv: engine.StateRecv, kindSend: engine.StateSend, kindConnect: engine.StateConnect,
}

// cancelled handles the completion of the cancellation of an operation of a kind, which reports its own end.
// It reports whether ev was set.
func (b *Backend) cancelled(c *engine.Conn, e *cqe, kind uint8, ev *engine.Event) bool {
	c.Ops--
	if c.State&engine.StateClosing == 0 {
		return false
	}
	if e.res < 0 && c.State&stateOf[kind] != 0 && kind != kindConnect {
		b.shutdown(c, unix.SHUT_RDWR) // the kernel did not find it, yet it has not ended: end it this way
	}
	return b.settle(c, ev)
}
