package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// Relayed connections are those whose records crypto/tls keeps: the conversation of the handshake goes on. The states
// are the same. What is received goes to the conversation, which puts out plaintext; what is queued goes to it, and it
// puts out ciphertext. Both are copied.

// relayNews goes on with a relayed connection in all directions.
func (w *Worker) relayNews(l *link, c *engine.Conn, s *secure) {
	if l.state == stateClosing {
		return
	}
	if !l.closing() && l.state != stateLinger && !(l.tunnel != 0 && l.has(flagEOF)) {
		w.relayIn(l, c, s)
	}
	if l.state == stateClosing || s.conv == nil {
		return
	}
	w.relayOut(l, c, s)
	sent := !l.has(flagSending) && !s.withholds()
	switch {
	case l.sends():
		if sent && l.out.empty() {
			l.txSince = 0
		}
		w.went(l, c)
	case !sent:
	case l.state == stateFarewell:
		w.leave(l, c, false)
	case l.state == stateLinger && l.has(flagEOF):
		w.closeClient(l, c, false)
	case l.state == stateLinger && !l.has(flagShut):
		l.set(flagShut)
		w.be.CloseWrite(c)
	}
}

// withholds reports whether something that was queued for a relayed connection, or close_notify, is still to be sent.
func (s *secure) withholds() bool { return s.relay && s.conv != nil && s.conv.Holds() }

// relayIn feeds the conversation and has the plaintext consumed, as far as there is room for what becomes of it.
func (w *Worker) relayIn(l *link, c *engine.Conn, s *secure) {
	for {
		l.clear(flagHeld)
		w.feedTalk(l, s)
		if !l.in.empty() || !w.mayOpen(l) {
			l.set(flagHeld)
			return
		}
		plain := s.conv.Plain()
		if len(plain) == 0 {
			break
		}
		if !w.relayPlain(l, c, s, plain) {
			return
		}
		w.use(l, c)
		if l.closing() || l.has(flagEOF) || l.state == stateLinger {
			return
		}
	}
	closed, err := s.conv.Ended()
	heard, alerted := err.(handshake.Heard)
	switch {
	case alerted:
		w.streamEnded(l, c, w.alerted(l, s, heard.Alert))
	case closed:
		s.served = true
		w.be.RecvCancel(c)
		w.streamEnded(l, c, 0)
	case err != nil && s.over:
		w.streamOver(l, c, s)
	case err != nil:
		w.m.Inc(metrics.RecordFaults)
		w.streamEnded(l, c, eTruncated)
	}
}

// relayPlain copies plaintext from the conversation to the queue in. It reports false when there was no room for it.
func (w *Worker) relayPlain(l *link, c *engine.Conn, s *secure, plain []byte) bool {
	buf, ok := w.mem.Take(mem.Small)
	if !ok {
		l.set(flagHeld)
		w.starve(l, c)
		return false
	}
	at := w.mem.Data(buf)
	at.Len = uint32(copy(w.mem.Bytes(at), plain))
	s.conv.Took(int(at.Len))
	s.opened += uint64(at.Len)
	w.m.Add(metrics.BytesOpened, uint64(at.Len))
	if !w.push(&l.in, at, buf) {
		w.outOfMemory(l, c)
		return false
	}
	return true
}

// feedTalk hands received ciphertext to the conversation, and the end of the stream behind it. What it does not take
// waits for its next news.
func (w *Worker) feedTalk(l *link, s *secure) {
	for !s.raw.empty() {
		piece := w.chunks.At(s.raw.head).span
		n := s.conv.Feed(w.mem.Bytes(piece))
		w.consume(&s.raw, uint32(n))
		if n < int(piece.Len) {
			l.set(flagHeld)
			return
		}
	}
	if s.over {
		s.conv.EOF()
	}
}

// relayOut hands the conversation what is queued, and sends what it puts out.
func (w *Worker) relayOut(l *link, c *engine.Conn, s *secure) {
	if l.sends() && l.txSince == 0 && !l.out.empty() {
		l.txSince, l.txMark = w.sh.Now(), markUnknown
	}
	for l.sends() && !l.out.empty() {
		piece := w.chunks.At(l.out.head).span
		n := s.conv.Write(w.mem.Bytes(piece))
		w.consume(&l.out, uint32(n))
		s.sealed += uint64(n)
		w.m.Add(metrics.BytesSealed, uint64(n))
		if n < int(piece.Len) {
			break
		}
	}
	w.utter(l, c, s)
}
