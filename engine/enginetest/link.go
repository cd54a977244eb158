package enginetest

import (
	"bytes"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// link is the suite's own account of one connection.
type link struct {
	r *rig
	c *engine.Conn

	armed, cancelled, sending, connecting bool

	closing bool
	closeAt int // the batch in which Close was called

	mode  engine.RecvMode
	keep  bool // arm again whenever a receive ends while the stream goes on
	hold  bool // keep the buffers of received data
	got   []byte
	recvs []engine.Event

	pipe   mem.Buf // what the last RecvPipe has filled, until all of it is sent
	piped  uint32  // bytes in it
	source *link   // whose pipe is being sent

	outbox  []byte // still to be sent, buffer by buffer
	sendBuf mem.Buf
	asked   int    // bytes of the send in flight
	again   func() // asks for it once more
	sent    []int32
	dialled []int32
	closed  int
	post    *post // of a UDP socket
}

// recv arms a receive.
func (l *link) recv(mode engine.RecvMode) {
	l.armed, l.cancelled, l.mode = true, false, mode
	l.r.b.Recv(l.c, mode)
}

// recvPipe arms a receive into a pipe.
func (l *link) recvPipe(most uint32) {
	l.armed, l.cancelled, l.mode = true, false, engine.RecvPiped
	l.r.b.RecvPipe(l.c, most)
}

// sendPipe sends what from has received into its pipe.
func (l *link) sendPipe(from *link) {
	pipe, n := from.pipe, from.piped
	l.source, l.sending, l.asked = from, true, int(n)
	l.again = func() { l.r.b.SendPipe(l.c, pipe, n) }
	l.again()
}

func (l *link) dropPipe() {
	l.r.env.Mem.Drop(l.pipe)
	l.pipe, l.piped = mem.NoBuf, 0
}

// stream arms a receive that is armed again until the stream ends.
func (l *link) stream() {
	l.keep = true
	l.recv(engine.RecvStream)
}

func (l *link) cancel() {
	l.cancelled = l.armed
	l.r.b.RecvCancel(l.c)
}

// send sends spans, which the case keeps as they are until the EvSent.
func (l *link) send(spans []mem.Span, more bool) {
	l.sending, l.asked = true, 0
	for _, s := range spans {
		l.asked += int(s.Len)
	}
	again := slices.Clone(spans)
	l.again = func() { l.r.b.Send(l.c, again, more) }
	l.r.b.Send(l.c, spans, more)
}

// write queues bytes; the turns to come send them.
func (l *link) write(p []byte) {
	l.outbox = append(l.outbox, p...)
	l.pump()
}

// pump sends the next buffer of the outbox, cut into spans.
func (l *link) pump() {
	if len(l.outbox) == 0 || l.sending || l.connecting || l.closing {
		return
	}
	buf, ok := l.r.env.Mem.Take(mem.Head)
	if !ok {
		return
	}
	room := l.r.env.Mem.Data(buf)
	room.Len = uint32(copy(l.r.env.Mem.Bytes(room), l.outbox))
	l.sendBuf = buf
	l.send(cut(room, 1+(l.r.batch+len(l.sent))%engine.SendSpansMax), false)
}

// cut divides a span into n, or fewer when it is short.
func cut(whole mem.Span, n int) []mem.Span {
	var spans []mem.Span
	for n = min(n, int(whole.Len)); n > 0; n-- {
		s := mem.Span{Off: whole.Off, Len: whole.Len / uint32(n)}
		spans = append(spans, s)
		whole = mem.Span{Off: s.End(), Len: whole.Len - s.Len}
	}
	return spans
}

func (l *link) close(reset bool) {
	l.closing, l.closeAt = true, l.r.batch
	l.r.b.Close(l.c, reset)
}

// check compares what the backend says of the connection with the account. It holds between Polls.
func (l *link) check() {
	t := l.r.t // no t.Helper here: this runs for every connection in every turn
	switch c := l.c; {
	case c.Closing() != l.closing:
		t.Fatalf("slot %d: Closing() = %v, want %v", c.Slot, c.Closing(), l.closing)
	case l.closing:
	case c.RecvArmed() != l.armed:
		t.Fatalf("slot %d: RecvArmed() = %v, want %v", c.Slot, c.RecvArmed(), l.armed)
	case c.SendBusy() != l.sending:
		t.Fatalf("slot %d: SendBusy() = %v, want %v", c.Slot, c.SendBusy(), l.sending)
	}
}

// handle books one event.
func (l *link) handle(ev *engine.Event) {
	t := l.r.t
	t.Helper()
	if l.closing && ev.Kind != engine.EvClosed {
		if l.closeAt != l.r.batch {
			t.Fatalf("slot %d: %v after Close", ev.Slot, ev.Kind)
		}
		if ev.Kind == engine.EvRecv && ev.Res > 0 {
			l.r.env.Mem.Drop(ev.Buf) // taken before the case closed, in the same batch
		}
		return
	}
	switch ev.Kind {
	case engine.EvConnected:
		if !l.connecting || ev.Res > 0 {
			t.Fatalf("slot %d: EvConnected with %d while connecting is %v", ev.Slot, ev.Res, l.connecting)
		}
		l.connecting = false
		l.dialled = append(l.dialled, ev.Res)
	case engine.EvRecv:
		l.received(ev)
	case engine.EvSent:
		if !l.sending || ev.Res == 0 || int(ev.Res) > l.asked {
			t.Fatalf("slot %d: EvSent with %d of %d bytes while sending is %v", ev.Slot, ev.Res, l.asked, l.sending)
		}
		if ev.Res == -int32(unix.EAGAIN) {
			l.again()
			return
		}
		l.finishSend(ev.Res)
	case engine.EvClosed:
		l.finishClose()
	case engine.EvReadable:
		if l.post == nil {
			t.Fatalf("slot %d: EvReadable on a stream", ev.Slot)
		}
		l.post.readable()
	default:
		t.Fatalf("slot %d: event of kind %d", ev.Slot, ev.Kind)
	}
}

func (l *link) finishSend(res int32) {
	l.sending = false
	l.sent = append(l.sent, res)
	if from := l.source; from != nil {
		l.source = nil
		if from.piped -= uint32(max(res, 0)); from.piped == 0 {
			from.dropPipe()
		}
	}
	if l.sendBuf != mem.NoBuf {
		l.r.env.Mem.Drop(l.sendBuf)
		l.sendBuf = mem.NoBuf
		if res < 0 {
			l.outbox = nil
		} else {
			l.outbox = l.outbox[res:]
		}
	}
}

func (l *link) finishClose() {
	t := l.r.t
	t.Helper()
	l.closed++
	if !l.closing || l.closed != 1 {
		t.Fatalf("slot %d: EvClosed number %d while closing is %v", l.c.Slot, l.closed, l.closing)
	}
	if l.c.Ops != 0 || l.c.FD != -1 {
		t.Fatalf("slot %d: closed with %d operations in flight and descriptor %d", l.c.Slot, l.c.Ops, l.c.FD)
	}
	l.r.env.Mem.Drop(l.sendBuf)
	l.sendBuf = mem.NoBuf
	l.dropPipe()
	l.r.links[l.c.Slot] = nil
	l.r.env.Conns.Release(l.c)
}

// received books one EvRecv and takes its bytes.
func (l *link) received(ev *engine.Event) {
	t := l.r.t
	t.Helper()
	more := ev.Flags&engine.FlagMore != 0
	if !l.armed {
		t.Fatalf("slot %d: EvRecv with %d while no receive is armed", ev.Slot, ev.Res)
	}
	if more && (ev.Res <= 0 || l.mode != engine.RecvStream) {
		t.Fatalf("slot %d: FlagMore on a receive of mode %d with result %d", ev.Slot, l.mode, ev.Res)
	}
	if ev.Res == -int32(unix.ECANCELED) && !l.cancelled {
		t.Fatalf("slot %d: -ECANCELED without RecvCancel", ev.Slot)
	}
	l.recvs = append(l.recvs, *ev)
	if ev.Res > 0 {
		l.takeData(ev)
	}
	if !more {
		l.armed = false
		if l.keep && !l.ended() {
			l.recv(l.mode)
		}
	}
}

// takeData checks where the data lies and copies it.
func (l *link) takeData(ev *engine.Event) {
	t, arena := l.r.t, l.r.env.Mem
	t.Helper()
	if ev.Buf.Class() != l.mode.Class() {
		t.Fatalf("slot %d: data in a buffer of class %d, mode %d", ev.Slot, ev.Buf.Class(), l.mode)
	}
	if l.mode == engine.RecvPiped {
		l.pipe, l.piped = ev.Buf, uint32(ev.Res)
		return
	}
	room, data := arena.Data(ev.Buf), ev.Data()
	if data.Off < room.Off || data.End() > room.End() {
		t.Fatalf("slot %d: data %v lies outside its buffer %v", ev.Slot, data, room)
	}
	l.got = append(l.got, arena.Bytes(data)...)
	if l.hold {
		l.r.held = append(l.r.held, ev.Buf)
	} else {
		arena.Drop(ev.Buf)
	}
}

// last is the result of the latest EvRecv.
func (l *link) last() int32 {
	if len(l.recvs) == 0 {
		return 0
	}
	return l.recvs[len(l.recvs)-1].Res
}

// ended reports whether the peer's stream has ended, in order or not.
func (l *link) ended() bool {
	if len(l.recvs) == 0 {
		return false
	}
	switch unix.Errno(-l.last()) {
	case unix.ENOBUFS, unix.ECANCELED:
		return false
	}
	return l.last() <= 0
}

// expect waits until exactly want was received, from the start of the connection.
func (l *link) expect(want []byte) {
	t := l.r.t
	t.Helper()
	l.r.until("all bytes", func() bool { return len(l.got) >= len(want) || l.ended() })
	if !bytes.Equal(l.got, want) {
		t.Fatalf("slot %d: received %d bytes, want %d; right up to %d",
			l.c.Slot, len(l.got), len(want), differ(l.got, want))
	}
}

func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
