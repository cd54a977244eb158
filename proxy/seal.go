package proxy

import (
	"encoding/binary"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/record"
)

// sealPieces is how many pieces of a queue are sealed at a time: enough to fill a large buffer from small ones.
const sealPieces = 64

// pumpSecure is pump for a connection over TLS: what is queued is sealed first, one buffer at a time.
func (w *Worker) pumpSecure(l *link, c *engine.Conn) {
	if l.has(flagSending) || !l.sends() {
		return
	}
	s := w.secure[c.Slot]
	if s.relay {
		w.relayOut(l, c, s)
		return
	}
	if s.wire.buf == noBuf {
		if l.out.empty() && l.has(flagShut) { // there was no memory for its last word
			w.endStream(l, c)
		}
		if l.out.empty() || !w.fillWire(l, c, s) {
			return
		}
	}
	if l.txSince == 0 {
		l.txSince, l.txMark = w.sh.Now(), markUnknown
	}
	if l.ex != 0 {
		w.handedOn(w.exs.At(l.ex))
	}
	w.sendWire(l, c, s, !l.out.empty() || w.sendsLast(l))
}

// sendWire sends what has been sealed. With more, something follows at once.
func (w *Worker) sendWire(l *link, c *engine.Conn, s *secure, more bool) {
	l.set(flagSending)
	w.spans[0] = s.wire.span
	w.be.Send(c, w.spans[:1], more)
}

// roomFor takes a buffer for n bytes to be sent, or for less when there is none of that size. The larger ones are left
// for what is received when few are left of them; but when the small ones are spent, perhaps by what waits to be
// sealed, there is a Record buffer that nothing else may take: what waits must be able to leave.
func (w *Worker) roomFor(n uint32) (mem.Buf, bool) {
	switch {
	case n <= mem.SmallBytes:
	case n <= mem.RecordBytes && w.plenty(mem.Record):
		return w.mem.Take(mem.Record)
	case n > mem.RecordBytes && w.plenty(mem.Bulk):
		return w.mem.Take(mem.Bulk)
	case w.plenty(mem.Record):
		return w.mem.Take(mem.Record)
	}
	if buf, ok := w.mem.Take(mem.Small); ok {
		return buf, true
	}
	return w.mem.Take(mem.Record)
}

// plenty reports whether more than a reserve is left of a class.
func (w *Worker) plenty(c mem.Class) bool { return w.mem.Free(c) > w.mem.Count(c)/reservePart }

// fillWire seals what is queued, as far as it fits one buffer. It reports whether there is something to send.
func (w *Worker) fillWire(l *link, c *engine.Conn, s *secure) bool {
	const overhead = 256 // of a few records, and of what Alert and a key update need
	buf, ok := w.roomFor(l.out.bytes + overhead)
	if !ok {
		w.starve(l, c)
		return false
	}
	room := w.mem.Data(buf)
	b := w.mem.All()[room.Off : room.Off : room.End()-record.ControlRoom]
	b, refused := w.timedSeal(l, s, b)
	if refused == record.Sealed && l.out.empty() && w.sendsLast(l) {
		b = s.layer.Alert(w.mem.All()[room.Off:room.Off+uint32(len(b)):room.End()], alert.CloseNotify)
	}
	if len(b) == 0 {
		w.mem.Drop(buf)
		if refused != record.Sealed {
			s.spent = true
			w.wheel.Set(c.Slot, w.sh.Now()) // what runs on it is ended there: who called may go on with it
		}
		return false
	}
	w.countSealed(b)
	s.wire = held{mem.Span{Off: room.Off, Len: uint32(len(b))}, buf}
	return true
}

// sealOut moves what is queued into records in b.
func (w *Worker) sealOut(l *link, s *secure, b []byte) ([]byte, record.Refusal) {
	for !l.out.empty() {
		n := 0
		for i := l.out.head; i != 0 && n < len(w.pieces); n++ {
			piece := w.chunks.At(i)
			w.pieces[n] = w.mem.Bytes(piece.span)
			i = piece.next
		}
		out, took, refused := s.layer.SealTo(b, w.pieces[:n], w.sh.Now())
		b = out
		if refused == record.NoRoom && len(b) > 0 {
			return b, record.Sealed
		}
		if refused != record.Sealed {
			return b, refused
		}
		w.consume(&l.out, uint32(took))
		s.sealed += uint64(took)
		w.m.Add(metrics.BytesSealed, uint64(took))
		if took == 0 {
			break
		}
	}
	return b, record.Sealed
}

// countSealed counts the records in b.
func (w *Worker) countSealed(b []byte) {
	n := uint64(0)
	for len(b) >= 5 {
		n++
		b = b[5+int(binary.BigEndian.Uint16(b[3:])):]
	}
	w.m.Add(metrics.RecordsSealed, n)
}

// wireSent handles the end of a send on a connection over TLS.
func (w *Worker) wireSent(l *link, c *engine.Conn, res int32) {
	s := w.secure[c.Slot]
	if res > 0 {
		l.tx += uint64(res)
		if l.kind == kindClient {
			w.m.Add(metrics.BytesToClients, uint64(res))
		} else {
			w.m.Add(metrics.BytesToUpstreams, uint64(res))
		}
		s.wire.span.Off, s.wire.span.Len = s.wire.span.Off+uint32(res), s.wire.span.Len-uint32(res)
		if s.wire.span.Len == 0 {
			w.dropHead(&s.wire)
		}
	}
	failed := res < 0 && res != -eAGAIN
	switch {
	case l.state == stateClosing:
	case s.relay && !failed:
		w.relayNews(l, c, s)
	case l.sends() && failed:
		s.sealed -= s.unsent()
		w.dropHead(&s.wire)
		w.broken(l, c, -res)
	case l.sends():
		w.wentOut(l, c, s)
	case l.state == stateHandshake && failed:
		w.talkCut(l, c, s, -res)
	case l.state == stateHandshake:
		w.talk(l, c, s)
		w.rearmUnlessGone(l, c)
	default:
		w.saidLast(l, c, s, failed)
	}
}

// wentOut goes on after bytes of an exchange or a tunnel have left.
func (w *Worker) wentOut(l *link, c *engine.Conn, s *secure) {
	if s.wire.buf == noBuf && l.out.empty() {
		l.txSince = 0
	} else {
		w.pump(l, c)
	}
	w.went(l, c)
}
