package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// Sockets hands out one shard's listening sockets. Its methods are called on the shard's thread, a few times for each
// change of the configuration, and may take a lock.
type Sockets interface {
	// Take returns the socket of a listener that the current snapshot has. The worker accepts on it until it lets go of
	// it, and does not close it; taking it again meanwhile changes nothing. -1: there is none any more, a newer
	// snapshot has come. The socket of a UDP listener becomes the worker's own, to be closed by it.
	Take(listener int) (fd int)
	// LetGo says that the worker will not touch the socket again, or will close it next if it is its own.
	LetGo(listener, fd int)
}

// listener is this shard's side of an entry of the snapshots' Listeners.
//
// One that is removed ends in steps. Its idle connections are closed when the turn is over; those that have not made a
// request yet may make one. For a while it still accepts: who has put it to silence sees to it that nobody new
// gets in, but clients whose connections were about to stand are not turned away. Then the worker lets go of the
// socket, and when the last connection is gone, of the snapshot.
type listener struct {
	fd      int    // the socket; -1: none
	clients int    // connections that came through it
	pin     uint32 // the last snapshot that has the listener: what its requests run on
	pinned  bool
	udp     bool   // datagrams are received there, by the connection in slot conn - 1
	conn    uint32 // 0: there is none
	gone    bool   // the current snapshot does not have it
	swept   bool   // gone: its idle connections have been closed
	until   int64  // gone: how long it still accepts
}

// lastCallFor is how long a listener that was removed still accepts: long enough for handshakes that are under way.
const lastCallFor = 100e6

// adoptListeners opens and closes what the new snapshot has more and less than the one before.
func (w *Worker) adoptListeners(snap *plan.Snapshot) {
	for len(w.listeners) < len(snap.Listeners) {
		w.listeners = append(w.listeners, listener{fd: -1, gone: true, swept: true})
	}
	for i := range w.listeners {
		ln := &w.listeners[i]
		switch {
		case !snap.Listeners[i].Vacant():
			w.openListener(i)
		case !ln.gone:
			ln.gone, ln.swept, ln.until = true, false, w.sh.Now()+lastCallFor
			if ln.udp {
				ln.until = w.sh.Now()
			}
			w.lastCall = earlier(w.lastCall, ln.until)
		}
	}
}

// openListener takes the socket of listener i, which may be another one than before if the listener went and came back.
func (w *Worker) openListener(i int) {
	ln := &w.listeners[i]
	if ln.pinned {
		w.sh.Unpin(ln.pin)
	}
	ln.pin, ln.pinned, ln.gone = w.sh.Pin(), true, false
	fd := w.sockets.Take(i)
	if fd == ln.fd {
		return
	}
	w.dropSocket(i)
	ln.fd, ln.udp = fd, w.sh.Snapshot().Listeners[i].Protocol == plan.UDP
	w.listen(i)
}

// listen accepts on listener i, if it has a socket and nothing was in the way before. Datagrams are received as long
// as there is a socket: what makes accepting pause concerns connections.
func (w *Worker) listen(i int) {
	ln := &w.listeners[i]
	switch {
	case ln.fd < 0:
		return
	case ln.udp:
		w.listenDatagrams(i)
		return
	case w.paused != pauseNone:
		return
	}
	if err := w.be.Listen(uint16(i), ln.fd); err != nil {
		w.pauseAccept(pauseFull)
	}
}

func (w *Worker) dropSocket(i int) {
	ln := &w.listeners[i]
	switch {
	case ln.fd < 0:
		return
	case ln.udp:
		w.dropDatagrams(i)
		return
	}
	w.be.Unlisten(uint16(i))
	w.sockets.LetGo(i, ln.fd)
	ln.fd = -1
}

// endListeners goes on with the end of listeners that were removed. It is called at the end of a turn, when what had
// come through them has been seen; in a drain it ends them at once.
func (w *Worker) endListeners() {
	w.lastCall = 0
	for i := range w.listeners {
		ln := &w.listeners[i]
		if !ln.gone {
			continue
		}
		if !ln.swept {
			ln.swept = true
			w.sweep(uint16(i))
		}
		if ln.fd >= 0 && !w.draining && w.sh.Now() < ln.until {
			w.lastCall = earlier(w.lastCall, ln.until)
			continue
		}
		w.dropSocket(i)
		w.forgetListener(ln)
	}
}

// sweep closes the idle connections of a listener that was removed. One that has just been opened is for a request that
// is on its way, which we wait for, as long as for any head.
func (w *Worker) sweep(id uint16) {
	patience := int64(w.sh.Snapshot().Timeouts.Header)
	w.eachLink(func(l *link, c *engine.Conn) {
		if l.kind != kindClient || l.from != id || l.state != stateIdle || !w.silent(l, c.Slot) {
			return
		}
		if l.id == 0 {
			w.wheel.Set(c.Slot, min(w.wheel.Deadline(c.Slot), w.sh.Now()+patience))
			return
		}
		w.m.Inc(metrics.ConnsClosedDrain)
		w.closeClient(l, c, false)
	})
}

// leaving reports whether a client's connection is to end with the exchange that runs on it.
func (w *Worker) leaving(l *link) bool { return w.draining || w.listeners[l.from].gone }

// listenerOf is the listener that l came through, as it is now or was last.
func (w *Worker) listenerOf(l *link) *plan.Listener {
	return &w.sh.Pinned(w.listeners[l.from].pin).Listeners[l.from]
}

// listenerLeft notes that a connection of l's listener is gone.
func (w *Worker) listenerLeft(l *link) {
	ln := &w.listeners[l.from]
	ln.clients--
	w.forgetListener(ln)
}

// forgetListener lets go of the snapshot of a listener that nothing is left of.
func (w *Worker) forgetListener(ln *listener) {
	if ln.gone && ln.pinned && ln.fd < 0 && ln.clients == 0 {
		w.sh.Unpin(ln.pin)
		ln.pinned = false
	}
}
