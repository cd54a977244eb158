package proxy

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
)

const (
	eAGAIN    = int32(unix.EAGAIN)
	eNOBUFS   = int32(unix.ENOBUFS)
	eCANCELED = int32(unix.ECANCELED)
	eMFILE    = int32(unix.EMFILE)
	eNFILE    = int32(unix.ENFILE)
)

// Shared is what the shards' workers count together. Each is touched once per connection, never per request.
type Shared struct {
	clients atomic.Int64
	perIP   addressCounts
	room    int64
	gates   gates

	associations       atomic.Int64
	associationsWanted atomic.Int64 // until when places among them are left free, see roomForAssociation
	associationsPerIP  addressCounts
}

// NewShared makes the common counters of all workers. room is how many clients there can be at most, whatever the
// configuration allows: idle ones must leave descriptors for connections to upstreams.
func NewShared(room int) *Shared {
	return &Shared{room: int64(room), perIP: newAddressCounts(), associationsPerIP: newAddressCounts()}
}

// clientsMax is how many clients there can be now. Each association has a descriptor too.
func (w *Worker) clientsMax() int64 {
	return min(int64(w.sh.Snapshot().Limits.Connections), w.shared.room-w.shared.associations.Load())
}

// associationShare: of the descriptors that there are for clients, associations get one in so many.
const associationShare = 4

// associationsMax is how many associations there can be.
func (w *Worker) associationsMax() int64 {
	return min(int64(w.sh.Snapshot().Limits.Sessions), w.shared.room/associationShare)
}

// pause says why we do not accept.
type pause uint8

const (
	pauseNone  pause = iota
	pauseStart       // Listen was not called yet
	pauseLimit       // limits.connections is reached
	pauseFull        // no descriptor, slot or memory for another socket
	pauseDrain       // for good
)

// pauseFor is how long we wait after the system refused another socket, unless one is closed earlier.
const pauseFor = 250e6

// accepted takes a new client, or learns that there cannot be one now. The connections that wait in the kernel's queue
// stay there while we pause: no one is refused for want of a descriptor or of the kernel's memory.
func (w *Worker) accepted(ev *engine.Event) {
	if ev.Res < 0 {
		w.pauseAccept(pauseFull)
		return
	}
	fd := int(ev.Res)
	c := w.conns.Alloc()
	if c == nil || w.draining {
		_ = unix.Close(fd)
		if c != nil {
			w.conns.Release(c)
		}
		w.m.Refuse(metrics.LimitConns)
		w.pauseAccept(pauseFull)
		return
	}
	l := &w.links[c.Slot]
	*l = link{kind: kindClient, state: stateIdle, from: ev.Listener, began: w.sh.Now()}
	if peer := w.be.Peer(ev); peer.IsValid() {
		l.setClient(peer)
	}
	w.be.Attach(c, fd)
	w.clients++
	w.listeners[l.from].clients++
	l.series = w.listenerSeries(l)
	w.m.Of(metrics.ListenerSeries, l.series).Opened()
	w.m.Inc(metrics.ConnsAccepted)
	w.m.Up(metrics.ConnsActive)
	if w.shared.clients.Add(1) >= w.clientsMax() {
		w.pauseAccept(pauseLimit)
	}
	if w.proxied(l) {
		w.awaitFirst(l, c, stateHeader)
	} else {
		w.admit(l, c)
	}
	w.rearmUnlessGone(l, c)
}

func (w *Worker) pauseAccept(why pause) {
	if w.paused == pauseNone {
		w.m.Inc(metrics.AcceptPauses)
		for i := range w.listeners {
			if !w.listeners[i].udp {
				w.be.Unlisten(uint16(i))
			}
		}
	}
	if why > w.paused || w.paused == pauseNone {
		w.paused = why
	}
	if why == pauseFull {
		w.resumeAt = w.sh.Now() + pauseFor
	}
}

// ownTimer is the wheel's slot for the worker's own deadline: the one behind the connections.
func (w *Worker) ownTimer() uint32 { return uint32(len(w.links)) }

// resume accepts again when the reason for the pause is gone.
func (w *Worker) resume() {
	switch w.paused {
	case pauseDrain:
		return
	case pauseLimit:
		if w.shared.clients.Load() >= w.clientsMax() {
			return
		}
	case pauseFull:
		if w.sh.Now() < w.resumeAt {
			return
		}
	}
	w.paused = pauseNone
	for i := range w.listeners {
		w.listen(i)
	}
}

// roomMade lets a pause for want of descriptors end at once.
func (w *Worker) roomMade() {
	if w.paused == pauseFull {
		w.resumeAt = 0
	}
}

// handshakeInDrain is how long a shutdown waits for a client that is shaking hands: it has not asked for anything yet,
// and it takes a few round trips, in which our part may have to wait for others'.
const handshakeInDrain = 1e9

// Drain stops accepting and ends what is idle; finished is called on the shard's thread when the last connection is
// gone.
func (w *Worker) Drain(finished func()) {
	w.draining, w.finished = true, finished
	w.pauseAccept(pauseDrain)
	w.paused = pauseDrain
	w.endListeners()
	w.drainDatagrams()
	w.eachLink(func(l *link, c *engine.Conn) {
		switch {
		case l.kind == kindClient && w.silent(l, c.Slot):
			w.m.Inc(metrics.ConnsClosedDrain)
			w.closeClient(l, c, false)
		case l.kind == kindClient && l.state == stateLinger:
			w.wheel.Set(c.Slot, min(w.wheel.Deadline(c.Slot), w.sh.Now()+lingerInDrain))
		case l.kind == kindClient && (l.state == stateHello || l.state == stateHandshake || l.awaitsFirst()):
			w.wheel.Set(c.Slot, min(w.wheel.Deadline(c.Slot), w.sh.Now()+handshakeInDrain))
		case l.kind == kindUpstream && l.state == statePooled:
			w.closeUpstream(l, c)
		}
	})
}

// silent reports whether nothing has come from a client since its last request.
func (w *Worker) silent(l *link, slot uint32) bool {
	switch l.state {
	case stateHeader, stateDetect:
		return l.in.empty()
	case stateIdle:
		return l.in.empty() && !(l.has(flagSecure) && w.unsettled(slot))
	case stateHello:
		return w.secure[slot].began == 0
	}
	return false
}

// Abandon ends everything that is still running; Drain's deadline has passed.
func (w *Worker) Abandon() (exchanges int) {
	exchanges = w.exs.Used() + w.tunnels.Used() + w.udp.all.Used()
	w.abandonDatagrams()
	w.eachLink(func(l *link, c *engine.Conn) {
		switch {
		case l.state == stateDatagrams: // a listener's, which is closed with the turn
		case l.tunnel != 0:
			w.endTunnel(w.tunnels.At(l.tunnel), metrics.ShuttingDown)
		case l.ex != 0:
			w.abort(w.exs.At(l.ex), metrics.ShuttingDown)
		case l.state == stateFarewell:
			w.leave(l, c, true)
		case l.kind == kindUpstream:
			w.closeUpstream(l, c)
		case l.untold():
			w.m.Inc(metrics.ConnsClosedDrain)
			w.closeClient(l, c, true)
		default: // lingering, and counted, or closing
			w.closeClient(l, c, true)
		}
	})
	return exchanges
}

func (w *Worker) eachLink(f func(*link, *engine.Conn)) {
	for slot := range w.links {
		if l := &w.links[slot]; l.kind != kindNone {
			f(l, w.conns.At(uint32(slot)))
		}
	}
}
