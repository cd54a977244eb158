package proxy

import (
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
)

// halfFor is how often a connection is looked at whose peer has ended its stream and still gets ours: that it breaks
// shows only to those who ask.
const halfFor = 1e9

const eGone = int32(unix.ECONNRESET)

// watch has t looked at when it may have been idle for too long, when a window has passed, when its ends may do without
// ciphers, or when one of them may be gone.
func (w *Worker) watch(t *tunnel) {
	l, u, now := &w.links[t.client], &w.links[t.upstream-1], w.sh.Now()
	at := min(t.moved+w.patience(t), t.looked+int64(w.sh.Pinned(t.pin).Timeouts.BodyRateWindow))
	if rest := t.moved + int64(restAfter); rest > now && (l.flags|u.flags)&flagSecure != 0 {
		at = min(at, rest)
	}
	if l.half() || u.half() {
		at = min(at, now+halfFor)
	}
	w.wheel.Set(t.client, at)
}

// half reports whether only the direction to l's peer is open.
func (l *link) half() bool { return l.has(flagEOF) && !l.has(flagShut) }

// tunnelExpired looks whether anything has passed of late, and whether both ends are still there. Who does not read may
// keep what there is for him as long as others get buffers, and no longer.
func (w *Worker) tunnelExpired(l *link, c *engine.Conn) {
	t := w.tunnels.At(l.tunnel)
	u, uc := w.far(t)
	switch {
	case w.sh.Now()-t.moved >= w.patience(t):
		w.endTunnel(t, metrics.TimeoutStream)
	case w.hoards(t, l, u):
		w.endTunnel(t, metrics.LimitBuffers)
	case l.half() && w.be.Gone(c):
		w.tunnelEnded(l, eGone)
	case u.half() && w.be.Gone(uc):
		w.tunnelEnded(u, eGone)
	default:
		w.restTunnel(t)
		w.watch(t)
	}
}

// hoards reports, when a window has passed, whether an end of t keeps buffers that others need.
func (w *Worker) hoards(t *tunnel, l, u *link) bool {
	now := w.sh.Now()
	if now-t.looked < int64(w.sh.Pinned(t.pin).Timeouts.BodyRateWindow) {
		return false
	}
	t.looked = now
	near, far := w.stuck(t, l), w.stuck(t, u)
	return (near || far) && !w.plenty(mem.Small)
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
	if t.kind == tunnelStream {
		w.leaveStream(t.id)
	}
	w.dropHeader(t)
	w.sh.Unpin(t.pin)
	w.tunnels.Put(i)
}

// What a stream's protocol is in the log.
var protocolTCP, protocolTLS = []byte("tcp"), []byte("tls")

// streamRecord begins the log's record of a stream: of a tunnel, or of a client that was refused for what it began
// with. It began then; secure tells whether it is TLS.
func (w *Worker) streamRecord(l *link, began int64, secure bool) *accesslog.Record {
	r, took := &w.record, w.sh.Now()-began
	*r = accesslog.Record{
		Time: w.sh.Wall() - took, Duration: took, Upstream: -1, FirstByte: -1, Overhead: -1, Client: clientAddr(l),
		Scheme: "tcp", Protocol: protocolTCP,
	}
	if secure {
		r.Scheme, r.Protocol = "tls", protocolTLS
	}
	return r
}

// countTunnel records a tunnel that ends: in the figures, and in the log.
func (w *Worker) countTunnel(t *tunnel, l *link, why metrics.Reason) {
	passage, series := w.passage(t)
	w.m.Ended(passage, series, why)
	if w.log == nil {
		return
	}
	svc := w.tunnelService(t)
	r := w.streamRecord(l, t.started, t.sealed || l.has(flagSecure))
	r.BytesIn, r.BytesOut, r.Reason, r.Retries = t.up, t.down, why, t.tries
	r.Host, r.Route, r.Service = t.name[:t.nameLen], w.routeName(t), svc.Name
	if t.kind != tunnelStream {
		r.Scheme = scheme(l)
		t.origin.describe(r)
	}
	w.logTLS(l, t.client)
	if t.forwarded != 0 {
		r.Endpoint, r.Upstream = svc.Endpoints[t.target].Name, w.sh.Now()-t.forwarded
	}
	if why != metrics.None { // an endpoint that was tried before may have left something
		r.Detail = t.mishap.appendTo(w.additions[:0])
	}
	w.appendLog(r)
}
