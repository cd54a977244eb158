package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/handshake"
	"github.com/uringproxy/uringproxy/tls/hello"
)

// hear goes on with all handshakes that have news.
func (w *Worker) hear() {
	if w.port == nil {
		return
	}
	w.began, w.unsealing = 0, 0 // what belongs to an event of this turn is over
	for conv := w.port.Next(); conv != nil; conv = w.port.Next() {
		slot := uint32(conv.ID())
		l, c, s := &w.links[slot], w.conns.At(slot), w.secure[slot]
		switch {
		case s == nil || s.conv != conv:
			continue
		case s.relay:
			w.relayNews(l, c, s)
		case l.state == stateHandshake:
			w.talk(l, c, s)
		}
		w.rearmUnlessGone(l, c)
	}
}

// dial begins the handshake with an endpoint to which l has just been connected.
func (w *Worker) dial(l *link, c *engine.Conn, client *handshake.Client) {
	s := w.takeSecure(c.Slot)
	l.set(flagSecure)
	s.began = w.sh.Now()
	s.conv, l.state = w.port.Dial(uint64(c.Slot), client), stateHandshake
	if s.conv == nil {
		w.dialFailed(l, s, handshake.Shed)
		return
	}
	w.countAs(s, metrics.HandshakesRunning)
	w.rearm(l, c)
}

// talk hands the peer's ciphertext to the handshake and the handshake's to the peer, and goes on when it is over and
// all that it had to say has left.
func (w *Worker) talk(l *link, c *engine.Conn, s *secure) {
	l.clear(flagHeld)
	outcome := s.conv.Outcome()
	if outcome == nil {
		w.feedTalk(l, s)
	}
	if !w.utter(l, c, s) || outcome == nil {
		return
	}
	if outcome.Err != nil {
		w.talkFailed(l, c, s, outcome)
		return
	}
	w.agreed(l, c, s, outcome)
}

// utter sends what the handshake has to say. It reports whether there is nothing left, and nothing on its way.
func (w *Worker) utter(l *link, c *engine.Conn, s *secure) bool {
	if l.has(flagSending) {
		return false
	}
	if s.wire.buf != noBuf {
		w.sendWire(l, c, s, false)
		return false
	}
	out := s.conv.Output()
	if len(out) == 0 {
		return true
	}
	buf, ok := w.roomFor(uint32(len(out)))
	if !ok {
		w.starve(l, c)
		return false
	}
	at := w.mem.Data(buf)
	for len(out) > 0 && at.Len > 0 {
		n := copy(w.mem.Bytes(at), out)
		s.conv.Sent(n)
		at.Off, at.Len = at.Off+uint32(n), at.Len-uint32(n)
		out = s.conv.Output()
	}
	from := w.mem.Data(buf).Off
	s.wire = held{mem.Span{Off: from, Len: at.Off - from}, buf}
	w.sendWire(l, c, s, false)
	return false
}

// talkCut handles an end of the stream before the handshake's: errno 0 for an orderly one, behind which the handshake
// may still be found to be complete.
func (w *Worker) talkCut(l *link, c *engine.Conn, s *secure, errno int32) {
	switch {
	case s.conv != nil && errno == 0:
		s.over = true
		w.feedTalk(l, s)
		return
	case l.kind == kindUpstream:
		w.mishapOf(l).errno = errno
		w.dialFailed(l, s, handshake.Gone)
		return
	case s.began != 0: // who has not said a word has not begun a handshake
		w.countHandshake(l, s, metrics.HandshakePeerGone, nil)
	}
	s.mute = true
	w.m.Inc(metrics.ConnsClosedPeer)
	w.closeClient(l, c, false)
}

// talkFailed ends a connection whose handshake has failed. The alert has been sent.
func (w *Worker) talkFailed(l *link, c *engine.Conn, s *secure, o *handshake.Outcome) {
	if l.kind == kindUpstream {
		w.mishapOf(l).say(o.Detail, "")
		w.dialFailed(l, s, o.Reason)
		return
	}
	if o.Reason == handshake.Shed && l.tx == 0 { // it had to leave the line before it had its turn
		w.refuseClient(l, c, s, alert.InternalError, metrics.HandshakeShed)
		return
	}
	w.countHandshake(l, s, handshakeEnds[o.Reason], o)
	w.m.Inc(metrics.ConnsClosedError)
	w.closeClient(l, c, false)
}

// dialFailed goes on without the endpoint with which there is no TLS.
func (w *Worker) dialFailed(l *link, s *secure, why handshake.Reason) {
	w.countHandshake(l, s, handshakeEnds[why], nil)
	w.mishapOf(l).shake = why
	w.noConnection(l, metrics.UpstreamTLS)
}

// agreed starts the record layer with the keys of a handshake that has succeeded.
func (w *Worker) agreed(l *link, c *engine.Conn, s *secure, o *handshake.Outcome) {
	if !o.Relayed && !w.takeKeys(s, o) {
		w.starve(l, c)
		return
	}
	w.countHandshake(l, s, metrics.HandshakeDone, o)
	s.facts.agreed(o, l.kind == kindClient)
	if s.relay = o.Relayed; !s.relay {
		w.hangUp(l, s)
	}
	s.ready = true
	l.set(flagHeld) // there may be more than the handshake in what has come
	if l.kind == kindClient {
		w.countAs(s, metrics.TLSConnsOpen)
		w.welcome(l, c, s)
		return
	}
	w.countAs(s, noGauge)
	if l.tunnel != 0 {
		w.tunnelOpen(l, c)
		return
	}
	w.begin(w.exs.At(l.ex), l, c)
}

// takeKeys starts the record layer, and puts what the handshake did not use in front of what has come since. It reports
// false, and has done nothing, when there is no buffer.
func (w *Worker) takeKeys(s *secure, o *handshake.Outcome) bool {
	var raw queue
	for left := o.Left; len(left) > 0; {
		buf, ok := w.mem.Take(mem.Small)
		if !ok {
			w.discard(&raw)
			return false
		}
		at := w.mem.Data(buf)
		at.Len = uint32(copy(w.mem.Bytes(at), left))
		left = left[at.Len:]
		if !w.push(&raw, at, buf) {
			w.discard(&raw)
			return false
		}
	}
	for !s.raw.empty() {
		span, buf := w.shift(&s.raw)
		w.push(&raw, span, buf) // there is an entry: the one that shift has given back
	}
	s.raw = raw
	s.layer.Start(o.Keys)
	return true
}

// welcome makes a client with which TLS is agreed on ready for its first request, which may have come already, or
// passes it on.
func (w *Worker) welcome(l *link, c *engine.Conn, s *secure) {
	l.state = stateIdle
	if (w.draining || w.leaving(l) && !s.bound) && s.raw.empty() {
		w.m.Inc(metrics.ConnsClosedDrain)
		w.closeClient(l, c, false)
		return
	}
	if s.raw.empty() {
		w.be.AckNow(c) // we say nothing to the client's Finished, and its request may be waiting for that
	}
	if s.bound {
		w.beginStream(l, c, int(s.stream), nil)
		return
	}
	w.unused(l, c.Slot, w.sh.Snapshot().Timeouts.Idle)
	w.beginOwn(l)
	w.advance(l, c, s)
}

// countHandshake records how the handshake on l has ended. There is no outcome of one that never had its turn.
func (w *Worker) countHandshake(l *link, s *secure, end metrics.HandshakeEnd, o *handshake.Outcome) {
	h := metrics.Handshake{End: end}
	if l.kind == kindUpstream {
		h.Side = metrics.Upstreams
	}
	if o != nil {
		h.TLS13, h.Resumed, h.Duration = o.Version == hello.VersionTLS13, o.Resumed, w.sh.Now()-s.began
		if o.Lookup > 0 {
			w.m.Observe(metrics.CertificateTime, int64(o.Lookup))
		}
	}
	w.m.Handshake(&h)
	w.countAs(s, noGauge)
	s.counted = true
}

// hangUp ends what is left of a handshake when its connection ends.
func (w *Worker) hangUp(l *link, s *secure) {
	if s.conv == nil {
		return
	}
	if !s.counted {
		w.countHandshake(l, s, metrics.HandshakeCutOff, nil)
	}
	s.conv.End()
	s.conv = nil
}
