package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/proxy/h1"
)

// interimsMax is how many 1xx responses an upstream may send before the final one.
const interimsMax = 16

// consumeUpstream uses what an upstream sent: heads, then the body.
func (w *Worker) consumeUpstream(u *link, c *engine.Conn) {
	if u.state != stateBusy { // nobody asked: a desynchronised upstream must not serve the next request
		w.closeUpstream(u, c)
		return
	}
	x := w.exs.At(u.ex)
	if x.has(exReused) && u.taken == w.turn { // it was said before the request was sent, so it is no answer to that
		w.upstreamFailed(x, 502, metrics.UpstreamHead)
		return
	}
	if x.own >= 0 {
		x.since = w.began
	}
	if x.firstByte == 0 {
		x.firstByte = w.sh.Now()
		if x.sent == 0 && x.up.done && w.allSent(u, c.Slot) {
			x.sent = x.firstByte
		}
	}
	for !u.in.empty() {
		switch {
		case x.down.done && x.has(exAnswered):
			u.set(flagSpoiled) // more bytes than the response has
			w.discard(&u.in)
		case x.has(exAnswered):
			if !w.responseBody(u, x) {
				return
			}
		default:
			if !w.responseBytes(u, x) {
				return
			}
		}
	}
	l := x.client - 1
	w.pump(&w.links[l], w.conns.At(l))
	w.handedOn(x)
	if x.down.done && x.has(exAnswered) {
		w.responseReceived(x)
	} else if x.has(exAnswered) {
		w.awaitBody(x, c.Slot, w.sh.Now())
	}
}

// responseBytes feeds the head of the response. It reports false when the exchange has failed with that.
func (w *Worker) responseBytes(u *link, x *exchange) bool {
	if x.resHead.buf == noBuf {
		x.res.ResetResponse(&w.limits)
	}
	if !w.gather(&x.resHead, &u.in) {
		w.refuse(x, 503, metrics.LimitBuffers)
		return false
	}
	switch code := x.res.Feed(w.mem.Bytes(x.resHead.span)); code {
	case h1.NeedMore:
		return true
	case h1.OK:
	default:
		x.code = code
		why := metrics.BadResponseHead
		if s := code.Status(); s == 431 || s == 414 {
			why = metrics.LimitResponseHead
		}
		w.upstreamFailed(x, 502, why)
		return false
	}
	if !w.splitHead(&x.resHead, &u.in, x.res.Len) {
		w.refuse(x, 503, metrics.LimitBuffers)
		return false
	}
	switch {
	case x.res.Status == 101:
		return w.switched(x)
	case x.res.Status < 200:
		return w.interimHead(x)
	case x.res.Body(x.req.Method) == h1.BodyTunnel:
		return w.granted(x)
	}
	return w.finalHead(x)
}

// interimHead passes a 1xx response on, to clients that know of them (RFC 9110, section 15.2).
func (w *Worker) interimHead(x *exchange) bool {
	x.interims++
	if x.interims > interimsMax {
		w.refuse(x, 502, metrics.BadResponseHead)
		return false
	}
	if x.req.Minor == 0 {
		w.dropHead(&x.resHead)
		return true
	}
	return w.enqueueHead(x, nil)
}

// finalHead prepares the response's body and puts its head into the client's queue.
func (w *Worker) finalHead(x *exchange) bool {
	x.status = x.res.Status
	client := &w.links[x.client-1]
	if w.leaving(client) || !x.up.done {
		x.clear(exKeep) // an early response: whether the rest of the request will come, nobody knows
	}
	w.doubt(x, client)
	add := w.additions[:0]
	switch x.res.Body(x.req.Method) {
	case h1.BodyNone:
		x.down.begin(framingNone, 0)
		if x.req.Minor == 0 {
			w.dropFraming(x)
		}
	case h1.BodyLength:
		x.down.begin(framingLength, x.res.ContentLength)
	case h1.BodyChunked:
		x.down.begin(framingChunked, 0)
		if x.req.Minor == 0 {
			w.dropFraming(x)
			x.set(exDechunk)
			x.clear(exKeep)
		}
	case h1.BodyClose:
		x.down.begin(framingClose, 0)
		if x.req.Minor == 0 {
			x.clear(exKeep)
			break
		}
		frames, ok := w.mem.Take(mem.Small)
		if !ok {
			w.refuse(x, 503, metrics.LimitBuffers)
			return false
		}
		x.frames = frames
		x.set(exEnchunk)
		add = append(add, "Transfer-Encoding: chunked\r\n"...)
	}
	add = w.ownHSTS(add, x)
	switch {
	case !x.has(exKeep):
		add = append(add, "Connection: close\r\n"...)
	case x.req.Minor == 0:
		add = append(add, "Connection: keep-alive\r\n"...)
	}
	x.set(exAnswered)
	return w.enqueueHead(x, add)
}

// dropFraming takes the fields off that speak of chunks.
func (w *Worker) dropFraming(x *exchange) {
	for i := range int(x.res.N) {
		if f := &x.res.Fields[i]; f.ID == h1.FieldTransferEncoding || f.ID == h1.FieldTrailer {
			f.Flags |= h1.FieldDrop
		}
	}
}

// enqueueHead edits the response's head in place and hands it to the client's queue.
func (w *Worker) enqueueHead(x *exchange, add []byte) bool {
	floor := w.floor(&x.resHead, x.upstream)
	start, ok := x.res.RewriteResponse(w.mem.All(), floor, int(x.resHead.span.Off), add)
	if !ok {
		status, why := 503, metrics.LimitBuffers
		if w.relocate(&x.resHead, 0) {
			floor = w.floor(&x.resHead, x.upstream)
			start, ok = x.res.RewriteResponse(w.mem.All(), floor, int(x.resHead.span.Off), add)
			status, why = 502, metrics.LimitResponseHead
		}
		if !ok {
			x.clear(exAnswered)
			w.refuse(x, status, why)
			return false
		}
	}
	span := mem.Span{Off: uint32(start), Len: x.resHead.span.End() - uint32(start)}
	buf := x.resHead.buf
	x.resHead = noHead
	if !w.push(&w.links[x.client-1].out, span, buf) {
		w.abort(x, metrics.LimitBuffers)
		return false
	}
	return true
}

// responseBody moves what has come of the body to the client's queue. It reports false when the exchange has failed
// with that.
func (w *Worker) responseBody(u *link, x *exchange) bool {
	to := &w.links[x.client-1].out
	for !u.in.empty() && !x.down.done {
		ok := false
		switch {
		case x.has(exDechunk):
			ok = w.dechunk(u, x, to)
		case x.has(exEnchunk):
			ok = w.enchunk(u, x, to)
		default:
			n, code := w.follow(&x.down, &u.in)
			if code != h1.OK {
				x.code = code
				w.abort(x, metrics.BadResponseBody)
				return false
			}
			ok = n == 0 || w.transfer(to, &u.in, uint32(n))
		}
		if !ok {
			w.abort(x, metrics.LimitBuffers)
			return false
		}
	}
	return true
}

// dechunk moves the next piece of chunk data without its framing: the data is drawn together over it, where it lies, so
// that however small the chunks are, they take one entry of the queue.
func (w *Worker) dechunk(u *link, x *exchange, to *queue) bool {
	span, buf := w.shift(&u.in)
	body := w.mem.Bytes(span)
	at, kept := 0, 0
	for at < len(body) && !x.down.done {
		data, n, code := x.down.chunked.Next(body[at:])
		if code != h1.OK && code != h1.NeedMore {
			x.code, x.reason = code, metrics.BadResponseBody
			w.mem.Drop(buf)
			return false
		}
		kept += copy(body[kept:], data.In(body[at:]))
		at += n
		x.down.done = code == h1.OK
	}
	x.down.total += int64(kept)
	if at < len(body) {
		w.mem.Hold(buf)
		if !w.unshift(&u.in, mem.Span{Off: span.Off + uint32(at), Len: span.Len - uint32(at)}, buf) {
			w.mem.Drop(buf)
			return false
		}
	}
	if kept == 0 {
		w.mem.Drop(buf)
		return true
	}
	return w.push(to, mem.Span{Off: span.Off, Len: uint32(kept)}, buf)
}

// enchunk moves the next piece of a body that has no framing of its own, as one chunk (RFC 9112, section 7.1).
func (w *Worker) enchunk(u *link, x *exchange, to *queue) bool {
	span, buf := w.shift(&u.in)
	x.down.total += int64(span.Len)
	if !w.pushFrame(x, to, span.Len) {
		w.mem.Drop(buf)
		return false
	}
	return w.push(to, span, buf)
}

// pushFrame queues the framing between two chunks: the end of the one before and the header of the next, of size bytes;
// 0 ends the body.
func (w *Worker) pushFrame(x *exchange, to *queue, size uint32) bool {
	const frameBytes = 16
	data := w.mem.Data(x.frames)
	if x.framed == data.Len/frameBytes { // it is full, and all of it may still be on its way
		frames, ok := w.mem.Take(mem.Small)
		if !ok {
			return false
		}
		w.mem.Drop(x.frames)
		x.frames, x.framed = frames, 0
		data = w.mem.Data(frames)
	}
	at := data.Off + x.framed*frameBytes
	x.framed++
	b := w.mem.All()[at : at : at+frameBytes]
	if x.has(exFramed) {
		b = append(b, '\r', '\n')
	}
	x.set(exFramed)
	b = appendHex(b, size)
	b = append(b, '\r', '\n')
	if size == 0 {
		b = append(b, '\r', '\n')
	}
	w.mem.Hold(x.frames)
	return w.push(to, mem.Span{Off: at, Len: uint32(len(b))}, x.frames)
}

func appendHex(b []byte, v uint32) []byte {
	shift := 28
	for shift > 0 && v>>shift == 0 {
		shift -= 4
	}
	for ; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[v>>shift&15])
	}
	return b
}

// responseReceived lets the upstream's connection go: the response has come completely.
func (w *Worker) responseReceived(x *exchange) {
	if x.has(exEnchunk) {
		if !w.pushFrame(x, &w.links[x.client-1].out, 0) {
			w.abort(x, metrics.LimitBuffers)
			return
		}
	}
	if !x.up.done {
		x.set(exBroken) // the upstream does not want the rest of the request
	}
	reusable := x.res.KeepAlive && x.down.framing != framingClose && x.up.done
	x.received = w.sh.Now()
	u, c := w.part(x)
	w.endpoints[u.id].learn(x.down.total)
	w.release(u, c, reusable)
	l := x.client - 1
	client, cc := &w.links[l], w.conns.At(l)
	w.pump(client, cc)
	if w.allSent(client, l) {
		w.finish(x, client, cc)
	}
}
