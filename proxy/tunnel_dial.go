package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/handshake"
	"github.com/uringproxy/uringproxy/tls/hello"
)

// reach looks for an endpoint at the other end of a tunnel that has just begun. Offer is that of TLS which passes
// through, else nil.
func (w *Worker) reach(t *tunnel, offer *hello.Offer) {
	svc := w.tunnelService(t)
	if len(svc.Cycle) == 0 {
		w.endTunnel(t, metrics.NoUpstream)
		return
	}
	if !w.announce(t, offer) {
		w.endTunnel(t, metrics.LimitBuffers)
		return
	}
	t.target = w.firstTarget(svc, &w.links[t.client].addr)
	w.dialTunnel(t)
}

// dialTunnel opens a connection to the tunnel's target, or to the next endpoint that may have one more.
func (w *Worker) dialTunnel(t *tunnel) {
	svc, snap := w.tunnelService(t), w.sh.Pinned(t.pin)
	if !w.roomAt(t, svc, snap.Limits.UpstreamConns) {
		w.endTunnel(t, metrics.LimitUpstreamConns)
		return
	}
	id := svc.Endpoints[t.target].ID
	e := &w.endpoints[id]
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

// roomAt moves t's target on to an endpoint with fewer than so many connections (0: any). It reports whether there is
// one.
func (w *Worker) roomAt(t *tunnel, svc *plan.Service, most int) bool {
	for range svc.Endpoints {
		if most == 0 || w.endpoints[svc.Endpoints[t.target].ID].open < w.share(most) {
			return true
		}
		t.target = uint16((int(t.target) + 1) % len(svc.Endpoints))
	}
	return false
}

// tunnelConnected continues when a tunnel's connection to its endpoint is open, or could not be opened.
func (w *Worker) tunnelConnected(l *link, c *engine.Conn, res int32) {
	t := w.tunnels.At(l.tunnel)
	if res < 0 {
		t.mishap.errno = -res
		w.tunnelConnectFailed(t, metrics.UpstreamConnect)
		return
	}
	w.m.Observe(metrics.ConnectTime, w.sh.Now()-t.forwarded)
	if tls := w.tunnelService(t).Endpoints[t.target].TLS; tls != nil {
		w.dialAnnounced(t, l, c, tls)
		return
	}
	if w.introduce(t, l) {
		w.tunnelOpen(l, c)
	}
}

// dialAnnounced begins the handshake with an endpoint, before which it is told by a PROXY header whose connection it
// is.
func (w *Worker) dialAnnounced(t *tunnel, l *link, c *engine.Conn, tls *handshake.Client) {
	w.dial(l, c, tls)
	if l.state != stateHandshake {
		return
	}
	s := w.secure[c.Slot]
	if s.wire = w.introduction(t); s.wire.buf != noBuf {
		w.utter(l, c, s)
	}
}

// tunnelOpen has bytes pass: the connection to the endpoint is ready for them.
func (w *Worker) tunnelOpen(l *link, c *engine.Conn) {
	t := w.tunnels.At(l.tunnel)
	t.mishap.forgive() // endpoints that were tried before
	w.dropHeader(t)
	w.wheel.Set(c.Slot, 0)
	w.joinTunnel(t)
}

// joinTunnel has bytes pass between the links of t, whatever state they are in: what they have in their queues, and
// what comes from now on.
func (w *Worker) joinTunnel(t *tunnel) {
	l, c := &w.links[t.client], w.conns.At(t.client)
	u, uc := w.far(t)
	i := l.tunnel
	l.state, u.state = stateTunnel, stateTunnel
	t.moved, t.looked = w.sh.Now(), w.sh.Now()
	w.watch(t)
	w.pass(l)
	if l.tunnel == i {
		w.pass(u)
	}
	if l.tunnel == i {
		w.pump(u, uc) // there may be something for it before the client has said a word
	}
	if l.tunnel == i {
		w.rearmUnlessGone(u, uc)
	}
	if l.tunnel == i {
		w.rearmUnlessGone(l, c)
	}
}

// tunnelConnectFailed tries the next endpoint: nothing has been sent yet.
func (w *Worker) tunnelConnectFailed(t *tunnel, why metrics.Reason) {
	svc := w.tunnelService(t)
	l, c := w.far(t)
	w.serviceOf(l).Failed()
	t.upstream, l.tunnel = 0, 0
	w.closeUpstream(l, c)
	if n := len(svc.Endpoints); int(t.tries)+1 < min(triesMax, n) {
		t.tries++
		t.mishap.forgive()
		w.countRetry(svc)
		t.target = w.nextTarget(svc, &w.links[t.client].addr, t.target, t.tries)
		w.dialTunnel(t)
		return
	}
	w.endTunnel(t, why)
}
