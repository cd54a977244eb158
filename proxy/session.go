package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/proxy/h1"
	"github.com/uringproxy/uringproxy/routing/urlpath"
)

// consumeClient uses what a client sent as far as its state allows: a head, a body, or nothing while a response to an
// earlier request is on its way (pipelining).
func (w *Worker) consumeClient(l *link, c *engine.Conn) {
	for !l.in.empty() {
		switch l.state {
		case stateHeader:
			if !w.readHeader(l, c) {
				return
			}
		case stateDetect:
			if !w.detect(l, c) {
				return
			}
		case stateIdle:
			if !w.beginExchange(l, c) {
				return
			}
		case stateHead:
			w.requestBytes(l, c)
		case stateBusy:
			x := w.exs.At(l.ex)
			if x.up.done || x.upstream == 0 || x.has(exBroken) {
				return
			}
			if !w.requestBody(l, x) {
				return
			}
			w.pump(&w.links[x.upstream-1], w.conns.At(x.upstream-1))
		case stateLinger:
			w.discard(&l.in)
		default:
			return
		}
	}
}

// beginExchange makes an exchange for a request whose first byte has come.
func (w *Worker) beginExchange(l *link, c *engine.Conn) bool {
	i := w.exs.Take()
	if i == 0 {
		w.m.Refuse(metrics.LimitBuffers)
		w.m.Inc(metrics.ConnsClosedError)
		w.closeClient(l, c, true)
		return false
	}
	x := w.exs.At(i)
	w.resetExchange(x)
	x.client, x.pin, x.started = c.Slot+1, w.sh.Hold(w.listeners[l.from].pin), w.sh.Now()
	x.rxBefore, x.txBefore = w.taken(c.Slot)
	x.req.ResetRequest(&w.limits)
	l.ex, l.state = i, stateHead
	l.id++
	w.m.Up(metrics.ExchangesActive)
	return true
}

// resetExchange clears what the last user left, except the parsers, which have resets of their own.
func (w *Worker) resetExchange(x *exchange) {
	x.upstream, x.flags, x.reason, x.tries, x.status = 0, 0, metrics.None, 0, 0
	x.route, x.service, x.target, x.next = -1, -1, 0, 0
	x.up.begin(framingNone, 0)
	x.down.begin(framingNone, 0)
	x.head, x.resHead, x.asked, x.frames, x.framed = noHead, noHead, noHead, noBuf, 0
	x.pending, x.interims, x.requestIDLen = queue{}, 0, 0
	x.understood, x.forwarded, x.sent, x.firstByte, x.received = 0, 0, 0, 0, 0
	x.own, x.since, x.records = -1, 0, 0
	x.code, x.fault = h1.OK, urlpath.OK
	x.forgive()
}

// requestBytes feeds the head of the request with what is in the queue.
func (w *Worker) requestBytes(l *link, c *engine.Conn) {
	x := w.exs.At(l.ex)
	if !w.gather(&x.head, &l.in) {
		w.refuse(x, 503, metrics.LimitBuffers)
		return
	}
	switch code := x.req.Feed(w.mem.Bytes(x.head.span)); code {
	case h1.NeedMore:
		if w.wheel.Deadline(c.Slot) > 0 && l.in.empty() {
			w.wheel.Set(c.Slot, x.started+int64(w.snapshot(x).Timeouts.Header))
		}
	case h1.OK:
		if !w.splitHead(&x.head, &l.in, x.req.Len) {
			w.refuse(x, 503, metrics.LimitBuffers)
			return
		}
		l.state, x.understood = stateBusy, w.sh.Now()
		w.sample(x)
		w.wheel.Set(c.Slot, x.understood+int64(w.snapshot(x).Timeouts.BodyRateWindow))
		w.startRequest(l, x)
	default:
		x.code = code
		w.refuse(x, code.Status(), refusalReason(code))
	}
}

func refusalReason(code h1.Code) metrics.Reason {
	switch code.Status() {
	case 414:
		return metrics.LimitRequestLine
	case 431:
		return metrics.LimitRequestHead
	case 417, 501, 505:
		return metrics.UnsupportedRequest
	}
	return metrics.BadRequestHead
}

// requestBody moves what has come of the request's body towards the upstream. It reports false when the request has
// failed with that.
func (w *Worker) requestBody(l *link, x *exchange) bool {
	to := &x.pending
	if x.upstream != 0 {
		to = &w.links[x.upstream-1].out
	}
	for !l.in.empty() && !x.up.done {
		n, code := w.follow(&x.up, &l.in)
		if code != h1.OK {
			x.code = code
			w.brokenBody(x, 400, metrics.BadRequestBody)
			return false
		}
		if max := w.snapshot(x).Limits.BodyBytes; max > 0 && x.up.total > max {
			w.brokenBody(x, 413, metrics.LimitRequestBody)
			return false
		}
		if n > 0 && !w.transfer(to, &l.in, uint32(n)) {
			w.abort(x, metrics.LimitBuffers)
			return false
		}
	}
	return true
}

// brokenBody answers a request whose body cannot be followed any further, unless the response is already on its way.
func (w *Worker) brokenBody(x *exchange, status int, why metrics.Reason) {
	x.set(exBroken)
	x.clear(exKeep) // also when its end has come: what is left of it must not be read as a request
	if x.has(exAnswered) {
		w.abort(x, why)
		return
	}
	w.refuse(x, status, why)
}

// clientEnded handles the end of a client's stream: errno 0 for an orderly one, which may be only half of the
// connection.
func (w *Worker) clientEnded(l *link, c *engine.Conn, errno int32) {
	l.set(flagEOF)
	if l.awaitsFirst() {
		w.firstEnded(l, c, errno)
		return
	}
	if errno == 0 && !l.in.empty() {
		return // what came before it is used first, see proceed
	}
	switch l.state {
	case stateIdle:
		w.m.Inc(metrics.ConnsClosedPeer)
		w.closeClient(l, c, false)
	case stateLinger:
		w.closeClient(l, c, false)
	case stateHead:
		w.abort(w.exs.At(l.ex), metrics.ClientGoneHead)
	case stateBusy:
		x := w.exs.At(l.ex)
		x.errno = errno
		switch {
		case errno != 0 && x.has(exAnswered):
			w.abort(x, metrics.ClientGoneSend)
		case errno != 0:
			w.abort(x, metrics.ClientGoneWait)
		case !x.up.done && !x.has(exBroken):
			w.abort(x, metrics.ClientGoneBody)
		default:
			// The request is complete, or nobody wants the rest: the client has only said that it will send no
			// more. The response is still owed; when the client is gone for good, sending it will fail.
			x.clear(exKeep)
		}
	}
}

// nextRequest makes a client's link ready for its next request, which may have come already.
func (w *Worker) nextRequest(l *link, c *engine.Conn) {
	l.state, l.ex = stateIdle, 0
	w.unused(l, c.Slot, w.sh.Snapshot().Timeouts.Idle)
	w.beginOwn(l)
	w.proceed(l, c)
}

// proceed takes up a client's input that had to wait: what has come, then the end of its stream if that has come too.
func (w *Worker) proceed(l *link, c *engine.Conn) {
	w.consumeClient(l, c)
	switch {
	case l.closing():
	case l.has(flagEOF) && l.in.empty():
		w.clientEnded(l, c, 0)
	default:
		w.rearm(l, c)
	}
}

// lingerInDrain is how long a shutdown waits for a client that has got its last response and goes on sending.
const lingerInDrain = 500e6

// linger ends a connection on which the client may still be sending: the response's end is marked by a half-close, and
// input is read and thrown away until the client has seen it. Closing at once would answer that input with a
// reset, and a reset can destroy the response before the client has read it (RFC 9112, section 9.6).
func (w *Worker) linger(l *link, c *engine.Conn) {
	w.discard(&l.in)
	l.state, l.ex = stateLinger, 0
	l.clear(flagHeld)
	if l.has(flagEOF) || l.has(flagSecure) && w.secure[c.Slot].over {
		w.closeClient(l, c, false)
		return
	}
	w.halfClose(l, c)
	patience := int64(w.sh.Snapshot().Timeouts.Linger)
	if w.draining {
		patience = min(patience, lingerInDrain)
	}
	w.wheel.Set(c.Slot, w.sh.Now()+patience)
	w.rearm(l, c)
}

// closeClient ends a client's connection.
func (w *Worker) closeClient(l *link, c *engine.Conn, reset bool) {
	if l.closing() {
		return
	}
	if l.awaitsFirst() {
		w.firstKnown(l)
	}
	if l.has(flagCounted) {
		w.shared.perIP.remove(l.addr, l.ip6)
	}
	w.clients--
	w.shared.clients.Add(-1)
	w.m.Down(metrics.ConnsActive)
	w.m.Of(metrics.ListenerSeries, l.series).Closed()
	w.listenerLeft(l)
	w.closeLink(l, c, reset)
}

// closeLink hands a link back to the backend. What it has queued is given back when the backend is done with it.
func (w *Worker) closeLink(l *link, c *engine.Conn, reset bool) {
	w.unstarve(l, c)
	l.ex = 0
	if l.has(flagSecure) && w.farewell(l, c, reset) {
		w.awaitFarewell(l, c, w.secure[c.Slot])
		return
	}
	w.leave(l, c, reset)
}

// leave closes a connection on which nothing more is to be said.
func (w *Worker) leave(l *link, c *engine.Conn, reset bool) {
	l.state = stateClosing
	w.unstarve(l, c) // its last word may have found no buffer
	w.wheel.Set(c.Slot, 0)
	w.be.Close(c, reset)
}

// closed releases a slot.
func (w *Worker) closed(l *link, c *engine.Conn) {
	w.discard(&l.in)
	w.discard(&l.out)
	if l.has(flagSecure) {
		w.dropSecure(l, c.Slot)
	}
	l.kind = kindNone
	w.conns.Release(c)
	w.roomMade()
}
