package sim

import (
	"bytes"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// What of a connection can be late independently of the rest.
const (
	opConnect = iota
	opRecv
	opSend
	opReadable
	opClose
	operations
)

// Poll implements engine.Backend.
func (b *Backend) Poll(timeout int64, out []engine.Event) (int, error) {
	w := b.w
	b.env.Stats.Polls++
	end := w.now + timeout
	for {
		for f := w.due(); f != nil; f = w.due() {
			f()
		}
		n, next := b.turn(out)
		if n > 0 {
			b.env.Stats.Events += uint64(n)
			return n, nil
		}
		if i := w.earliest(); i >= 0 && (next < 0 || w.timers[i].at < next) {
			next = w.timers[i].at
		}
		select {
		case <-b.wake:
			return 0, nil
		default:
		}
		switch {
		case timeout >= 0 && (next < 0 || next > end):
			w.now = end
			return 0, nil
		case next < 0:
			<-b.wake // nothing can ever happen by itself
			return 0, nil
		}
		w.now = next
	}
}

// turn reports what is due, in an order drawn by chance, and returns the number of events and, when there are none, the
// time of the next one (negative: none is to come).
func (b *Backend) turn(out []engine.Event) (n int, next int64) {
	next = -1
	if len(out) == 0 {
		return 0, b.w.now
	}
	b.peers = b.peers[:0]
	n = b.accept(out)
	b.w.rng.Shuffle(len(b.live), func(i, k int) { b.live[i], b.live[k] = b.live[k], b.live[i] })
	rest := b.live[:0]
	for _, so := range b.live {
		gone := false
		if n < len(out) {
			var at int64
			var k int
			k, at, gone = b.step(so, out[n:])
			n += k
			if at >= 0 && (next < 0 || at < next) {
				next = at
			}
		}
		if !gone {
			rest = append(rest, so)
		}
	}
	b.live = rest
	return n, next
}

// accept takes waiting connections, at most one of each listener.
func (b *Backend) accept(out []engine.Event) int {
	w, n := b.w, 0
	for _, l := range b.numbers {
		s := b.listens[l]
		if len(s.queue) == 0 || n == (len(out)+1)/2 {
			continue
		}
		ev := engine.Event{Kind: engine.EvAccept, Listener: l, Res: errno(unix.EMFILE)}
		if !w.chance(w.faults.NoFiles) {
			w.nextFD++
			w.fds[w.nextFD] = s.queue[0]
			ev.Res, ev.Off = int32(w.nextFD), uint32(len(b.peers))
			b.peers = append(b.peers, s.queue[0].peer.addr)
			s.queue = s.queue[1:]
			b.env.Stats.Accepts++
		}
		out[n] = ev
		n++
	}
	return n
}

// step reports what is due of one connection: the number of events, the time of the next one when it is late, and
// whether the connection is gone.
func (b *Backend) step(so *socket, out []engine.Event) (n int, next int64, gone bool) {
	c := so.c
	next = -1
	report := func(op int, f func(*socket, *engine.Event)) {
		if n == len(out) {
			next = b.w.now
			return
		}
		if at := b.when(so, op); at > b.w.now {
			if next < 0 || at < next {
				next = at
			}
			return
		}
		so.due[op] = 0
		out[n] = engine.Event{Slot: c.Slot, Gen: c.Gen}
		f(so, &out[n])
		n++
	}
	if c.State&engine.StateClosing != 0 {
		report(opClose, b.finishClose)
		return n, next, n > 0
	}
	if so.udp != nil {
		if b.readable(so.udp) {
			report(opReadable, b.tell)
		}
		return n, next, false
	}
	if c.State&engine.StateConnect != 0 {
		b.connect(so, &next, report)
		return n, next, false
	}
	if c.State&engine.StateSend != 0 && so.writable() {
		report(opSend, b.send)
	}
	for range 8 { // as many pieces as a kernel might have delivered at once
		if c.State&engine.StateRecv == 0 || !so.readable() {
			break
		}
		before := n
		report(opRecv, b.receive)
		if n == before {
			break
		}
	}
	return n, next, false
}

// when is the time at which the completion of op is reported, drawn when it is first possible.
func (b *Backend) when(so *socket, op int) int64 {
	if so.due[op] == 0 {
		so.due[op] = b.w.now + 1
		if b.w.chance(b.w.faults.Delay) {
			so.due[op] += b.w.rng.Int64N(b.w.faults.DelayMax)
		}
	}
	return so.due[op] - 1
}

func (b *Backend) finishClose(so *socket, ev *engine.Event) {
	ev.Kind = engine.EvClosed
	so.c.Ops = 0
	so.c.FD = -1
	b.sockets[so.c.Slot] = nil
}

// connect ends a connect whose answer has come.
func (b *Backend) connect(so *socket, next *int64, report func(int, func(*socket, *engine.Event))) {
	s := b.w.services[so.to]
	if so.lost || s != nil && s.silent {
		if at := so.since + b.w.faults.ConnectTimeout; at > b.w.now {
			*next = at
			return
		}
	}
	report(opConnect, func(so *socket, ev *engine.Event) {
		so.c.State &^= engine.StateConnect
		so.c.Ops--
		ev.Kind = engine.EvConnected
		switch {
		case so.lost || s != nil && s.silent:
			ev.Res = errno(unix.ETIMEDOUT)
		case so.refused || s == nil:
			ev.Res = errno(unix.ECONNREFUSED)
			if s == nil && so.to.Family() == unix.AF_UNIX {
				ev.Res = errno(unix.ENOENT)
			}
		case s.serve != nil:
			s.serve(so.peer)
		default:
			s.queue = append(s.queue, so.peer)
		}
		if ev.Res < 0 {
			so.peer.broke()
		}
	})
}

// writable reports whether a send would end now.
func (so *socket) writable() bool {
	p := so.peer
	return p.broken || p.closed || p.in.room() > 0
}

// readable reports whether a receive would end now, or have data.
func (so *socket) readable() bool {
	p := so.peer
	return p.broken || p.out.ended || len(p.out.data) > 0 || so.c.State&engine.StateCancel != 0
}

// send ends a send: the bytes that the connection takes are the peer's from here on.
func (b *Backend) send(so *socket, ev *engine.Event) {
	p, w := so.peer, b.w
	so.c.State &^= engine.StateSend
	so.c.Ops--
	ev.Kind = engine.EvSent
	b.checkSpans(so)
	if w.chance(w.faults.Reset) {
		p.broke()
	}
	switch {
	case p.broken:
		ev.Res = errno(unix.ECONNRESET)
		if so.doubted {
			ev.Res = errno(unix.EPIPE)
		}
	case p.closed: // the bytes go out, and a reset comes back
		ev.Res = int32(len(so.bytes))
		so.doubted = true
		p.broke()
	default:
		n := min(len(so.bytes), p.in.room())
		if n > 1 && w.chance(w.faults.ShortSend) {
			n = 1 + w.rng.IntN(n-1)
		}
		p.in.data = append(p.in.data, so.bytes[:n]...)
		ev.Res = int32(n)
	}
	if so.pipe != mem.NoBuf {
		b.pipes[so.pipe] = b.pipes[so.pipe][max(ev.Res, 0):]
	}
}

// checkSpans panics when the bytes of a send in flight are not what they were.
func (b *Backend) checkSpans(so *socket) {
	at := 0
	for _, s := range so.spans {
		if !bytes.Equal(b.env.Mem.Bytes(s), so.bytes[at:at+int(s.Len)]) {
			violation(so.c, "the bytes of a send changed while it was in flight")
		}
		at += int(s.Len)
	}
}

// receive reports one piece of data, or the end of the receive.
func (b *Backend) receive(so *socket, ev *engine.Event) {
	c, p, w := so.c, so.peer, b.w
	ev.Kind, ev.Buf = engine.EvRecv, mem.NoBuf
	if w.chance(w.faults.Reset) {
		p.broke()
	}
	cancelled := c.State&engine.StateCancel != 0
	switch {
	case cancelled && (len(p.out.data) == 0 || !w.chance(w.faults.CancelData)):
		ev.Res = errno(unix.ECANCELED)
	case len(p.out.data) > 0:
		ev.Res = b.fill(so, ev)
	case p.broken:
		ev.Res = errno(unix.ECONNRESET)
	}
	if ev.Res > 0 && so.mode == engine.RecvStream && !w.chance(w.faults.EndEarly) {
		ev.Flags |= engine.FlagMore
		return
	}
	c.State &^= engine.StateRecv | engine.StateCancel
	c.Ops--
}

// fill moves data into a buffer and returns its length, or -ENOBUFS.
func (b *Backend) fill(so *socket, ev *engine.Event) int32 {
	p, w := so.peer, b.w
	buf, ok := b.env.Mem.TakeToReceive(so.mode.Class())
	if !ok || w.chance(w.faults.NoBufs) {
		b.env.Mem.Drop(buf)
		b.env.Stats.NoBufs++
		return errno(unix.ENOBUFS)
	}
	room := b.env.Mem.Data(buf)
	if so.mode == engine.RecvPiped {
		room.Len = min(so.c.Most, pipeBytes)
	}
	n := min(len(p.out.data), int(room.Len))
	if n > 1 && w.chance(w.faults.ShortRead) {
		n = 1 + w.rng.IntN(n-1)
	}
	if data := p.out.take(n); so.mode == engine.RecvPiped {
		b.pipes[buf] = bytes.Clone(data)
	} else {
		copy(b.env.Mem.Bytes(room), data)
		ev.Off = room.Off
	}
	if len(p.out.data) > 0 {
		ev.Flags = engine.FlagNonEmpty
	}
	ev.Buf = buf
	return int32(n)
}

// pipeBytes is what a pipe holds here: so little that there is often more.
const pipeBytes = 20_000
