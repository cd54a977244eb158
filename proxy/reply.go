package proxy

import (
	"bytes"
	"strconv"

	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/proxy/h1"
)

// refuse ends x with a response of our own. The client's connection is kept when the request is complete and was
// understood. When the upstream's response has begun, the client can only be told by a reset.
func (w *Worker) refuse(x *exchange, status int, why metrics.Reason) {
	if x.has(exAnswered) {
		w.abort(x, why)
		return
	}
	slot := x.client - 1
	l, c := &w.links[slot], w.conns.At(slot)
	w.abandonUpstream(x)
	w.dropHead(&x.resHead)
	x.status, x.reason = uint16(status), why
	x.set(exAnswered | exOwnReply)
	x.down.begin(framingNone, 0)
	if l.state == stateHead || !x.up.done || l.has(flagEOF) && l.in.empty() {
		x.clear(exKeep)
		x.set(exBroken)
	}
	if w.leaving(l) {
		x.clear(exKeep)
	}
	w.doubt(x, l)
	l.state = stateBusy
	buf, ok := w.mem.Take(replyClass(x, status))
	if !ok {
		w.abort(x, why)
		return
	}
	span := w.writeReply(x, w.mem.Data(buf), status)
	if !w.push(&l.out, span, buf) {
		w.abort(x, why)
		return
	}
	w.wheel.Set(slot, w.sh.Now()+int64(w.snapshot(x).Timeouts.BodyRateWindow))
	w.pump(l, c)
	w.handedOn(x)
}

// writeReply writes a whole response into room.
func (w *Worker) writeReply(x *exchange, room mem.Span, status int) mem.Span {
	if x.requestIDLen == 0 {
		w.makeRequestID(x)
	}
	head := w.mem.Bytes(x.head.span)
	json := wantsJSON(x, head)

	b := w.mem.All()[room.Off : room.Off : room.Off+room.Len]
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(append(append(b, ' '), statusPhrase(status)...), "\r\nDate: "...)
	b = w.date.append(b, w.sh.Wall())
	if json {
		b = append(b, "\r\nContent-Type: application/json"...)
	} else {
		b = append(b, "\r\nContent-Type: text/plain; charset=utf-8"...)
	}
	body := appendBody(w.additions[:0], x, status, json)
	b = append(b, "\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(body)), 10)
	b = append(append(b, "\r\nX-Request-Id: "...), x.requestID[:x.requestIDLen]...)
	switch status {
	case 405:
		b = append(b, "\r\nAllow: GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE, PATCH"...)
	case 503:
		b = append(b, "\r\nRetry-After: 1"...)
	case 301, 302, 307, 308:
		b = w.appendLocation(append(b, "\r\nLocation: "...), x, head)
	}
	b = w.appendHSTS(b, x, "\r\n", "")
	if !x.has(exKeep) {
		b = append(b, "\r\nConnection: close"...)
	} else if x.req.Minor == 0 {
		b = append(b, "\r\nConnection: keep-alive"...)
	}
	b = append(b, "\r\n\r\n"...)
	if x.req.Method != h1.HEAD {
		b = append(b, body...)
		x.down.total = int64(len(body))
	}
	return mem.Span{Off: room.Off, Len: uint32(len(b))}
}

// appendBody writes the body of a response of ours. What is wrong with a request is told; what with an upstream, only
// the log knows.
func appendBody(b []byte, x *exchange, status int, json bool) []byte {
	reason := ""
	if x.code != h1.OK && status != 502 {
		reason = x.code.String()
	}
	id := x.requestID[:x.requestIDLen]
	if json {
		b = append(b, `{"status":`...)
		b = strconv.AppendInt(b, int64(status), 10)
		b = append(append(b, `,"error":"`...), statusPhrase(status)...)
		if reason != "" {
			b = append(append(b, `","reason":"`...), reason...)
		}
		b = append(append(b, `","request_id":"`...), id...)
		return append(b, "\"}\n"...)
	}
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(append(b, ' '), statusPhrase(status)...)
	if reason != "" {
		b = append(append(b, '\n'), reason...)
	}
	b = append(append(b, "\nrequest id: "...), id...)
	return append(b, '\n')
}

// wantsJSON reports whether the client asked for JSON: its Accept names it. Only a head that was read completely is
// asked.
func wantsJSON(x *exchange, head []byte) bool {
	if x.head.buf == noBuf || x.req.Len != len(head) {
		return false
	}
	i, ok := x.req.Get(h1.FieldAccept)
	return ok && bytes.Contains(x.req.Fields[i].Value.In(head), jsonType)
}

var jsonType = []byte("application/json")

// statusPhrase is the reason phrase of the statuses that we answer with.
func statusPhrase(status int) string {
	switch status {
	case 400:
		return "Bad Request"
	case 301:
		return "Moved Permanently"
	case 302:
		return "Found"
	case 307:
		return "Temporary Redirect"
	case 308:
		return "Permanent Redirect"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 408:
		return "Request Timeout"
	case 413:
		return "Content Too Large"
	case 414:
		return "URI Too Long"
	case 417:
		return "Expectation Failed"
	case 421:
		return "Misdirected Request"
	case 431:
		return "Request Header Fields Too Large"
	case 501:
		return "Not Implemented"
	case 502:
		return "Bad Gateway"
	case 503:
		return "Service Unavailable"
	case 504:
		return "Gateway Timeout"
	case 505:
		return "HTTP Version Not Supported"
	}
	return "Error"
}
