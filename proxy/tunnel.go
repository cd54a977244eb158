package proxy

import (
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// tunnel joins two connections whose bytes pass as they are, in both directions: a client's, and one to an endpoint of
// a service for streams. Each direction ends for itself. When something is missing at the end, both are reset: what is
// cut must not look like what is complete.
type tunnel struct {
	client   uint32 // slot
	upstream uint32 // slot + 1; 0: none
	pin      uint32
	route    int32 // index in Snapshot.Streams
	target   uint16
	tries    uint8
	errno    int32

	started   int64
	forwarded int64 // when the connection at hand was asked for
	moved     int64 // when something last passed
	up, down  int64 // bytes received of the client, and of the endpoint

	name    [255]byte // what the client has asked for by its ClientHello, for the log
	nameLen uint8
}

func (w *Worker) streamOf(t *tunnel) *plan.Stream { return &w.sh.Pinned(t.pin).Streams[t.route] }

func (w *Worker) streamService(t *tunnel) *plan.Service {
	return &w.sh.Pinned(t.pin).Services[w.streamOf(t).Service]
}

// beginTunnel passes a client's connection on whose ClientHello has come, and asks for name.
func (w *Worker) beginTunnel(l *link, c *engine.Conn, route int, name []byte) {
	i := w.tunnels.Take()
	if i == 0 {
		w.refuseTunnel(l, c)
		return
	}
	if !w.unwrap(l, c) {
		w.tunnels.Put(i)
		w.refuseTunnel(l, c)
		return
	}
	t := w.tunnels.At(i)
	*t = tunnel{
		client: c.Slot, pin: w.sh.Hold(w.listeners[l.from].pin), route: int32(route), started: w.sh.Now(),
		moved: w.sh.Now(),
	}
	t.nameLen = uint8(copy(t.name[:], name))
	l.tunnel, l.state = i, stateTunnel
	w.wheel.Set(c.Slot, 0)
	w.m.Began(metrics.Streams, w.streamOf(t).Series)
	svc := w.streamService(t)
	if len(svc.Cycle) == 0 {
		w.endTunnel(t, metrics.NoUpstream)
		return
	}
	t.target = w.nextInCycle(svc)
	w.dialTunnel(t)
}

// refuseTunnel ends a client's connection for which there is no memory.
func (w *Worker) refuseTunnel(l *link, c *engine.Conn) {
	w.m.Refuse(metrics.LimitBuffers)
	w.m.Inc(metrics.ConnsClosedError)
	w.closeClient(l, c, true)
}

// dialTunnel opens a connection to the tunnel's target.
func (w *Worker) dialTunnel(t *tunnel) {
	svc, snap := w.streamService(t), w.sh.Pinned(t.pin)
	id := svc.Endpoints[t.target].ID
	e := &w.endpoints[id]
	if max := snap.Limits.UpstreamConns; max > 0 && e.open >= w.share(max) {
		w.endTunnel(t, metrics.LimitUpstreamConns)
		return
	}
	l, c := w.openUpstream(e, id, svc.Series)
	if l == nil {
		w.endTunnel(t, metrics.LimitConns)
		return
	}
	l.tunnel = w.links[t.client].tunnel
	t.upstream, t.forwarded = c.Slot+1, w.sh.Now()
	w.wheel.Set(c.Slot, t.forwarded+int64(snap.Timeouts.Connect))
	w.be.Connect(c, &e.addr)
}

// tunnelConnected continues when a tunnel's connection to its endpoint is open, or could not be opened.
func (w *Worker) tunnelConnected(l *link, c *engine.Conn, res int32) {
	t := w.tunnels.At(l.tunnel)
	if res < 0 {
		t.errno = -res
		w.tunnelConnectFailed(t, metrics.UpstreamConnect)
		return
	}
	w.m.Observe(metrics.ConnectTime, w.sh.Now()-t.forwarded)
	l.state = stateTunnel
	t.moved = w.sh.Now()
	w.wheel.Set(c.Slot, 0)
	w.watch(t)
	w.rearm(l, c)
	client, cc := &w.links[t.client], w.conns.At(t.client)
	w.pass(client)
	if client.state == stateTunnel {
		w.rearm(client, cc)
	}
}

// tunnelConnectFailed tries the next endpoint: nothing has been sent yet.
func (w *Worker) tunnelConnectFailed(t *tunnel, why metrics.Reason) {
	svc := w.streamService(t)
	l, c := w.far(t)
	w.serviceOf(l).Failed()
	t.upstream, l.tunnel = 0, 0
	w.closeUpstream(l, c)
	if n := len(svc.Endpoints); int(t.tries)+1 < min(triesMax, n) {
		t.tries++
		t.errno = 0
		w.countRetry(svc)
		t.target = uint16((int(t.target) + 1) % n)
		w.dialTunnel(t)
		return
	}
	w.endTunnel(t, why)
}

// far is a tunnel's link to its endpoint, which must exist.
func (w *Worker) far(t *tunnel) (*link, *engine.Conn) {
	return &w.links[t.upstream-1], w.conns.At(t.upstream - 1)
}

// across is the other end of the tunnel that l belongs to; nil while there is none to which anything could be sent.
func (w *Worker) across(l *link) (*link, *engine.Conn) {
	t := w.tunnels.At(l.tunnel)
	slot := t.client
	if l.kind == kindClient {
		if t.upstream == 0 {
			return nil, nil
		}
		slot = t.upstream - 1
	}
	o := &w.links[slot]
	if o.state != stateTunnel {
		return nil, nil
	}
	return o, w.conns.At(slot)
}

// pass moves what has come on l to the other end, and the end of l's stream behind it.
func (w *Worker) pass(l *link) {
	o, oc := w.across(l)
	if o == nil {
		return
	}
	t := w.tunnels.At(l.tunnel)
	if n := l.in.bytes; n > 0 {
		t.moved = w.sh.Now()
		if l.kind == kindClient {
			t.up += int64(n)
		} else {
			t.down += int64(n)
		}
		if !w.transfer(&o.out, &l.in, n) {
			w.endTunnel(t, metrics.LimitBuffers)
			return
		}
		w.pump(o, oc)
	}
	w.passEnd(l, o, oc)
}

// passEnd ends o's stream if l's has ended and all of it has been sent; when both have, the tunnel is done.
func (w *Worker) passEnd(l, o *link, oc *engine.Conn) {
	if !l.has(flagEOF) || !l.in.empty() || !w.allSent(o, oc.Slot) || o.has(flagShut) {
		return
	}
	o.set(flagShut)
	if l.has(flagShut) {
		w.endTunnel(w.tunnels.At(l.tunnel), metrics.None)
		return
	}
	w.be.CloseWrite(oc)
}

// tunnelHasRoom reports whether more may be received on l for the other end.
func (w *Worker) tunnelHasRoom(l *link) bool {
	if o, _ := w.across(l); o != nil {
		return w.hasRoom(&o.out)
	}
	return w.hasRoom(&l.in)
}

// tunnelSendsLast reports whether l's stream ends behind what is queued for it.
func (w *Worker) tunnelSendsLast(l *link) bool {
	o, _ := w.across(l)
	return o != nil && o.has(flagEOF) && o.in.empty()
}

// tunnelEnded handles the end of one direction: errno 0 for an orderly one.
func (w *Worker) tunnelEnded(l *link, errno int32) {
	t := w.tunnels.At(l.tunnel)
	switch {
	case errno != 0 && l.kind == kindClient:
		t.errno = errno
		w.endTunnel(t, metrics.ClientGoneStream)
	case errno != 0:
		t.errno = errno
		w.endTunnel(t, metrics.UpstreamStream)
	default:
		l.set(flagEOF)
		w.pass(l)
	}
}

// tunnelSent goes on after bytes have left on l: there is room for more of what the other end sends.
func (w *Worker) tunnelSent(l *link, c *engine.Conn) {
	w.tunnels.At(l.tunnel).moved = w.sh.Now()
	o, oc := w.across(l)
	if o == nil {
		return
	}
	w.passEnd(o, l, c)
	if o.state == stateTunnel {
		w.rearm(o, oc)
	}
}

// watch has t looked at when it may have been idle for too long, or when a window has passed.
func (w *Worker) watch(t *tunnel) {
	limits := &w.sh.Pinned(t.pin).Timeouts
	w.wheel.Set(t.client, min(t.moved+int64(limits.StreamIdle), w.sh.Now()+int64(limits.BodyRateWindow)))
}

// tunnelExpired looks whether anything has passed of late. Who does not read may keep what there is for him as long as
// others get buffers, and no longer.
func (w *Worker) tunnelExpired(l *link) {
	t := w.tunnels.At(l.tunnel)
	idle := w.sh.Now() - t.moved
	near, far := w.stuck(t, l), w.stuck(t, &w.links[t.upstream-1])
	switch {
	case idle >= int64(w.sh.Pinned(t.pin).Timeouts.StreamIdle):
		w.endTunnel(t, metrics.TimeoutStream)
	case (near || far) && !w.plenty(mem.Small):
		w.endTunnel(t, metrics.LimitBuffers)
	default:
		w.watch(t)
	}
}

// stuck reports whether l has had something to be sent since the last look, and has kept to less than the least rate of
// bodies. It notes how far l is for the next.
func (w *Worker) stuck(t *tunnel, l *link) bool {
	if l.txSince == 0 {
		return false
	}
	snap := w.sh.Pinned(t.pin)
	before := l.txMark
	l.txMark = l.tx
	least := uint64(snap.Limits.BodyRateBytes) * uint64(snap.Timeouts.BodyRateWindow) / 1e9
	return before != markUnknown && l.tx-before < max(least, 1)
}

// endTunnel ends both connections: in order when all has been passed on, by a reset when something is missing.
func (w *Worker) endTunnel(t *tunnel, why metrics.Reason) {
	l, c := &w.links[t.client], w.conns.At(t.client)
	i := l.tunnel
	w.countTunnel(t, l, why)
	l.tunnel = 0
	if why == metrics.None {
		w.m.Inc(metrics.ConnsClosedDone)
	} else {
		w.m.Inc(metrics.ConnsClosedError)
	}
	if t.upstream != 0 {
		u, uc := w.far(t)
		u.tunnel = 0
		w.endUpstream(u, uc, why != metrics.None)
	}
	w.closeClient(l, c, why != metrics.None)
	w.sh.Unpin(t.pin)
	w.tunnels.Put(i)
}

// unwrap makes a client's link a plain one again: what has come on it is in its queue in, as it came. It reports false
// when there was no queue entry left.
func (w *Worker) unwrap(l *link, c *engine.Conn) bool {
	s := w.secure[c.Slot]
	if s.rec.buf != noBuf {
		if !w.push(&l.in, s.rec.span, s.rec.buf) {
			s.rec = noHead
			return false
		}
		s.rec = noHead
	}
	if !w.transfer(&l.in, &s.raw, s.raw.bytes) {
		return false
	}
	w.dropSecure(l, c.Slot)
	l.clear(flagSecure | flagHeld)
	return true
}

// protocolTLS is a tunnel's protocol in the log.
var protocolTLS = []byte("tls")

// countTunnel records a tunnel that ends: in the figures, and in the log.
func (w *Worker) countTunnel(t *tunnel, l *link, why metrics.Reason) {
	series := w.streamOf(t).Series
	w.m.Carried(metrics.Streams, series, uint64(t.up), uint64(t.down))
	w.m.Ended(metrics.Streams, series, why)
	if w.log == nil {
		return
	}
	svc, now := w.streamService(t), w.sh.Now()
	r := &w.record
	*r = accesslog.Record{
		Time: w.sh.Wall() - (now - t.started), Duration: now - t.started, Upstream: -1, FirstByte: -1, Overhead: -1,
		BytesIn: t.up, BytesOut: t.down, Client: clientAddr(l), Scheme: "tls", Protocol: protocolTLS,
		Host: t.name[:t.nameLen], Route: w.streamOf(t).Name, Service: svc.Name, Reason: why, Retries: t.tries,
	}
	if t.forwarded != 0 {
		r.Endpoint, r.Upstream = svc.Endpoints[t.target].Name, now-t.forwarded
	}
	if t.errno != 0 && why != metrics.None { // an endpoint that was tried before may have left it
		r.Detail = append(w.additions[:0], unix.ErrnoName(unix.Errno(t.errno))...)
	}
	w.appendLog(r)
}
