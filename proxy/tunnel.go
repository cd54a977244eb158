package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/hello"
)

// tunnelKind says how a tunnel came to be, and with that which series counts it and how long it may be idle.
type tunnelKind uint8

const (
	tunnelStream  tunnelKind = iota // a route for streams leads to it
	tunnelUpgrade                   // an exchange was switched to another protocol
	tunnelConnect                   // an exchange with the method CONNECT was granted
)

// tunnel joins two connections whose bytes pass as they are, in both directions: a client's, and one to an upstream.
// Either may be one over TLS, which ends here: what is in the queues is plaintext then. Each direction ends for
// itself. When something is missing at the end, both are reset: what is cut must not look like what is complete.
type tunnel struct {
	client   uint32 // slot
	upstream uint32 // slot + 1; 0: none
	pin      uint32
	route    int32 // index in Snapshot.Streams, or of an exchange that was switched, in Snapshot.Routes
	service  int32
	target   uint16
	tries    uint8
	kind     tunnelKind
	sealed   bool // TLS passes through, with what is in it

	id        uint32 // of the stream, to which it counts
	started   int64
	forwarded int64 // when the connection at hand was asked for
	moved     int64 // when something last passed
	looked    int64 // when a window of the least rate began
	up, down  int64 // bytes received of the client, and of the endpoint

	origin  origin // of an exchange that was switched
	mishap  mishap
	header  held      // of the PROXY protocol, for an endpoint, until one is connected to; empty: there is none
	name    [255]byte // what the client has asked for, for the log
	nameLen uint8
}

// passage is how t is counted.
func (w *Worker) passage(t *tunnel) (metrics.Passage, metrics.Series) {
	snap := w.sh.Pinned(t.pin)
	if t.kind == tunnelStream {
		return metrics.Streams, snap.Streams[t.route].Series
	}
	return metrics.Upgrades, snap.Routes[t.route].Series
}

// routeName is the name of the route that leads to t.
func (w *Worker) routeName(t *tunnel) string {
	snap := w.sh.Pinned(t.pin)
	if t.kind == tunnelStream {
		return snap.Streams[t.route].Name
	}
	return snap.Routes[t.route].Name
}

func (w *Worker) tunnelService(t *tunnel) *plan.Service {
	return &w.sh.Pinned(t.pin).Services[t.service]
}

// patience is how long nothing may pass through t.
func (w *Worker) patience(t *tunnel) int64 {
	limits := &w.sh.Pinned(t.pin).Timeouts
	if t.kind == tunnelStream {
		return int64(limits.StreamIdle)
	}
	return int64(limits.UpgradeIdle)
}

// beginTunnel passes a client's connection on, with TLS as it is, whose ClientHello has come and makes that offer.
func (w *Worker) beginTunnel(l *link, c *engine.Conn, route int, offer *hello.Offer) {
	if !w.unwrap(l, c) {
		w.refuseTunnel(l, c, metrics.LimitBuffers)
		return
	}
	if t := w.openTunnel(l, c, w.sh.Hold(w.listeners[l.from].pin), route, offer.SNI); t != nil {
		t.sealed = true
		w.reach(t, offer)
	}
}

// beginStream passes a client's connection on: what has come of it is in its queue in. Name is what the client has
// asked for, if that is known; of one over TLS, which ends here and has its handshake behind it, the facts tell.
func (w *Worker) beginStream(l *link, c *engine.Conn, route int, name []byte) {
	if !l.has(flagSecure) {
		if t := w.openTunnel(l, c, w.sh.Hold(w.listeners[l.from].pin), route, name); t != nil {
			w.reach(t, nil)
		}
		return
	}
	s := w.secure[c.Slot]
	s.bound = false
	if t := w.openTunnel(l, c, s.pin, route, nil); t != nil {
		t.nameLen = uint8(copy(t.name[:], s.facts.name))
		w.reach(t, nil)
	}
}

// openTunnel makes a tunnel with a client's end. It takes the snapshot's pin over. Nil: the client's connection has
// been ended.
func (w *Worker) openTunnel(l *link, c *engine.Conn, pin uint32, route int, name []byte) *tunnel {
	stream := &w.sh.Pinned(pin).Streams[route]
	if why := w.enterStream(stream); why != metrics.None {
		w.m.RefusePassage(metrics.Streams, stream.Series, why)
		w.sh.Unpin(pin)
		w.endRefused(l, c)
		return nil
	}
	i, t := w.takeTunnel()
	if t == nil {
		w.leaveStream(stream.ID)
		w.sh.Unpin(pin)
		w.refuseTunnel(l, c, metrics.LimitBuffers)
		return nil
	}
	t.client, t.pin, t.route, t.id, t.service = c.Slot, pin, int32(route), stream.ID, stream.Service
	t.nameLen = uint8(copy(t.name[:], name))
	l.tunnel, l.state = i, stateTunnel
	w.wheel.Set(c.Slot, 0)
	w.m.Began(w.passage(t))
	w.countPath(mem.Small, uint64(l.in.bytes)) // what has come before it was clear where to
	return t
}

// takeTunnel is a new tunnel without ends, and its index; nil: there is none left.
func (w *Worker) takeTunnel() (uint32, *tunnel) {
	i := w.tunnels.Take()
	if i == 0 {
		return 0, nil
	}
	t := w.tunnels.At(i)
	now := w.sh.Now()
	*t = tunnel{started: now, moved: now}
	return i, t
}

// refuseTunnel ends a client's connection that cannot be passed on.
func (w *Worker) refuseTunnel(l *link, c *engine.Conn, why metrics.Reason) {
	w.m.Refuse(why)
	w.endRefused(l, c)
}

func (w *Worker) endRefused(l *link, c *engine.Conn) {
	w.m.Inc(metrics.ConnsClosedError)
	w.closeClient(l, c, true)
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

// bind remembers the way that a client over TLS takes when TLS, which ends here, is agreed on. The snapshot in which it
// was chosen stays.
func (w *Worker) bind(l *link, s *secure, route int) {
	s.bound, s.stream, s.pin = true, uint32(route), w.sh.Hold(w.listeners[l.from].pin)
}
