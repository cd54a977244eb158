package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
)

// pump sends what is queued for l, unless a send is in flight already or l is not connected.
func (w *Worker) pump(l *link, c *engine.Conn) {
	if l.has(flagSecure) {
		w.pumpSecure(l, c)
		return
	}
	if l.out.empty() || l.has(flagSending) || !l.sends() {
		return
	}
	if l.txSince == 0 {
		l.txSince, l.txMark = w.sh.Now(), markUnknown
	}
	l.set(flagSending)
	if l.ex != 0 {
		w.handedOn(w.exs.At(l.ex))
	}
	if w.sendPipe(l, c) {
		return
	}
	n := 0
	i := l.out.head
	for ; i != 0 && n < len(w.spans); n++ {
		chunk := w.chunks.At(i)
		if chunk.buf.Class() == mem.Pipe {
			break
		}
		w.spans[n] = chunk.span
		i = chunk.next
	}
	w.be.Send(c, w.spans[:n], i != 0 || w.sendsLast(l))
}

// allSent reports whether everything that was queued has left.
func (w *Worker) allSent(l *link, slot uint32) bool {
	return l.out.empty() && !l.has(flagSending) && !(l.has(flagSecure) && w.secure[slot].withholds())
}

// sendsLast reports whether l's connection is closed as soon as everything queued has been sent: the end of the stream
// is then what "follows at once", and both leave in one segment.
func (w *Worker) sendsLast(l *link) bool {
	if l.tunnel != 0 {
		return w.tunnelSendsLast(l)
	}
	if l.kind != kindClient {
		return false
	}
	x := w.exs.At(l.ex)
	return x.down.done && x.has(exAnswered) && !x.has(exKeep)
}

// sentEvent handles the end of a send: res bytes were taken by the socket, or it failed.
func (w *Worker) sentEvent(l *link, c *engine.Conn, res int32) {
	l.clear(flagSending)
	if l.has(flagSecure) {
		w.wireSent(l, c, res)
		return
	}
	if !l.sends() {
		return
	}
	if res == -eAGAIN { // the socket was full, and is no longer
		w.pump(l, c)
		return
	}
	if res < 0 {
		w.broken(l, c, -res)
		return
	}
	w.consume(&l.out, uint32(res))
	l.tx += uint64(res)
	if l.out.empty() {
		l.txSince = 0
	} else {
		w.pump(l, c)
	}
	if l.kind == kindClient {
		w.m.Add(metrics.BytesToClients, uint64(res))
	} else {
		w.m.Add(metrics.BytesToUpstreams, uint64(res))
	}
	w.went(l, c)
}

// went goes on after bytes have left on l.
func (w *Worker) went(l *link, c *engine.Conn) {
	switch {
	case l.tunnel != 0:
		w.tunnelSent(l, c)
	case l.kind == kindClient:
		w.responseSent(w.exs.At(l.ex), l, c)
	default:
		w.requestSent(w.exs.At(l.ex), l, c)
	}
}

// broken handles a send that has failed.
func (w *Worker) broken(l *link, c *engine.Conn, errno int32) {
	if l.tunnel != 0 {
		w.tunnelEnded(l, errno)
		return
	}
	w.exs.At(l.ex).errno = errno
	w.sendFailed(l, c)
}

// responseSent goes on after bytes of the response have left: the exchange is over, or there is room for more.
func (w *Worker) responseSent(x *exchange, l *link, c *engine.Conn) {
	if x.down.done && x.has(exAnswered) {
		if w.allSent(l, c.Slot) {
			w.finish(x, l, c)
		}
		return
	}
	if x.upstream != 0 {
		u := x.upstream - 1
		w.rearm(&w.links[u], w.conns.At(u))
	}
}

// requestSent goes on after bytes of the request have left: the response is awaited, or there is room for more.
func (w *Worker) requestSent(x *exchange, l *link, c *engine.Conn) {
	if !x.up.done {
		client := x.client - 1
		w.rearm(&w.links[client], w.conns.At(client))
		return
	}
	if w.allSent(l, c.Slot) && x.sent == 0 {
		x.sent = w.sh.Now()
		if x.firstByte == 0 {
			w.wheel.Set(c.Slot, x.sent+int64(w.snapshot(x).Timeouts.FirstByte))
		}
	}
}

// sendFailed handles a connection that takes no more bytes.
func (w *Worker) sendFailed(l *link, c *engine.Conn) {
	x := w.exs.At(l.ex)
	if l.kind == kindClient {
		w.abort(x, metrics.ClientGoneSend)
		return
	}
	// The upstream may have answered before it stopped reading. What it said is still to come, or else
	// the end of its stream, which decides what becomes of the request.
	l.set(flagSpoiled)
	w.discard(&l.out)
	if !x.up.done {
		x.set(exBroken)
		x.clear(exKeep)
	}
	w.rearm(l, c)
}
