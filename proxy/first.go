package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/proxy/proxyproto"
	"github.com/uringproxy/uringproxy/tls/hello"
)

// A connection begins with as many of these as its listener asks for: a header of the PROXY protocol, then the bytes by
// which it is told what the connection is. Both are awaited up to Timeouts.Detect, in states of their own, and what has
// come of them lies in the link's queue in.

// admit goes on with a client whose address is known.
func (w *Worker) admit(l *link, c *engine.Conn) {
	if max := w.sh.Snapshot().Limits.ConnectionsPerIP; max > 0 && l.addr != ([16]byte{}) {
		if !w.shared.perIP.add(l.addr, l.ip6, max) {
			w.refuseFirst(l, c, metrics.LimitConnsPerIP)
			return
		}
		l.set(flagCounted)
	}
	if w.trusts(l) {
		l.set(flagTrusted)
	}
	w.expect(l, c)
}

// expect has what the listener's clients speak begin.
func (w *Worker) expect(l *link, c *engine.Conn) {
	ln := w.listenerOf(l)
	switch {
	case ln.Protocol == plan.HTTP && ln.TLS != nil:
		w.wheel.Set(c.Slot, w.sh.Now()+int64(ln.TLS.Timeout))
		w.greet(l, c)
	case ln.Protocol == plan.HTTP:
		w.expectRequest(l, c)
	case ln.Protocol == plan.TCP && ln.TLS == nil && (ln.Streams == nil || !ln.Streams.LooksAtHello()):
		w.passOn(l, c) // at once: the server may be the one who speaks first
	default:
		w.awaitFirst(l, c, stateDetect)
		if w.silenceLeadsNowhere(l) { // it may be a client who will have a request
			w.wheel.Set(c.Slot, w.sh.Now()+int64(w.sh.Snapshot().Timeouts.Idle))
		}
	}
}

// silenceLeadsNowhere reports whether l is to say something, on a listener for requests too.
func (w *Worker) silenceLeadsNowhere(l *link) bool {
	return w.listenerOf(l).Protocol == plan.Auto && w.streamRoute(l, nil) < 0
}

// expectRequest gives a new client its time for the first request.
func (w *Worker) expectRequest(l *link, c *engine.Conn) {
	snap := w.sh.Snapshot()
	patience := snap.Timeouts.Idle
	if w.listeners[l.from].gone {
		patience = snap.Timeouts.Header
	}
	l.state = stateIdle
	w.wheel.Set(c.Slot, w.sh.Now()+int64(patience))
}

// awaitFirst has a client's first bytes be awaited, in one of the two states that there are for that.
func (w *Worker) awaitFirst(l *link, c *engine.Conn, s state) {
	l.state = s
	w.m.Up(metrics.FirstBytesAwaited)
	w.wheel.Set(c.Slot, w.sh.Now()+int64(w.sh.Snapshot().Timeouts.Detect))
}

// awaitsFirst reports whether a client's first bytes are awaited.
func (l *link) awaitsFirst() bool { return l.state == stateHeader || l.state == stateDetect }

// firstKnown ends that.
func (w *Worker) firstKnown(l *link) {
	l.state = stateIdle
	w.m.Down(metrics.FirstBytesAwaited)
}

// refuseFirst ends a client's connection of which nothing became.
func (w *Worker) refuseFirst(l *link, c *engine.Conn, why metrics.Reason) {
	w.m.Refuse(why)
	w.m.Inc(metrics.ConnsClosedError)
	w.closeClient(l, c, true)
}

// front is what has come on l, in one piece as far as first bytes may reach: what came in several is drawn together, as
// a head is. It reports false when there is no memory for that. There must be something.
func (w *Worker) front(l *link) ([]byte, bool) {
	if l.in.pieces > 1 {
		h := noHead
		for !l.in.empty() && h.span.Len < proxyproto.MaxLen {
			if !w.gather(&h, &l.in) {
				w.dropHead(&h)
				return nil, false
			}
		}
		if !w.unshift(&l.in, h.span, h.buf) {
			return nil, false
		}
	}
	return w.mem.Bytes(w.chunks.At(l.in.head).span), true
}

// firstEnded handles the end of a client's stream before its first bytes were complete: errno 0 for an orderly one.
// Whoever has not said a word has not begun anything, as those do who look whether we are there.
func (w *Worker) firstEnded(l *link, c *engine.Conn, errno int32) {
	switch {
	case errno != 0 || l.in.empty() || l.state == stateDetect && w.halfHello(l):
		w.m.Inc(metrics.ConnsClosedPeer)
		w.closeClient(l, c, false)
	case l.state == stateHeader:
		w.headerCut(l, c, metrics.ProxyMalformed, metrics.BadProxyHeader, proxyproto.NeedMore.String())
	default: // no more will tell
		w.decide(l, c, beginsOther)
	}
}

// halfHello reports whether what has come is the beginning of a ClientHello, on a connection that is not one over TLS
// yet. There must be something.
func (w *Worker) halfHello(l *link) bool {
	return w.mem.Bytes(w.chunks.At(l.in.head).span)[0] == recordHandshake
}

// firstExpired handles the end of the time that there is for first bytes.
func (w *Worker) firstExpired(l *link, c *engine.Conn) {
	switch {
	case w.draining:
		w.m.Inc(metrics.ConnsClosedDrain)
		w.closeClient(l, c, false)
	case l.state == stateHeader:
		w.headerCut(l, c, metrics.ProxyLate, metrics.TimeoutProxyHeader, "")
	case l.in.empty() && w.silenceLeadsNowhere(l):
		w.m.Inc(metrics.ConnsClosedIdle)
		w.closeClient(l, c, false)
	case l.in.empty():
		w.decide(l, c, beginsSilent)
	case w.halfHello(l):
		w.rejectFirst(l, c, metrics.TimeoutDetect, hello.NeedMore.String())
	default:
		w.decide(l, c, beginsOther)
	}
}
