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

// greet makes a client's link one over TLS, from which a ClientHello is awaited until the link's deadline. It may have
// come already.
func (w *Worker) greet(l *link, c *engine.Conn) {
	l.set(flagSecure)
	l.state = stateHello
	s := w.takeSecure(c.Slot)
	w.countAs(s, metrics.TLSHellosAwaited)
	if l.in.empty() {
		return
	}
	s.raw, l.in = l.in, queue{}
	s.began = w.sh.Now()
	w.readHello(l, c, s)
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
	route, ln := w.streamRoute(l, offer), w.listenerOf(l)
	switch {
	case route >= 0 && !w.streamAt(l, route).Terminate:
		w.beginTunnel(l, c, route, offer)
		return
	case route >= 0:
		w.bind(l, s, route)
	case ln.TLS == nil || ln.Protocol == plan.TCP:
		w.refuseUnrouted(l, c, s, offer.SNI)
		return
	}
	s.facts.offer = offer.Pack(s.facts.offer[:0])
	w.shake(l, c, s, ln, stream)
}

// shake begins the handshake with a client whose ClientHello is at the beginning of stream.
func (w *Worker) shake(l *link, c *engine.Conn, s *secure, ln *plan.Listener, stream []byte) {
	s.facts.server = ln.TLS.Server
	conv := w.port.Serve(uint64(c.Slot), ln.TLS.Server, clientAddr(l).Addr(), stream)
	w.dropStream(s)
	if conv == nil {
		w.refuseClient(l, c, s, alert.InternalError, metrics.HandshakeShed)
		return
	}
	s.conv, l.state = conv, stateHandshake
	if ln.Protocol != plan.HTTP { // so far, it was the time for first bytes that ran
		w.wheel.Set(c.Slot, w.sh.Now()+int64(ln.TLS.Timeout))
	}
	w.countAs(s, metrics.HandshakesRunning)
	if !s.raw.empty() {
		w.talk(l, c, s)
	}
}

// refuseUnrouted ends a connection over TLS that no tcp route is for, where there is nothing else that it could be for.
// Name is the host that it has asked for.
func (w *Worker) refuseUnrouted(l *link, c *engine.Conn, s *secure, name []byte) {
	w.reject(l, metrics.NoRoute, name, "")
	w.dropStream(s)
	w.refuseClient(l, c, s, alert.UnrecognizedName, metrics.HandshakeNoName)
}

// streamRoute is the target of the tcp route that a client takes with this offer, or without one, when it has sent no
// ClientHello; -1: there is none. A route that ends TLS is none for those who do not speak it, nor where nobody could.
func (w *Worker) streamRoute(l *link, offer *hello.Offer) int {
	ln := w.listenerOf(l)
	if ln.Streams == nil {
		return -1
	}
	r := &w.question.request
	r.TLS, r.Client, r.Port = (*routing.Hello)(offer), clientAddr(l).Addr(), w.destinationPort(l)
	route := ln.Streams.MatchHello(r)
	if route >= 0 && (offer == nil || ln.TLS == nil) && w.streamAt(l, route).Terminate {
		return -1
	}
	return route
}

// streamAt is the target of a tcp route that l has been found to take.
func (w *Worker) streamAt(l *link, route int) *plan.Stream {
	return &w.sh.Pinned(w.listeners[l.from].pin).Streams[route]
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
	w.reject(l, metrics.BadHello, nil, code.String())
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
