package proxy

import (
	"strconv"

	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/proxy/h1"
)

// redirect answers a request with the way to https.
func (w *Worker) redirect(x *exchange, to *plan.Redirect) {
	if x.req.Authority.Len == 0 { // nobody knows where to
		w.refuse(x, 400, metrics.BadRequestHead)
		return
	}
	if x.head.span.Len > mem.HeadBytes-replyRoom {
		w.refuse(x, 414, metrics.LimitRequestLine)
		return
	}
	w.refuse(x, to.Code, metrics.None)
}

// replyRoom is what a response of ours takes at most, without what it repeats of the request.
const replyRoom = mem.SmallBytes / 2

// replyClass is the class of buffer that a response of ours fits: one that redirects repeats the request's target.
func replyClass(x *exchange, status int) mem.Class {
	if status/100 == 3 && x.head.span.Len > mem.SmallBytes-replyRoom {
		return mem.Head
	}
	return mem.Small
}

// appendLocation writes the URI that a request is redirected to: its own, by https.
func (w *Worker) appendLocation(b []byte, x *exchange, head []byte) []byte {
	port := uint16(0)
	if to := w.snapshot(x).Listeners[w.links[x.client-1].from].Redirect; to != nil {
		port = to.Port
	}
	b = append(append(b, "https://"...), withoutPort(x.req.Authority.In(head))...)
	if port != 0 && port != 443 {
		b = strconv.AppendUint(append(b, ':'), uint64(port), 10)
	}
	if path := x.req.Path.In(head); len(path) > 0 && path[0] == '/' {
		b = append(b, path...)
	} else {
		b = append(b, '/')
	}
	if x.req.Query.Off > 0 {
		b = append(append(b, '?'), x.req.Query.In(head)...)
	}
	return b
}

// withoutPort is the host of an authority, an IPv6 address with its brackets.
func withoutPort(authority []byte) []byte {
	for i := len(authority) - 1; i >= 0 && authority[i] != ']'; i-- {
		if authority[i] == ':' {
			return authority[:i]
		}
	}
	return authority
}

const hstsName = "Strict-Transport-Security"

// appendHSTS writes the listener's Strict-Transport-Security (RFC 6797), if it has one and the connection is one over
// TLS: over another it must not be sent (section 7.2).
func (w *Worker) appendHSTS(b []byte, x *exchange, before, after string) []byte {
	l := &w.links[x.client-1]
	if !l.has(flagSecure) {
		return b
	}
	value := w.snapshot(x).Listeners[l.from].HSTS
	if value == "" {
		return b
	}
	b = append(append(append(b, before...), hstsName...), ": "...)
	return append(append(b, value...), after...)
}

// ownHSTS adds it to a response, in the place of the upstream's: clients heed the first only.
func (w *Worker) ownHSTS(b []byte, x *exchange) []byte {
	n := len(b)
	if b = w.appendHSTS(b, x, "", "\r\n"); len(b) == n {
		return b
	}
	head := w.mem.Bytes(x.resHead.span)
	for i := range int(x.res.N) {
		if f := &x.res.Fields[i]; equalFold(f.Name.In(head), hstsName) {
			f.Flags |= h1.FieldDrop
		}
	}
	return b
}
