package proxy

import (
	"strconv"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/handshake"
	"github.com/uringproxy/uringproxy/tls/hello"
)

// listening is memory for one ClientHello at a time.
type listening struct {
	hello   hello.Hello
	board   hello.Board
	scratch [hello.MaxMessage]byte
}

// A hello of the greatest size lies in one buffer.
const _ = uint(mem.RecordBytes - hello.MaxStream)

// greet makes a client's link one over TLS, from which a ClientHello is awaited.
func (w *Worker) greet(l *link, c *engine.Conn, tls *plan.TLS) {
	l.set(flagSecure)
	l.state = stateHello
	w.countAs(w.takeSecure(c.Slot), metrics.TLSHellosAwaited)
	w.wheel.Set(c.Slot, w.sh.Now()+int64(tls.Timeout))
}

// readHello looks for the end of the ClientHello in what has come, and begins the handshake with it.
func (w *Worker) readHello(l *link, c *engine.Conn, s *secure) {
	l.clear(flagHeld)
	if s.raw.pieces > 1 || s.rec.buf != noBuf {
		if !w.gatherRaw(l, s, s.rec.span.Len+s.raw.bytes) {
			l.set(flagHeld)
			w.starve(l, c)
			return
		}
	}
	stream := w.stream(s)
	if code := s.scan.Feed(stream); code == hello.NeedMore {
		return
	} else if code != hello.OK {
		w.refuseHello(l, c, s, code)
		return
	}
	h := &w.listening.hello
	message := s.scan.Message(stream, w.listening.scratch[:])
	if code := h.Parse(message); code != hello.OK {
		w.refuseHello(l, c, s, code)
		return
	}
	offer := w.listening.board.Show(h, message, true)
	if route := w.streamRoute(l, offer); route >= 0 {
		if !w.sh.Pinned(w.listeners[l.from].pin).Streams[route].Terminate {
			w.beginTunnel(l, c, route, offer)
			return
		}
		w.bind(l, s, route)
	}
	s.facts.offer = offer.Pack(s.facts.offer[:0])
	tls := w.listenerOf(l).TLS
	s.facts.server = tls.Server
	conv := w.port.Serve(uint64(c.Slot), tls.Server, clientAddr(l).Addr(), stream)
	w.dropStream(s)
	if conv == nil {
		w.refuseClient(l, c, s, alert.InternalError, metrics.HandshakeShed)
		return
	}
	s.conv, l.state = conv, stateHandshake
	w.countAs(s, metrics.HandshakesRunning)
	if !s.raw.empty() {
		w.talk(l, c, s)
	}
}

// streamRoute is the target of the tcp route that a client with this offer takes; -1: there is none.
func (w *Worker) streamRoute(l *link, offer *hello.Offer) int {
	table := w.listenerOf(l).Streams
	if table == nil {
		return -1
	}
	r := &w.question.request
	r.TLS, r.Client, r.Port = (*routing.Hello)(offer), clientAddr(l).Addr(), w.destinationPort(l)
	return table.MatchHello(r)
}

// stream is what has come so far, as far as it lies in one piece.
func (w *Worker) stream(s *secure) []byte {
	switch {
	case s.rec.buf != noBuf:
		return w.mem.Bytes(s.rec.span)
	case s.raw.empty():
		return nil
	}
	return w.mem.Bytes(w.chunks.At(s.raw.head).span)
}

// dropStream gives that back.
func (w *Worker) dropStream(s *secure) {
	if s.rec.buf != noBuf {
		w.dropHead(&s.rec)
		return
	}
	_, buf := w.shift(&s.raw)
	w.mem.Drop(buf)
}

// refuseHello ends a connection whose ClientHello is none, or none that we accept.
func (w *Worker) refuseHello(l *link, c *engine.Conn, s *secure, code hello.Code) {
	w.m.HelloRefused(uint8(code))
	w.dropStream(s)
	if code == hello.PlainHTTP {
		w.countHandshake(l, s, metrics.HandshakeBadHello, nil)
		w.m.Inc(metrics.ConnsClosedError)
		w.answerPlainly(l, c, s)
		return
	}
	description, ok := code.Alert()
	s.mute = !ok
	w.refuseClient(l, c, s, description, metrics.HandshakeBadHello)
}

// refuseClient ends a client's connection before there are keys, with an alert that everybody can read.
func (w *Worker) refuseClient(
	l *link, c *engine.Conn, s *secure, description alert.Alert, end metrics.HandshakeEnd,
) {
	w.countHandshake(l, s, end, nil)
	w.m.Inc(metrics.ConnsClosedError)
	if buf, ok := w.mem.Take(mem.Small); ok {
		at := w.mem.Data(buf)
		b := alert.AppendRecord(w.mem.All()[at.Off:at.Off:at.End()], description)
		s.wire = held{mem.Span{Off: at.Off, Len: uint32(len(b))}, buf}
	}
	w.closeClient(l, c, false)
}

const plainBody = "400 Bad Request\nThis port speaks HTTPS, and the request came in plain HTTP. Use https://\n"

var plainAnswer = "HTTP/1.1 400 Bad Request\r\n" +
	"Content-Type: text/plain; charset=utf-8\r\n" +
	"Content-Length: " + strconv.Itoa(len(plainBody)) + "\r\n" +
	"Connection: close\r\n\r\n" + plainBody

// answerPlainly tells somebody who speaks plain HTTP on a port for TLS what is wrong, in a way that is understood.
func (w *Worker) answerPlainly(l *link, c *engine.Conn, s *secure) {
	buf, ok := w.mem.Take(mem.Small)
	if !ok {
		w.closeClient(l, c, true)
		return
	}
	at := w.mem.Data(buf)
	s.wire = held{mem.Span{Off: at.Off, Len: uint32(copy(w.mem.Bytes(at), plainAnswer))}, buf}
	w.linger(l, c)
}

// handshakeEnds are the reasons of handshakes as they are counted.
var handshakeEnds = [handshake.Reasons]metrics.HandshakeEnd{
	handshake.OK:                   metrics.HandshakeDone,
	handshake.Cancelled:            metrics.HandshakeCutOff,
	handshake.Shed:                 metrics.HandshakeShed,
	handshake.Gone:                 metrics.HandshakePeerGone,
	handshake.Garbage:              metrics.HandshakeGarbage,
	handshake.NoCertificate:        metrics.HandshakeNoName,
	handshake.NoCommonVersion:      metrics.HandshakeNoVersion,
	handshake.NoCommonSuite:        metrics.HandshakeNoSuite,
	handshake.NoCommonProtocol:     metrics.HandshakeNoProtocol,
	handshake.BadClientCertificate: metrics.HandshakeCertificate,
	handshake.BadServerCertificate: metrics.HandshakeCertificate,
	handshake.PeerAlert:            metrics.HandshakeAlert,
	handshake.Internal:             metrics.HandshakeInternal,
}
