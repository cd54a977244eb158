package proxy

import (
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
)

const eMSGSIZE = int32(unix.EMSGSIZE)

// datagrams is what a worker has for UDP: the associations, and memory for one batch each way. A batch that a
// listener's socket has is forwarded at once, by one call for each association in it; what endpoints send is gathered
// until the end of the turn, for one call for each listener. Datagrams are never queued: what a socket does not take is
// lost, as UDP allows.
type datagrams struct {
	assocTable
	came    [engine.DatagramsMax]engine.Datagram // from clients
	then    [engine.DatagramsMax]uint8           // by entry of came: the next of its association, + 1
	waiting [engine.DatagramsMax]uint32          // associations of which there is something in came
	leaving [engine.DatagramsMax]engine.Datagram // to one endpoint
	again   [1]engine.Datagram                   // what was kept, to another endpoint
	replies [engine.DatagramsMax]engine.Datagram // to the clients of one listener
	replied int
	through uint16 // that listener
	keepers [keepersMax]uint32
	keeper  uint16 // the next entry of keepers to be used
}

// keepersMax is how many associations may keep their first datagram for another endpoint. They are the newest: nobody
// has to wait for long to be told that nobody is there.
const keepersMax = 128

// repliesRoom is how many replies there has to be room for at least when an endpoint's socket is read.
const repliesRoom = engine.DatagramsMax / 4

// listenDatagrams attaches the socket of listener i, on which UDP is spoken. If that cannot be done it is tried again,
// as accepting is.
func (w *Worker) listenDatagrams(i int) {
	ln := &w.listeners[i]
	if ln.conn != 0 {
		return
	}
	c := w.conns.Alloc()
	switch {
	case c == nil:
		w.pauseAccept(pauseFull)
	case w.be.AttachDatagrams(c, ln.fd) < 0:
		w.conns.Release(c)
		w.pauseAccept(pauseFull)
	default:
		w.links[c.Slot] = link{kind: kindListener, state: stateDatagrams, from: uint16(i)}
		ln.conn = c.Slot + 1
	}
}

// dropDatagrams ends all associations of listener i, and closes its socket, which is ours.
func (w *Worker) dropDatagrams(i int) {
	ln := &w.listeners[i]
	w.endAssociations(metrics.None, func(a *association) bool { return int(a.key.from) == i })
	w.flushReplies()
	w.sockets.LetGo(i, ln.fd)
	if ln.conn != 0 {
		slot := ln.conn - 1
		w.leave(&w.links[slot], w.conns.At(slot), false)
	} else {
		_ = unix.Close(ln.fd) // nothing was received on it
	}
	ln.fd, ln.conn = -1, 0
}

// endAssociations ends those that which names.
func (w *Worker) endAssociations(why metrics.Reason, which func(*association) bool) {
	if w.udp.all.Used() == 0 {
		return
	}
	w.eachLink(func(l *link, _ *engine.Conn) {
		if l.kind == kindAssociation && !l.closing() && which(w.udp.at(l.id)) {
			w.endAssociation(l.id, why)
		}
	})
}

// drainDatagrams gives associations no more time than their silence takes; new ones are not made.
func (w *Worker) drainDatagrams() {
	w.eachLink(func(l *link, c *engine.Conn) {
		if l.kind == kindAssociation && !l.closing() {
			w.wheel.Set(c.Slot, w.assocDeadline(w.udp.at(l.id)))
		}
	})
}

// drainedDatagrams closes the listeners' sockets of a worker that is draining when nobody needs them for replies.
func (w *Worker) drainedDatagrams() {
	if w.udp.all.Used() > 0 {
		return
	}
	for i := range w.listeners {
		if w.listeners[i].udp {
			w.dropSocket(i)
		}
	}
}

// abandonDatagrams ends all associations.
func (w *Worker) abandonDatagrams() {
	w.endAssociations(metrics.ShuttingDown, func(*association) bool { return true })
}

// readable takes what has come to a UDP socket.
func (w *Worker) readable(l *link, c *engine.Conn) {
	switch {
	case l.closing():
	case l.kind == kindListener:
		w.fromClients(l, c)
	case l.kind == kindAssociation:
		w.fromEndpoint(l, c)
	}
}

// fromClients forwards what has come to a listener, each association's part in one piece.
func (w *Worker) fromClients(l *link, c *engine.Conn) {
	u := w.udp
	n := w.be.RecvDatagrams(c, u.came[:])
	if n < 0 {
		return // our own replies have found nobody, or there is no buffer and what has come waits
	}
	var sum tally
	whole := sum.count(u.came[:n])
	w.m.Add(metrics.DatagramsFromClients, uint64(whole.datagrams))
	w.m.Add(metrics.BytesFromClients, uint64(whole.bytes))
	waiting, i := 0, uint32(0)
	for at := range u.came[:n] {
		d := &u.came[at]
		if !w.entire(d) {
			continue
		}
		k := assocKey{peer: d.Peer, local: d.Local, from: l.from}
		if i == 0 || u.at(i).key != k {
			i = w.associationOf(l, &k, uint64(d.Count()))
		}
		if i != 0 && u.line(i, uint8(at)) {
			u.waiting[waiting] = i
			waiting++
		}
	}
	for _, i := range u.waiting[:waiting] {
		if u.at(i).first != 0 {
			w.forward(i)
		}
	}
	for at := range u.came[:n] {
		w.mem.Drop(u.came[at].Buf)
	}
}

// entire reports whether there is anything in d to be passed on: a datagram whose end is missing is worth nothing.
func (w *Worker) entire(d *engine.Datagram) bool {
	if !d.Truncated {
		return true
	}
	w.m.Drop(metrics.DropTruncated, 1)
	return d.Segment != 0 && d.Span.Len > 0
}

// line puts entry at of came behind those that wait for association i. It reports whether it is the first of them.
func (u *datagrams) line(i uint32, at uint8) bool {
	a := u.at(i)
	u.then[at] = 0
	first := a.first == 0
	if first {
		a.first = at + 1
	} else {
		u.then[a.last] = at + 1
	}
	a.last = at
	return first
}

// forward sends what waits for association i to its endpoint. It reports whether i goes on.
func (w *Worker) forward(i uint32) bool {
	u := w.udp
	a := u.at(i)
	n, first := 0, a.first
	for at := first; at != 0; at = u.then[at-1] {
		d := &u.leaving[n]
		*d = u.came[at-1]
		d.Peer, d.Local = engine.IPPort{}, engine.IPPort{} // the socket is connected
		n++
	}
	a.first = 0
	if !w.sendUp(i, u.leaving[:n]) {
		return false
	}
	w.keep(i, &u.came[first-1])
	return true
}

// sendUp sends out to i's endpoint. It reports whether i goes on.
func (w *Worker) sendUp(i uint32, out []engine.Datagram) bool {
	a := w.udp.at(i)
	for told := false; len(out) > 0; {
		n := w.be.SendDatagrams(w.conns.At(a.slot-1), out)
		switch errno := int32(-n); {
		case n > 0:
			sum := a.up.count(out[:n])
			w.countUp(a, sum)
			out = out[n:]
		case n == 0 || errno == eAGAIN || errno == eNOBUFS:
			w.m.Drop(metrics.DropUpstream, countOf(out))
			return true
		case errno == eMSGSIZE && !told: // it may be about one that was sent before
			told = true
		case errno == eMSGSIZE:
			w.m.Drop(metrics.DropUpstream, uint64(out[0].Count()))
			out = out[1:]
		case !w.unreachable(i, errno):
			w.m.Drop(metrics.DropUnreachable, countOf(out))
			return false
		}
	}
	return true
}

// countOf is how many datagrams ds stand for.
func countOf(ds []engine.Datagram) uint64 {
	var t tally
	return uint64(t.count(ds).datagrams)
}

func (w *Worker) countUp(a *association, sum tally) {
	series := w.assocStream(a).Series
	w.m.Add(metrics.DatagramsToUpstreams, uint64(sum.datagrams))
	w.m.Add(metrics.BytesToUpstreams, uint64(sum.bytes))
	w.m.Datagrams(series, uint64(sum.datagrams), 0)
	w.m.Carried(metrics.Sessions, series, uint64(sum.bytes), 0)
}

// keep holds on to the first datagram of an association that may have to ask another endpoint, in the place of the
// one that has been kept for longest.
func (w *Worker) keep(i uint32, d *engine.Datagram) {
	u := w.udp
	a := u.at(i)
	if a.standing != standingAwaiting || a.keptAt != 0 || d.Buf == mem.NoBuf || d.Buf.Class() != mem.Small ||
		d.Segment != 0 || int(a.tries)+1 >= len(w.assocService(a).Endpoints) || !w.plenty(mem.Small) {
		return
	}
	at := u.keeper
	if before := u.keepers[at]; before != 0 {
		w.dropKept(u.at(before))
	}
	u.keeper = (at + 1) % keepersMax
	w.mem.Hold(d.Buf)
	a.kept, a.keptAt, u.keepers[at] = held{d.Span, d.Buf}, at+1, i
}

// dropKept gives back what a has kept.
func (w *Worker) dropKept(a *association) {
	if a.keptAt == 0 {
		return
	}
	w.mem.Drop(a.kept.buf)
	w.udp.keepers[a.keptAt-1] = 0
	a.keptAt = 0
}

// fromEndpoint gathers what has come for a client.
func (w *Worker) fromEndpoint(l *link, c *engine.Conn) {
	u := w.udp
	i, a := l.id, w.udp.at(l.id)
	if u.replied > 0 && u.through != a.key.from || u.replied > len(u.replies)-repliesRoom {
		w.flushReplies()
	}
	came := u.replies[u.replied:]
	n := w.be.RecvDatagrams(c, came)
	if n < 0 {
		switch errno := int32(-n); errno {
		case eNOBUFS:
		case eMSGSIZE: // a router has dropped one, and the kernel knows now what fits the way (RFC 1191)
			w.m.Drop(metrics.DropUpstream, 1)
		default:
			w.unreachable(i, errno)
		}
		return
	}
	came = came[:n]
	var sum tally
	whole := sum.count(came)
	w.m.Add(metrics.DatagramsFromUpstreams, uint64(whole.datagrams))
	w.m.Add(metrics.BytesFromUpstreams, uint64(whole.bytes))
	if n == 0 {
		return
	}
	if !w.current(i) {
		for at := range came {
			w.mem.Drop(came[at].Buf)
		}
		w.endAssociation(i, metrics.None)
		return
	}
	before := u.replied
	u.through = a.key.from
	for at := range came {
		d := came[at]
		if !w.entire(&d) {
			w.mem.Drop(d.Buf)
			continue
		}
		d.Peer, d.Local = a.key.peer, a.key.local
		u.replies[u.replied] = d
		u.replied++
	}
	if u.replied > before {
		w.answered(i, u.replies[before:u.replied])
	}
}

// answered notes that i's endpoint has sent something.
func (w *Worker) answered(i uint32, replies []engine.Datagram) {
	a := w.udp.at(i)
	a.moved = w.sh.Now()
	sum := a.down.count(replies)
	series := w.assocStream(a).Series
	w.m.Datagrams(series, 0, uint64(sum.datagrams))
	w.m.Carried(metrics.Sessions, series, 0, uint64(sum.bytes))
	if a.standing != standingAwaiting {
		return
	}
	w.dropKept(a)
	if a.up.datagrams > 1 {
		w.udp.stand(i, standingConversing)
		return
	}
	w.udp.stand(i, standingSettled)
	w.uncountSession(&a.key, w.assocStream(a))
	a.counted = false
}

// flushReplies sends what was gathered for the clients of one listener.
func (w *Worker) flushReplies() {
	u := w.udp
	if u.replied == 0 {
		return
	}
	out := u.replies[:u.replied]
	for c := w.conns.At(w.listeners[u.through].conn - 1); len(out) > 0; {
		n := w.be.SendDatagrams(c, out)
		switch {
		case n > 0:
			var sum tally
			whole := sum.count(out[:n])
			w.m.Add(metrics.DatagramsToClients, uint64(whole.datagrams))
			w.m.Add(metrics.BytesToClients, uint64(whole.bytes))
			out = out[n:]
		case n == 0 || int32(-n) == eAGAIN || int32(-n) == eNOBUFS:
			w.m.Drop(metrics.DropClient, countOf(out))
			out = nil
		default: // the client's network, or its address, is not there
			w.m.Drop(metrics.DropClient, uint64(out[0].Count()))
			out = out[1:]
		}
	}
	for at := range u.replies[:u.replied] {
		w.mem.Drop(u.replies[at].Buf)
	}
	u.replied = 0
}
