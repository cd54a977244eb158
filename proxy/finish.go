package proxy

import (
	"net/netip"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/proxy/h1"
	"github.com/uringproxy/uringproxy/routing/urlpath"
	"github.com/uringproxy/uringproxy/tls/hello"
)

// finish ends an exchange whose response has been sent completely, and decides what becomes of the client's connection.
func (w *Worker) finish(x *exchange, l *link, c *engine.Conn) {
	if !x.up.done || x.upstream != 0 {
		x.clear(exKeep)
	}
	if x.upstream != 0 {
		w.closeUpstream(w.part(x))
	}
	keep, unread := x.has(exKeep), x.has(exBroken) || !x.up.done
	w.end(x, l)
	switch {
	case keep && !w.leaving(l):
		w.nextRequest(l, c)
	case unread || keep || !l.in.empty(): // one that was to be kept may have sent its next request already
		w.m.Inc(metrics.ConnsClosedDone)
		w.linger(l, c)
	default:
		w.m.Inc(metrics.ConnsClosedDone)
		w.closeClient(l, c, false)
	}
}

// abort ends an exchange that cannot be completed, and both its connections. A client that has been promised a response
// sees a reset, so that it does not take what it has got for the whole.
func (w *Worker) abort(x *exchange, why metrics.Reason) {
	slot := x.client - 1
	l, c := &w.links[slot], w.conns.At(slot)
	w.abandonUpstream(x)
	if x.reason == metrics.None {
		x.reason = why
	}
	answered := x.has(exAnswered)
	w.end(x, l)
	w.m.Inc(metrics.ConnsClosedError)
	w.closeClient(l, c, answered)
}

// end records an exchange and gives back what it holds.
func (w *Worker) end(x *exchange, l *link) {
	w.handedOn(x)
	t := w.timesOf(x)
	w.countExchange(x, l, &t)
	w.m.Down(metrics.ExchangesActive)
	if w.log != nil {
		w.logExchange(x, l, &t)
	}
	w.dropHead(&x.head)
	w.dropHead(&x.resHead)
	w.dropHead(&x.asked)
	w.mem.Drop(x.frames)
	x.frames = noBuf
	w.sh.Unpin(x.pin)
	w.exs.Put(l.ex)
	l.ex = 0
}

// times are the parts of an exchange's duration, in nanoseconds; negative: there was no such part.
type times struct{ total, upstream, firstByte, overhead int64 }

// timesOf reckons when an exchange ends, by the clock that is read once a turn. The overhead is what is left of the
// time since the request was understood when the upstream's part is taken away: attempts that failed, waiting for a
// connection, and from the upstream's last byte to the end, in which the client's reading is included. Handling the
// request is too short for that clock; see metrics.OwnTime.
func (w *Worker) timesOf(x *exchange) times {
	now := w.sh.Now()
	t := times{total: now - x.started, upstream: -1, firstByte: -1}
	if x.understood == 0 {
		return t
	}
	t.overhead = now - x.understood
	if x.forwarded != 0 {
		last := x.received
		if last == 0 {
			last = now
		}
		t.upstream = last - x.forwarded
		t.overhead = max(0, t.overhead-t.upstream)
	}
	if x.firstByte != 0 && x.sent != 0 {
		t.firstByte = max(0, x.firstByte-x.sent)
	}
	return t
}

// logExchange describes x for the access log.
func (w *Worker) logExchange(x *exchange, l *link, t *times) {
	r := &w.record
	snap := w.snapshot(x)
	r.Time = w.sh.Wall() - t.total
	r.Duration, r.FirstByte, r.Overhead, r.Upstream = t.total, t.firstByte, t.overhead, t.upstream
	r.BytesIn, r.BytesOut = x.up.total, x.down.total
	r.Client = clientAddr(l)
	r.Scheme = scheme(l)
	r.Status, r.Minor, r.Reason, r.Protocol = x.status, x.req.Minor, x.reason, nil
	r.DatagramsIn, r.DatagramsOut = 0, 0
	r.Retries = x.tries
	if x.has(exRetried) {
		r.Retries++
	}
	r.ClientReused, r.UpstreamReused = l.id > 1, x.has(exReused)
	r.RequestID = x.requestID[:x.requestIDLen]
	r.Route, r.Service, r.Endpoint, r.Detail = "", "", "", x.detail(w.additions[:0])
	if x.route >= 0 {
		svc := &snap.Services[x.service]
		r.Route, r.Service = snap.Routes[x.route].Name, svc.Name
		if x.forwarded != 0 {
			r.Endpoint = svc.Endpoints[x.target].Name
		}
	}
	w.logTLS(l, x.client-1)
	w.logHead(x)
	w.appendLog(r)
}

// logTLS takes what the log wants of a client's connection.
func (w *Worker) logTLS(l *link, slot uint32) {
	r := &w.record
	r.TLSVersion, r.TLSSuite, r.SNI, r.ClientCert, r.Resumed = "", "", "", nil, false
	if !l.has(flagSecure) {
		return
	}
	f := &w.secure[slot].facts
	r.TLSVersion, r.TLSSuite, r.SNI, r.Resumed = "1.2", f.suite, f.name, f.resumed
	if f.cert != nil {
		r.ClientCert = f.cert.subject
	}
	if f.version == hello.VersionTLS13 {
		r.TLSVersion = "1.3"
	}
}

// appendLog writes a line of the log, if there is room for it.
func (w *Worker) appendLog(r *accesslog.Record) {
	if w.log.Append(r) {
		w.m.Inc(metrics.LogLines)
	} else {
		w.m.Inc(metrics.LogDropped)
	}
}

// detail appends more about why an exchange failed.
func (x *exchange) detail(b []byte) []byte {
	switch {
	case x.reason == metrics.None:
	case x.code != h1.OK:
		b = append(b, x.code.String()...)
	case x.fault != urlpath.OK:
		b = append(b, x.fault.String()...)
	default:
		b = x.mishap.appendTo(b)
	}
	return b
}

// logHead takes what the log wants from the request's head, as far as it was understood.
func (w *Worker) logHead(x *exchange) {
	r := &w.record
	r.Method, r.Host, r.Target, r.UserAgent, r.Referer = nil, nil, nil, nil, nil
	if x.head.buf == noBuf || x.req.Len != int(x.head.span.Len) {
		return
	}
	head := w.mem.Bytes(x.head.span)
	r.Method, r.Host, r.Target = x.req.MethodRef.In(head), x.req.Authority.In(head), x.req.Target.In(head)
	if x.asked.buf != noBuf {
		r.Target = w.mem.Bytes(x.asked.span)
	}
	for i := range int(x.req.N) {
		switch f := &x.req.Fields[i]; f.ID {
		case h1.FieldUserAgent:
			r.UserAgent = f.Value.In(head)
		case h1.FieldReferer:
			r.Referer = f.Value.In(head)
		}
	}
}

func clientAddr(l *link) netip.AddrPort {
	switch {
	case l.addr == [16]byte{}:
		return netip.AddrPort{}
	case l.ip6:
		return netip.AddrPortFrom(netip.AddrFrom16(l.addr), l.port)
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(l.addr[12:])), l.port)
}
