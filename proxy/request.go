package proxy

import (
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/proxy/h1"
	"github.com/uringproxy/uringproxy/routing/urlpath"
)

// snapshot is the configuration that x runs on.
func (w *Worker) snapshot(x *exchange) *plan.Snapshot { return w.sh.Pinned(x.pin) }

// startRequest sends a request on its way: its head is complete.
func (w *Worker) startRequest(l *link, x *exchange) {
	snap := w.snapshot(x)
	most := snap.Limits.RequestsPerConn
	if x.req.KeepAlive && !w.leaving(l) && (most == 0 || int(l.id) < most) {
		x.set(exKeep)
	}
	w.frameRequest(x)
	connect := x.req.Method == h1.CONNECT
	if connect {
		x.clear(exKeep) // what follows is meant for the tunnel, and not for us if there is none
		x.set(exBroken)
	}
	listener := &snap.Listeners[l.from]
	if l.has(flagSecure) && listener.TLS != nil && w.misdirected(x, listener.TLS) {
		w.refuse(x, 421, metrics.Misdirected)
		return
	}
	if max := snap.Limits.BodyBytes; max > 0 && x.req.ContentLength > max {
		w.refuse(x, 413, metrics.LimitRequestBody)
		return
	}
	path, target := w.normalizePath(x, &snap.Paths)
	if x.fault != urlpath.OK {
		w.refuse(x, 400, metrics.BadRequestPath)
		return
	}
	redirect := listener.Redirect != nil && !l.has(flagSecure)
	if redirect && !connect {
		w.redirect(x, listener.Redirect)
		return
	}
	route := w.timedRoute(l, x, listener.Table, path)
	switch {
	case connect && (route < 0 || redirect):
		w.refuseConnect(x, nil)
		return
	case connect && !snap.Routes[route].Connect:
		w.refuseConnect(x, &snap.Routes[route])
		return
	case route < 0:
		w.refuse(x, 404, metrics.NoRoute)
		return
	}
	x.route, x.service = int32(route), snap.Routes[route].Service
	if status, why := w.offer(x, &snap.Routes[route]); why != metrics.None {
		w.refuse(x, status, why)
		return
	}
	if target != nil && w.log != nil && !w.keepTarget(x) {
		w.refuse(x, 503, metrics.LimitBuffers)
		return
	}
	if status, why := w.rewriteRequest(l, x, snap, target); why != metrics.None {
		w.refuse(x, status, why)
		return
	}
	if w.enqueueRequest(l, x) {
		w.dispatch(x)
	}
}

// frameRequest notes how the request's body ends.
func (w *Worker) frameRequest(x *exchange) {
	switch {
	case x.req.Chunked:
		x.up.begin(framingChunked, 0)
	case x.req.ContentLength >= 0:
		x.up.begin(framingLength, x.req.ContentLength)
	default:
		x.up.begin(framingNone, 0)
	}
}

// rewriteRequest turns the head, in place, into the one that the upstream gets, with target in the place of what was
// received unless it is nil. A reason other than None says why it cannot be done, and status what to answer.
func (w *Worker) rewriteRequest(
	l *link, x *exchange, snap *plan.Snapshot, target []byte,
) (status int, why metrics.Reason) {
	add := w.forwardingFields(l, x, snap)
	start, ok := x.req.RewriteRequest(w.mem.All(), w.floor(&x.head, x.client), int(x.head.span.Off), target, add)
	if !ok {
		if !w.relocate(&x.head, 0) {
			return 503, metrics.LimitBuffers
		}
		start, ok = x.req.RewriteRequest(w.mem.All(), w.floor(&x.head, x.client), int(x.head.span.Off), target, add)
		if !ok {
			return 431, metrics.LimitRequestHead
		}
	}
	end := x.head.span.End()
	x.head.span = mem.Span{Off: uint32(start), Len: end - uint32(start)}
	return 0, metrics.None
}

// enqueueRequest makes a request's head, and what has come of its body, ready to be sent. It reports false when the
// request has failed with that.
func (w *Worker) enqueueRequest(l *link, x *exchange) bool {
	w.mem.Hold(x.head.buf)
	if !w.push(&x.pending, x.head.span, x.head.buf) {
		w.abort(x, metrics.LimitBuffers)
		return false
	}
	if !x.up.done && !w.requestBody(l, x) {
		return false
	}
	if x.up.done && x.pending.head == x.pending.tail && x.req.Method.Idempotent() {
		x.set(exReplayable)
		x.replay = w.chunks.At(x.pending.head).span
	}
	return true
}
