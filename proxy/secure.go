package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/handshake"
	"github.com/uringproxy/uringproxy/tls/hello"
	"github.com/uringproxy/uringproxy/tls/record"
)

// secure is what a link over TLS has beside it. What comes from the socket goes into raw, and from there to the link's
// queue `in` when it has been opened; what is to be sent waits in the link's queue `out`, and is sealed into wire, one
// buffer at a time.
type secure struct {
	layer record.Layer
	conv  *handshake.Conversation // the handshake, and when it is relayed all that follows; nil: none is running

	raw  queue  // received and not opened
	rec  held   // the beginning of raw's record, when it has come in several buffers: in a buffer of our own
	wire held   // sealed and not sent; not empty exactly while a send is due or in flight
	lead uint32 // how many bytes a record has before its plaintext

	opened, sealed uint64 // bytes of plaintext

	scan    hello.Scanner
	unused  int64         // how long it may be unused from when it rests, in nanoseconds
	began   int64         // when the first byte came, or the connection was open
	gauge   metrics.Gauge // that counts it; noGauge: none
	last    alert.Alert   // what is said at the end
	ready   bool          // the handshake is over, there are keys
	counted bool          // the handshake has been recorded
	spent   bool          // nothing can be sealed any more
	resting bool          // it has been unused for long: there are no ciphers
	relay   bool          // conv is the record layer
	mute    bool          // nothing is to be said at the end
	bound   bool          // of clients: stream is where the connection goes when there are keys
	stream  uint32        // index in the Streams of the snapshot that pin holds
	pin     uint32
	over    bool // the peer's stream has ended, behind what is in raw
	served  bool // the peer has said close_notify

	facts facts
}

const noGauge = metrics.Gauge(0xff)

// secureBytes is what is asked of buffers: a record fits one of the class made for them.
const _ = uint(mem.RecordBytes - record.MaxRecord)

// takeSecure gives slot its state for TLS, of which there are as many as there have ever been connections over TLS at
// one time.
func (w *Worker) takeSecure(slot uint32) *secure {
	if len(w.spare) == 0 {
		w.moreSecure()
	}
	n := len(w.spare) - 1
	s := w.spare[n]
	w.spare = w.spare[:n]
	s.gauge, s.rec, s.wire = noGauge, noHead, noHead
	w.secure[slot] = s
	return s
}

const (
	// secureBlock is how many states are made together: one by one they would lie among what handshakes leave behind.
	// So many of them, and their offers, fill sizes that Go's allocator has.
	secureBlock = 33
	offerBytes  = 160 // what most clients offer, packed
)

// moreSecure makes states for TLS, each with memory for an offer.
func (w *Worker) moreSecure() {
	states, offers := make([]secure, secureBlock), make([]byte, secureBlock*offerBytes)
	for i := range states {
		states[i].facts.offer = offers[i*offerBytes : i*offerBytes : (i+1)*offerBytes]
		w.spare = append(w.spare, &states[i])
	}
	w.secured += secureBlock
}

// dropSecure takes it back when the backend is done with the link.
func (w *Worker) dropSecure(l *link, slot uint32) {
	s := w.secure[slot]
	w.secure[slot] = nil
	if s.bound {
		w.sh.Unpin(s.pin)
	}
	w.hangUp(l, s)
	w.countAs(s, noGauge)
	w.discard(&s.raw)
	w.dropHead(&s.rec)
	w.dropHead(&s.wire)
	in, out := s.layer.KeyUpdates()
	w.m.Add(metrics.KeyUpdatesReceived, uint64(in))
	w.m.Add(metrics.KeyUpdatesSent, uint64(out))
	s.layer.Wipe()
	facts := s.facts
	facts.forget()
	*s = secure{facts: facts}
	w.spare = append(w.spare, s)
}

// countAs moves s from the gauge that counts it to another.
func (w *Worker) countAs(s *secure, g metrics.Gauge) {
	w.countBy(s.gauge, -1)
	w.countBy(g, 1)
	s.gauge = g
}

// countBy counts one more or less. Handshakes are told apart at the end of the turn: some wait in line.
func (w *Worker) countBy(g metrics.Gauge, n int) {
	switch {
	case g == metrics.HandshakesRunning:
		w.shaking += n
	case g == noGauge:
	case n > 0:
		w.m.Up(g)
	default:
		w.m.Down(g)
	}
}

// receivedSecure takes in what a receive brought on a connection over TLS.
func (w *Worker) receivedSecure(l *link, c *engine.Conn, ev *engine.Event) {
	s := w.secure[c.Slot]
	if l.closing() || l.state == stateLinger || l.has(flagEOF) {
		w.mem.Drop(ev.Buf)
		return
	}
	if s.began == 0 {
		s.began = w.sh.Now()
	}
	if !w.push(&s.raw, ev.Data(), ev.Buf) {
		w.outOfMemory(l, c)
		return
	}
	w.advance(l, c, s)
}

// advance goes on with what has come on a connection over TLS, as its state allows.
func (w *Worker) advance(l *link, c *engine.Conn, s *secure) {
	switch l.state {
	case stateHello:
		w.readHello(l, c, s)
	case stateHandshake:
		w.talk(l, c, s)
	case stateConnecting, stateLinger, stateFarewell, stateClosing:
	default:
		w.unseal(l, c, s)
	}
}

// resumed takes up what had to wait on a connection over TLS. It reports whether more may be received.
func (w *Worker) resumed(l *link, c *engine.Conn) bool {
	s := w.secure[c.Slot]
	if l.has(flagHeld) {
		w.advance(l, c, s)
	}
	return !l.closing() && !l.has(flagHeld) && !s.over
}

// gatherRaw draws what has come together in one buffer, until there are need bytes in it or raw is empty. It reports
// false when there is no buffer.
func (w *Worker) gatherRaw(l *link, s *secure, need uint32) bool {
	need = min(need, mem.RecordBytes)
	if s.rec.buf == noBuf || w.mem.Data(s.rec.buf).Len < need {
		to, ok := noBuf, false
		if need <= mem.SmallBytes {
			to, ok = w.mem.Take(mem.Small)
		}
		if !ok && w.mayGather(l) {
			to, ok = w.mem.Take(mem.Record)
		}
		if !ok {
			return false
		}
		at := mem.Span{Off: w.mem.Data(to).Off, Len: s.rec.span.Len}
		copy(w.mem.Bytes(at), w.mem.Bytes(s.rec.span))
		w.mem.Drop(s.rec.buf)
		s.rec = held{at, to}
	}
	for s.rec.span.Len < need && !s.raw.empty() {
		piece := w.chunks.At(s.raw.head).span
		n := min(piece.Len, need-s.rec.span.Len)
		copy(w.mem.All()[s.rec.span.End():], w.mem.Bytes(mem.Span{Off: piece.Off, Len: n}))
		s.rec.span.Len += n
		w.consume(&s.raw, n)
	}
	return true
}

// mayGather reports whether a Record buffer may be taken for what has come on l. The last is for sending, see roomFor.
// Some are for bodies, so that not all can be had by those who begin long records and have asked for nothing.
func (w *Worker) mayGather(l *link) bool {
	free, count := w.mem.Free(mem.Record), w.mem.Count(mem.Record)
	return free > 1 && (l.sends() || free > count/reservePart) || count == 1
}

// starve has l wait for a buffer.
func (w *Worker) starve(l *link, c *engine.Conn) {
	if !l.has(flagStarved) {
		l.set(flagStarved)
		w.listPush(&w.starved, c.Slot)
	}
}

// relieveStarved lets links that found no buffer try again. Where nothing can be received, those over TLS may still
// send.
func (w *Worker) relieveStarved() {
	for n := w.starved.len; n > 0 && w.starved.last != 0 && w.mem.Receivable(mem.Small) > 0; n-- {
		slot := w.starved.last - 1
		l, c := &w.links[slot], w.conns.At(slot)
		before := w.mem.Receivable(mem.Small)
		w.relieve(l, c)
		if before < reserve {
			break // one at a time while buffers are scarce
		}
	}
	if w.mem.Receivable(mem.Small) > 0 {
		return
	}
	for at := w.starved.first; at != 0 && w.mem.Free(mem.Small)+w.mem.Free(mem.Record) > 0; {
		l, c := &w.links[at-1], w.conns.At(at-1)
		at = l.next
		if l.has(flagSecure) {
			w.sayMore(l, c)
		}
	}
}

// sayMore goes on with what is to be sent on a link over TLS that found no buffer.
func (w *Worker) sayMore(l *link, c *engine.Conn) {
	if l.state == stateHandshake {
		w.talk(l, c, w.secure[c.Slot])
		return
	}
	w.pump(l, c)
}

// relieve lets a link that found no buffer try again.
func (w *Worker) relieve(l *link, c *engine.Conn) {
	w.unstarve(l, c)
	switch {
	case l.has(flagSecure) && w.secure[c.Slot].relay:
		w.relayNews(l, c, w.secure[c.Slot])
	case l.has(flagSecure):
		l.set(flagHeld)
		w.pump(l, c)
	}
	w.rearmUnlessGone(l, c)
}

// lead is how many bytes lie before the first message in a buffer that the link in slot has received.
func (w *Worker) lead(slot uint32) uint32 {
	if !w.links[slot].has(flagSecure) {
		return 0
	}
	return w.secure[slot].lead
}

// taken is how many bytes of what was received in slot have been used, or given up, and given how many were sent; of
// records, it is what is inside that counts. What is sealed and has not left counts as if it were plaintext.
func (w *Worker) taken(slot uint32) (received, sent uint64) {
	l := &w.links[slot]
	if !l.has(flagSecure) {
		return l.consumed(), l.tx
	}
	s := w.secure[slot]
	return s.opened - uint64(l.in.bytes), s.sealed - s.unsent()
}

// unsent is how much of what was sealed has not left.
func (s *secure) unsent() uint64 { return min(s.sealed, uint64(s.wire.span.Len)) }

// unsettled reports whether a connection over TLS has something on it that nobody has asked for, or is at its end.
func (w *Worker) unsettled(slot uint32) bool {
	s := w.secure[slot]
	return s.over || !s.raw.empty() || s.rec.buf != noBuf || s.layer.Worn()
}
