package proxy

import (
	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/proxy/h1"
)

// An exchange leaves HTTP when both sides agree: the request has offered other protocols in Upgrade, or its method is
// CONNECT, the route allows that, and the upstream has answered with 101, or 2xx. Then the exchange is over, and its
// connections are the ends of a tunnel. What the client has sent behind the request waits for the answer: it is the
// beginning of the stream, and after any other answer, with which the connection ends, nothing. Read as a request, it
// could be one that somebody else has made the client send.

// offer decides what of the protocols that x's request offers goes to the upstream: what the route allows. The rest is
// dropped, as a server may ignore what it is offered (RFC 9110, section 7.8). A reason other than None says why the
// request is refused instead, with status.
func (w *Worker) offer(x *exchange, route *plan.Route) (status int, why metrics.Reason) {
	if !x.req.Upgrade || x.req.Method == h1.CONNECT {
		return 0, metrics.None
	}
	head := w.mem.Bytes(x.head.span)
	protocols := x.req.AppendUpgrade(w.additions[:0], head, route.Upgrades)
	if len(protocols) == 0 {
		w.m.RefusePassage(metrics.Upgrades, route.Series, metrics.UpgradeRefused)
		return 0, metrics.None
	}
	if h1.OffersWebSocket(protocols) {
		if x.code = x.req.WebSocket(head); x.code != h1.OK {
			x.clear(exKeep)
			x.set(exBroken)
			return 400, metrics.BadUpgrade
		}
	}
	if w.draining { // it would be cut off soon
		return 503, metrics.ShuttingDown
	}
	x.set(exOffer)
	return 0, metrics.None
}

const (
	connectionUpgrade = "Connection: upgrade\r\n"
	upgradeName       = "Upgrade: "
)

// appendOffer writes the fields of what is offered, and notes where the protocols stand in what is added to the head.
func (w *Worker) appendOffer(b []byte, x *exchange, head []byte) []byte {
	b = append(append(b, connectionUpgrade...), upgradeName...)
	at := len(b)
	b = x.req.AppendUpgrade(b, head, w.routeOf(x).Upgrades)
	x.offered = h1.Ref{Off: uint16(at), Len: uint16(len(b) - at)}
	return append(b, "\r\n"...)
}

func (w *Worker) routeOf(x *exchange) *plan.Route { return &w.snapshot(x).Routes[x.route] }

// offerOf is what the upstream was offered.
func (w *Worker) offerOf(x *exchange) h1.Offer {
	if !x.has(exOffer) {
		return h1.Offer{}
	}
	head := w.mem.Bytes(x.head.span)
	return h1.Offer{
		Protocols: x.offered.In(x.req.Added.In(head)), Key: x.req.WebSocketKey(head), Complete: x.up.done,
	}
}

// doubt ends the client's connection with the response at hand when an offer is not taken up: what the client has sent
// by then, and what it sends until it knows, may be a stream. Behind an offer that was dropped this is so only if
// something has come: clients that offer h2c with every request wait for the answer.
func (w *Worker) doubt(x *exchange, l *link) {
	ahead := !l.in.empty() || l.has(flagSecure) && w.unsettled(x.client-1)
	if x.has(exOffer) || x.req.Upgrade && ahead {
		x.clear(exKeep)
		x.set(exBroken)
	}
}

// switched handles a 101. It reports false: nothing more of what the upstream sends is a response.
func (w *Worker) switched(x *exchange) bool {
	head, offer := w.mem.Bytes(x.resHead.span), w.offerOf(x)
	if x.code = x.res.Switched(head, &offer); x.code != h1.OK {
		w.refuse(x, 502, metrics.BadSwitch)
		return false
	}
	for i := range x.res.N {
		if f := &x.res.Fields[i]; f.ID == h1.FieldUpgrade {
			f.Flags &^= h1.FieldHop
		}
	}
	w.leaveHTTP(x, tunnelUpgrade, append(w.additions[:0], connectionUpgrade...))
	return false
}

// granted handles a 2xx to CONNECT, in which fields of framing mean nothing (RFC 9110, section 9.3.6). It reports
// false, as switched does.
func (w *Worker) granted(x *exchange) bool {
	w.dropFraming(x)
	if i, ok := x.res.Get(h1.FieldContentLength); ok {
		x.res.Fields[i].Flags |= h1.FieldDrop
	}
	w.leaveHTTP(x, tunnelConnect, w.additions[:0])
	return false
}

// origin is what the log is told of the request that a tunnel has been.
type origin struct {
	status      uint16
	idLen       uint8
	protocolLen uint8
	id          [requestIDMax]byte
	protocol    [30]byte
}

// leaveHTTP makes a tunnel of x's two connections, behind the response's head with what add has for it.
func (w *Worker) leaveHTTP(x *exchange, kind tunnelKind, add []byte) {
	i := w.tunnels.Take()
	if i == 0 {
		w.refuse(x, 503, metrics.LimitBuffers)
		return
	}
	t := w.tunnels.At(i)
	*t = tunnel{
		client: x.client - 1, upstream: x.upstream, kind: kind, route: x.route, service: x.service, target: x.target,
		tries: x.tries, started: x.started, forwarded: x.forwarded,
	}
	w.remember(t, x)
	if !w.enqueueHead(x, add) {
		w.tunnels.Put(i)
		return
	}
	x.status, x.received, x.down.done = x.res.Status, w.sh.Now(), true
	t.pin = w.sh.Hold(x.pin)
	u, uc := w.part(x)
	l, c := &w.links[t.client], w.conns.At(t.client)
	w.end(x, l)
	l.tunnel, u.tunnel = i, i
	w.m.Began(w.passage(t))
	w.wheel.Set(uc.Slot, 0)
	l.state = stateTunnel
	w.pump(l, c)
	w.joinTunnel(t)
}

// remember keeps what the log is told of x when t has ended.
func (w *Worker) remember(t *tunnel, x *exchange) {
	o := &t.origin
	o.status = x.res.Status
	o.idLen = uint8(copy(o.id[:], x.requestID[:x.requestIDLen]))
	if t.kind == tunnelConnect {
		o.protocolLen = uint8(copy(o.protocol[:], "connect"))
	} else {
		for _, c := range x.res.SwitchedTo(w.mem.Bytes(x.resHead.span)) {
			if int(o.protocolLen) < len(o.protocol) {
				o.protocol[o.protocolLen] = lowerByte(c)
				o.protocolLen++
			}
		}
	}
	t.nameLen = uint8(copy(t.name[:], x.req.Authority.In(w.mem.Bytes(x.head.span))))
}

// refuseConnect answers a CONNECT that its route, if there is one, does not allow.
func (w *Worker) refuseConnect(x *exchange, route *plan.Route) {
	if route != nil {
		w.m.RefusePassage(metrics.Upgrades, route.Series, metrics.ConnectRefused)
	}
	w.refuse(x, 405, metrics.ConnectRefused)
}

// describe describes the request in a line of the log.
func (o *origin) describe(r *accesslog.Record) {
	r.Status, r.RequestID, r.Protocol = o.status, o.id[:o.idLen], o.protocol[:o.protocolLen]
}
