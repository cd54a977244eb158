package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/hello"
	"github.com/uringproxy/uringproxy/tls/record"
)

const (
	// alertFor is how long the alert that tells what was wrong may take to leave before the connection is reset.
	alertFor = 500e6
	// farewellLook is how often a connection is looked at whose close_notify has not left.
	farewellLook = 5e9
)

// awaitFarewell has l, whose last word is on its way, looked at when that should have left.
func (w *Worker) awaitFarewell(l *link, c *engine.Conn, s *secure) {
	now := w.sh.Now()
	l.state, l.txMark, l.txSince = stateFarewell, markUnknown, now
	at := now + alertFor
	if s.last == alert.CloseNotify {
		at = now + farewellLook
	}
	w.wheel.Set(c.Slot, at)
}

// farewellExpired looks at a connection whose last word has not left. Where all was in order it waits behind what a
// slow reader has still to read, in the kernel, which a reset would destroy: who reads on is waited for, unless others
// need the buffer, and then the rest is left to the kernel, without close_notify.
func (w *Worker) farewellExpired(l *link, c *engine.Conn, s *secure) {
	if s.last != alert.CloseNotify {
		w.leave(l, c, true)
		return
	}
	now := w.sh.Now()
	if unread := uint64(w.be.Unacked(c)); unread < l.txMark {
		l.txMark, l.txSince = unread, now
	}
	if now-l.txSince >= int64(w.sh.Snapshot().Timeouts.BodyRateWindow) || !w.plenty(mem.Small) {
		w.leave(l, c, false)
		return
	}
	w.wheel.Set(c.Slot, now+farewellLook)
}

// farewell says what a connection over TLS ends with: close_notify, without which its end is a truncation to the peer
// (RFC 8446, section 6.1), or the alert that tells what was wrong, which goes even before a reset. It reports whether
// something is to be sent.
func (w *Worker) farewell(l *link, c *engine.Conn, reset bool) bool {
	s := w.secure[c.Slot]
	if s.relay && s.conv != nil && !reset {
		s.conv.CloseWrite()
		if w.utter(l, c, s); l.has(flagSending) || s.withholds() {
			return true
		}
	}
	w.hangUp(l, s)
	if l.has(flagSending) || s.mute || reset && s.last == alert.CloseNotify {
		return false
	}
	if s.wire.buf == noBuf && !w.lastWord(s) {
		return false
	}
	w.sendWire(l, c, s, true)
	return true
}

// lastWord seals the alert that ends the connection, if there are keys and it has not been said.
func (w *Worker) lastWord(s *secure) bool {
	if !s.ready || s.relay {
		return false
	}
	buf, ok := w.mem.Take(mem.Small)
	if !ok {
		return false
	}
	at := w.mem.Data(buf)
	b := s.layer.Alert(w.mem.All()[at.Off:at.Off:at.Off+record.ControlRoom], s.last)
	if len(b) == 0 {
		w.mem.Drop(buf)
		return false
	}
	w.countSealed(b)
	s.wire = held{mem.Span{Off: at.Off, Len: uint32(len(b))}, buf}
	return true
}

// secureExpired handles deadlines that only connections over TLS have. It reports whether this was one of them.
func (w *Worker) secureExpired(l *link, c *engine.Conn) bool {
	s := w.secure[c.Slot]
	switch {
	case l.state == stateFarewell:
		w.farewellExpired(l, c, s)
	case l.kind == kindClient && (l.state == stateHello || l.state == stateHandshake):
		if s.began != 0 {
			w.countHandshake(l, s, metrics.HandshakeTimeout, nil)
		}
		switch {
		case w.draining:
			w.m.Inc(metrics.ConnsClosedDrain)
		case l.state == stateHello && w.listenerOf(l).Protocol != plan.HTTP:
			w.reject(l, metrics.TimeoutDetect, nil, hello.NeedMore.String())
			w.m.Inc(metrics.ConnsClosedError)
		default:
			w.m.Inc(metrics.ConnsClosedIdle)
		}
		w.closeClient(l, c, false)
	case l.state == stateHandshake:
		w.countHandshake(l, s, metrics.HandshakeTimeout, nil)
		w.mishapOf(l).say("TLS handshake", "")
		w.noConnection(l, metrics.TimeoutConnect)
	case l.sends() && s.spent:
		w.broken(l, c, eTruncated)
	case l.state == stateIdle || l.state == statePooled:
		return w.rest(l, c, s)
	default:
		return false
	}
	return true
}

// saidLast goes on when the last word has left, or could not: the connection ends, or only our half of it.
func (w *Worker) saidLast(l *link, c *engine.Conn, s *secure, failed bool) {
	switch {
	case failed:
		w.dropHead(&s.wire)
	case s.wire.buf != noBuf:
		w.sendWire(l, c, s, true)
		return
	}
	switch {
	case l.state == stateLinger && l.has(flagEOF):
		w.closeClient(l, c, false)
	case l.state == stateLinger:
		w.be.CloseWrite(c)
	case l.state == stateFarewell:
		w.leave(l, c, failed)
	}
}

// halfClose marks the end of what is sent on l.
func (w *Worker) halfClose(l *link, c *engine.Conn) {
	if l.has(flagSecure) && w.farewell(l, c, false) {
		return
	}
	w.be.CloseWrite(c)
}
