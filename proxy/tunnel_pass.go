package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/record"
)

// far is a tunnel's link to its endpoint, which must exist.
func (w *Worker) far(t *tunnel) (*link, *engine.Conn) {
	return &w.links[t.upstream-1], w.conns.At(t.upstream - 1)
}

// across is the other end of the tunnel that l belongs to; nil while there is none to which anything could be sent.
func (w *Worker) across(l *link) (*link, *engine.Conn) {
	t := w.tunnels.At(l.tunnel)
	slot := t.client
	if l.kind == kindClient {
		if t.upstream == 0 {
			return nil, nil
		}
		slot = t.upstream - 1
	}
	o := &w.links[slot]
	if o.state != stateTunnel {
		return nil, nil
	}
	return o, w.conns.At(slot)
}

// pass moves what has come on l to the other end, and the end of l's stream behind it.
func (w *Worker) pass(l *link) {
	o, oc := w.across(l)
	if o == nil {
		return
	}
	t := w.tunnels.At(l.tunnel)
	if n := l.in.bytes; n > 0 {
		t.moved = w.sh.Now()
		w.carried(t, l, n)
		if !w.transfer(&o.out, &l.in, n) {
			w.endTunnel(t, metrics.LimitBuffers)
			return
		}
		w.pump(o, oc)
	}
	w.passEnd(l, o, oc)
}

// carried counts n bytes that have come on l: at once, since a tunnel may be there for weeks.
func (w *Worker) carried(t *tunnel, l *link, n uint32) {
	passage, series := w.passage(t)
	if l.kind == kindClient {
		t.up += int64(n)
		w.m.Carried(passage, series, uint64(n), 0)
	} else {
		t.down += int64(n)
		w.m.Carried(passage, series, 0, uint64(n))
	}
}

// passEnd ends o's stream if l's has ended and all of it has been sent.
func (w *Worker) passEnd(l, o *link, oc *engine.Conn) {
	if !l.has(flagEOF) || !l.in.empty() || o.has(flagShut) || !w.allSent(o, oc.Slot) {
		return
	}
	o.set(flagShut)
	w.endStream(o, oc)
}

// endStream ends the stream on l, on which everything has left: over TLS by close_notify, without which it would look
// cut off, and then by that of the connection. It is called again when close_notify has left, or when there is memory
// for it. When both streams have ended, the tunnel has.
func (w *Worker) endStream(l *link, c *engine.Conn) {
	if l.has(flagFinished | flagSending) {
		return
	}
	o, _ := w.across(l)
	if o.has(flagFinished) { // to close in order says close_notify, too
		w.endTunnel(w.tunnels.At(l.tunnel), metrics.None)
		return
	}
	if l.has(flagSecure) && !w.notified(l, c) {
		return
	}
	l.set(flagFinished)
	w.be.CloseWrite(c)
}

// notified sends close_notify on l. It reports whether it has left, or nothing can be said any more.
func (w *Worker) notified(l *link, c *engine.Conn) bool {
	s := w.secure[c.Slot]
	if s.relay {
		s.conv.CloseWrite()
		w.utter(l, c, s)
		return !l.has(flagSending) && !s.withholds()
	}
	if l.has(flagSending) {
		return false
	}
	buf, ok := w.roomFor(record.ControlRoom)
	if !ok {
		w.starve(l, c)
		return false
	}
	at := w.mem.Data(buf)
	b := s.layer.Alert(w.mem.All()[at.Off:at.Off:at.End()], alert.CloseNotify)
	if len(b) == 0 {
		w.mem.Drop(buf)
		return true
	}
	w.countSealed(b)
	s.wire = held{mem.Span{Off: at.Off, Len: uint32(len(b))}, buf}
	w.sendWire(l, c, s, true)
	return false
}

// tunnelHasRoom reports whether more may be received on l for the other end.
func (w *Worker) tunnelHasRoom(l *link) bool {
	if o, _ := w.across(l); o != nil {
		return w.hasRoom(&o.out)
	}
	return w.hasRoom(&l.in)
}

// tunnelSendsLast reports whether l's stream ends behind what is queued for it.
func (w *Worker) tunnelSendsLast(l *link) bool {
	o, _ := w.across(l)
	return o != nil && o.has(flagEOF) && o.in.empty()
}

// tunnelEnded handles the end of one direction: errno 0 for an orderly one.
func (w *Worker) tunnelEnded(l *link, errno int32) {
	t := w.tunnels.At(l.tunnel)
	switch {
	case errno == 0:
		l.set(flagEOF)
		w.pass(l)
		if l.tunnel == 0 {
			return
		}
		if o, _ := w.across(l); o != nil {
			w.watch(t)
		}
	case l.kind == kindClient:
		t.mishap.errno = errno
		w.endTunnel(t, metrics.ClientGoneStream)
	default:
		t.mishap.errno = errno
		w.endTunnel(t, metrics.UpstreamStream)
	}
}

// tunnelSent goes on after bytes have left on l: there is room for more of what the other end sends.
func (w *Worker) tunnelSent(l *link, c *engine.Conn) {
	w.tunnels.At(l.tunnel).moved = w.sh.Now()
	if l.has(flagShut) {
		w.endStream(l, c)
		return
	}
	o, oc := w.across(l)
	if o == nil {
		return
	}
	w.passEnd(o, l, c)
	if o.state == stateTunnel {
		w.rearm(o, oc)
	}
}
