package proxy

import (
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/record"
)

// Errors of connections over TLS, as the kernel would say them.
const (
	eTruncated = int32(unix.EPROTO)     // the stream has ended without close_notify, or against the rules
	eAlerted   = int32(unix.ECONNRESET) // the peer has ended it with an alert
)

// openPieces is how many records are opened before what was in them is consumed: a record is a piece of a queue,
// however small it is.
const openPieces = 16

// opening is how far openSome has come.
type opening uint8

const (
	openMore     opening = iota // there may be more to open
	openAll                     // nothing that is complete is left
	openFinal                   // the next is the peer's last record, or none
	openStarved                 // there is no buffer for a record in pieces
	openNoChunks                // there is no entry for its plaintext
)

// unseal opens what has come, and has it consumed, as far as there is room for what becomes of it. What has to wait is
// taken up when l is about to receive again: see resumed.
func (w *Worker) unseal(l *link, c *engine.Conn, s *secure) {
	if s.relay {
		w.relayIn(l, c, s)
		return
	}
	l.clear(flagHeld)
	for {
		if !l.in.empty() || !w.mayOpen(l) {
			l.set(flagHeld)
			return
		}
		state, r := w.timedOpen(l, s)
		if !l.in.empty() {
			w.use(l, c)
		}
		switch {
		case l.closing() || l.has(flagEOF):
			return
		case state == openNoChunks:
			w.outOfMemory(l, c)
			return
		case state == openStarved:
			l.set(flagHeld)
			w.starve(l, c)
			return
		case state == openMore:
		case !l.in.empty():
			l.set(flagHeld)
			return
		case state == openFinal:
			w.lastRecord(l, c, s, &r)
			return
		case s.over:
			w.streamOver(l, c, s)
			return
		default:
			w.await(l, c, s)
			return
		}
	}
}

// await gives the rest of a record that has begun on an idle connection no more time than the head of a request.
func (w *Worker) await(l *link, c *engine.Conn, s *secure) {
	if l.state == stateIdle && (!s.raw.empty() || s.rec.buf != noBuf) {
		latest := w.sh.Now() + int64(w.sh.Snapshot().Timeouts.Header)
		w.wheel.Set(c.Slot, min(w.wheel.Deadline(c.Slot), latest))
	}
}

// mayOpen reports whether there is room for plaintext where it goes to.
func (w *Worker) mayOpen(l *link) bool {
	switch l.state {
	case stateTunnel:
		return w.tunnelHasRoom(l)
	case stateBusy:
	default:
		return true
	}
	x := w.exs.At(l.ex)
	if l.kind == kindClient {
		return x.up.done || x.upstream != 0 && !x.has(exBroken) && w.hasRoom(&w.links[x.upstream-1].out)
	}
	return !x.has(exAnswered) || x.down.done || w.hasRoom(&w.links[x.client-1].out)
}

// openSome opens records into the queue in. What is found at the peer's end stays where it is and is found again.
func (w *Worker) openSome(l *link, s *secure) (opening, record.Result) {
	for range openPieces {
		if s.rec.buf == noBuf && s.raw.empty() {
			return openAll, record.Result{}
		}
		span := s.rec.span
		if s.rec.buf == noBuf {
			span = w.chunks.At(s.raw.head).span
		}
		r := s.layer.Open(w.mem.Bytes(span))
		switch r.Kind {
		case record.NeedMore:
			if s.rec.buf == noBuf && s.raw.pieces == 1 || s.raw.empty() {
				return openAll, r
			}
			if !w.gatherRaw(l, s, uint32(r.Need)) {
				return openStarved, r
			}
			continue
		case record.Data, record.Quiet:
			w.m.Inc(metrics.RecordsOpened)
		default:
			return openFinal, r
		}
		if !w.opened(l, s, span, &r) {
			return openNoChunks, r
		}
	}
	return openMore, record.Result{}
}

// opened moves a record's plaintext to the queue in, where it holds the buffer that the record was received in.
func (w *Worker) opened(l *link, s *secure, span mem.Span, r *record.Result) bool {
	buf := s.rec.buf
	switch {
	case buf != noBuf:
		s.rec = noHead
	case uint32(r.N) == span.Len:
		_, buf = w.shift(&s.raw)
	default:
		buf = w.chunks.At(s.raw.head).buf
		w.mem.Hold(buf)
		w.consume(&s.raw, uint32(r.N))
	}
	if r.Kind != record.Data {
		w.mem.Drop(buf)
		return true
	}
	s.lead, s.opened = uint32(r.Off), s.opened+uint64(r.Len)
	w.m.Add(metrics.BytesOpened, uint64(r.Len))
	return w.push(&l.in, mem.Span{Off: span.Off + uint32(r.Off), Len: uint32(r.Len)}, buf)
}

// lastRecord handles what ends the peer's side: its close_notify, an alert, or a record that is none.
func (w *Worker) lastRecord(l *link, c *engine.Conn, s *secure, r *record.Result) {
	w.discard(&s.raw)
	w.dropHead(&s.rec)
	errno := int32(0)
	switch r.Kind {
	case record.Closed:
		s.served = true
		w.be.RecvCancel(c)
	case record.PeerAlert:
		errno = w.alerted(l, s, r.Alert)
	default:
		w.m.Inc(metrics.RecordFaults)
		errno, s.last = eTruncated, r.Alert
	}
	w.streamEnded(l, c, errno)
}

// alerted notes that the peer has ended the connection with an alert.
func (w *Worker) alerted(l *link, s *secure, why alert.Alert) (errno int32) {
	w.m.AlertReceived(uint8(why))
	if l.ex != 0 || l.tunnel != 0 {
		w.mishapOf(l).say("alert: ", why.String())
	}
	s.mute = true
	return eAlerted
}

// socketEnded handles the end of the stream that the records come in: errno 0 for an orderly one.
func (w *Worker) socketEnded(l *link, c *engine.Conn, errno int32) {
	s := w.secure[c.Slot]
	switch {
	case s.served && errno == 0: // as it has said
	case l.state == stateLinger && errno == 0 && l.has(flagSending):
		l.set(flagEOF) // and our last word is still on its way
	case l.state == stateHello || l.state == stateHandshake:
		w.talkCut(l, c, s, errno)
	case s.relay && l.kind == kindUpstream: // by a reset too: crypto/tls may not have read what came before it
		s.over = true
		w.relayIn(l, c, s)
	case errno != 0 || l.state == stateLinger:
		w.discard(&s.raw)
		w.dropHead(&s.rec)
		w.streamEnded(l, c, errno)
	case s.relay:
		s.over = true
		w.relayIn(l, c, s)
	default:
		s.over = true
		if !l.has(flagHeld) {
			w.streamOver(l, c, s)
		}
	}
}

// streamOver handles an end of stream without close_notify when all that came before it has been used. Anybody may
// have made it, so that it ends nothing (RFC 8446, section 6.1): it is harmless between requests only, and what a
// tunnel leads to is not told that it is complete.
func (w *Worker) streamOver(l *link, c *engine.Conn, s *secure) {
	w.discard(&s.raw)
	w.dropHead(&s.rec)
	errno := int32(0)
	switch {
	case l.tunnel != 0:
		errno = eTruncated
		w.m.Inc(metrics.Truncations)
	case l.ex != 0:
		x := w.exs.At(l.ex)
		switch {
		case l.kind == kindUpstream && !(x.down.done && x.has(exAnswered)):
			errno = eTruncated
			w.m.Inc(metrics.Truncations)
		case l.kind == kindClient && (l.state == stateHead || !x.up.done):
			w.m.Inc(metrics.Truncations)
		}
	}
	w.streamEnded(l, c, errno)
}

// streamEnded tells the link's side of the proxy that no more will come: errno 0 for an orderly end.
func (w *Worker) streamEnded(l *link, c *engine.Conn, errno int32) {
	switch {
	case l.tunnel != 0:
		w.tunnelEnded(l, errno)
	case l.kind == kindClient:
		w.clientEnded(l, c, errno)
	default:
		w.upstreamEnded(l, c, errno)
	}
}
