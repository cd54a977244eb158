package proxy

import (
	"cmp"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// association joins what one client sends to a listener by UDP with a socket of its own to an endpoint, so that replies
// find their client: users know it as a session. It begins with a client's first datagram and has no end of its own:
// it ends when nothing has passed for a while, when it gives way to another, or when its endpoint is not there.
//
// It goes on through changes of the configuration as long as its route leads to its endpoint, and takes the newest one
// over with its next datagram: an old snapshot is never kept by those who go on talking.
type association struct {
	key      assocKey
	hash     uint64
	next     uint32 // in its bucket
	older    uint32 // neighbours in the queue of its standing
	newer    uint32
	standing standing
	counted  bool // against the limits, see countSession

	slot    uint32 // of the socket to its endpoint, + 1; 0: none
	pin     uint32
	adopted uint32 // the adoption of the snapshot that pin names, see current
	route   int32  // index in Snapshot.Streams
	target  uint16
	tries   uint8
	first   uint8 // entry of datagrams.came, + 1, where those begin that are to be forwarded; 0: there are none
	last    uint8
	errno   int32

	started  int64
	moved    int64 // when a datagram last passed
	up, down tally

	kept   held // the first datagram, while another endpoint may have to be asked; see keep
	keptAt uint16
}

// tally counts what has passed one way.
type tally struct{ datagrams, bytes int64 }

// count adds what ds stand for, and returns it.
func (t *tally) count(ds []engine.Datagram) (sum tally) {
	for i := range ds {
		sum.datagrams += int64(ds[i].Count())
		sum.bytes += int64(ds[i].Span.Len)
	}
	t.datagrams += sum.datagrams
	t.bytes += sum.bytes
	return sum
}

func (w *Worker) assocStream(a *association) *plan.Stream {
	return &w.sh.Pinned(a.pin).Streams[a.route]
}

func (w *Worker) assocService(a *association) *plan.Service {
	return &w.sh.Pinned(a.pin).Services[w.assocStream(a).Service]
}

// associationOf is the association that a datagram of k belongs to, a new one if need be; 0: it is thrown away, and
// that is counted.
func (w *Worker) associationOf(l *link, k *assocKey, count uint64) uint32 {
	u := w.udp
	h := u.hash(k)
	i := u.find(k, h)
	if i != 0 && !w.current(i) {
		w.endAssociation(i, metrics.None)
		i = 0
	}
	switch {
	case i == 0:
		return w.associate(l, k, h, count)
	case u.at(i).standing == standingSettled:
		a := u.at(i)
		if w.countSession(k, w.assocStream(a), w.reenterStream) != metrics.None {
			w.m.Drop(metrics.DropLimit, count)
			return 0
		}
		a.counted = true
		u.stand(i, standingConversing)
	}
	u.at(i).moved = w.sh.Now()
	return i
}

// associate makes an association for a client that has none.
func (w *Worker) associate(l *link, k *assocKey, h, count uint64) uint32 {
	if w.draining {
		w.m.Drop(metrics.DropDraining, count)
		return 0
	}
	snap := w.sh.Snapshot()
	route := w.datagramRoute(&snap.Listeners[l.from], k)
	if route < 0 {
		w.m.Drop(metrics.DropNoRoute, count)
		return 0
	}
	stream := &snap.Streams[route]
	if len(snap.Services[stream.Service].Cycle) == 0 {
		return w.turnAway(stream, metrics.NoUpstream, metrics.DropNoUpstream, count)
	}
	if why := w.countSession(k, stream, w.enterStream); why != metrics.None {
		return w.turnAway(stream, why, dropFor(why), count)
	}
	if !w.roomForAssociation() {
		w.uncountSession(k, stream)
		return w.turnAway(stream, metrics.LimitSessions, metrics.DropLimit, count)
	}
	i := w.udp.add(k, h)
	a := w.udp.at(i)
	a.route, a.counted, a.started, a.moved = int32(route), true, w.sh.Now(), w.sh.Now()
	a.pin, a.adopted = w.sh.Pin(), uint32(w.adoptions)
	a.target = w.firstTarget(w.assocService(a), &k.peer.IP)
	w.udp.stand(i, standingAwaiting)
	w.m.Began(metrics.Sessions, stream.Series)
	if why := w.dialAssociation(i); why != metrics.None {
		w.endAssociation(i, why)
		w.m.Drop(metrics.DropNoUpstream, count)
		if weakest := w.udp.weakest(); why == metrics.LimitConns && weakest != 0 {
			w.giveWay(weakest) // for the next one
		}
		return 0
	}
	return i
}

// dropFor is what becomes of the datagrams of those whom a limit forbids.
func dropFor(why metrics.Reason) metrics.Drop {
	if why == metrics.LimitStreamRate {
		return metrics.DropRate
	}
	return metrics.DropLimit
}

// turnAway counts a client for whom there is no association.
func (w *Worker) turnAway(s *plan.Stream, why metrics.Reason, drop metrics.Drop, count uint64) uint32 {
	w.m.RefusePassage(metrics.Sessions, s.Series, why)
	w.m.Drop(drop, count)
	return 0
}

// datagramRoute is the target of the udp route that a client of k takes; -1: there is none.
func (w *Worker) datagramRoute(ln *plan.Listener, k *assocKey) int {
	if ln.Streams == nil {
		return -1
	}
	r := &w.question.request
	r.TLS, r.Client, r.Port = nil, k.peer.AddrPort().Addr(), ln.Addr.Port()
	return ln.Streams.MatchHello(r)
}

// roomForAssociation takes a place among the sessions of all shards, if need be that of one who gives way to it. Only a
// shard itself can end its sessions: one that has none to end, and less than its share, asks the others to leave places
// free, which those with more than their share do for as long as clients keep trying.
func (w *Worker) roomForAssociation() bool {
	u, most := w.udp, w.associationsMax()
	share, now := int(most)/w.shards, w.common()
	if u.all.Used() > share && w.shared.associationsWanted.Load() > now {
		most -= max(most/freePart, 1)
	}
	left := w.shared.associations.Add(1)
	for range 2 { // one for the newcomer, and one for another shard's
		i := u.weakest()
		if i == 0 || left <= most && u.all.Used() < u.all.Len() {
			break
		}
		w.giveWay(i)
		left--
	}
	if left <= most && u.all.Used() < u.all.Len() {
		return true
	}
	w.shared.associations.Add(-1)
	if u.all.Used() < share {
		w.shared.associationsWanted.Store(now + wantedFor)
	}
	return false
}

const (
	freePart  = 32  // one in so many places is left free for shards that want some
	wantedFor = 5e9 // as long as clients may wait before they ask again
)

// giveWay ends an association for another.
func (w *Worker) giveWay(i uint32) {
	if w.udp.at(i).standing == standingSettled {
		w.endAssociation(i, metrics.None)
	} else {
		w.endAssociation(i, metrics.LimitSessions)
	}
}

// countSession counts a session of k against the limits of its address and of its route, or says which forbids it. One
// that is settled is not counted until it goes on: resolvers ask each question from a port of its own, and have no use
// for what is left of it when the answer is there.
func (w *Worker) countSession(
	k *assocKey, s *plan.Stream, enter func(*plan.Stream) metrics.Reason,
) (why metrics.Reason) {
	limit := w.sh.Snapshot().Limits.SessionsPerIP
	counted := w.shared.associationsPerIP.add(k.peer.IP, !k.peer.Is4(), cmp.Or(limit, countMask))
	if !counted && limit != 0 {
		return metrics.LimitSessionsPerIP
	}
	if why = enter(s); why != metrics.None {
		w.shared.associationsPerIP.remove(k.peer.IP, !k.peer.Is4())
	}
	return why
}

// uncountSession takes it back.
func (w *Worker) uncountSession(k *assocKey, s *plan.Stream) {
	w.leaveStream(s.ID)
	w.shared.associationsPerIP.remove(k.peer.IP, !k.peer.Is4())
}

// dialAssociation gives association i a socket to its target, or to the next endpoint to which there is a way.
func (w *Worker) dialAssociation(i uint32) metrics.Reason {
	a := w.udp.at(i)
	svc := w.assocService(a)
	for {
		c := w.conns.Alloc()
		if c == nil {
			return metrics.LimitConns
		}
		errno := int32(-w.be.ConnectDatagrams(c, &w.endpoints[svc.Endpoints[a.target].ID].addr))
		if errno == 0 {
			l := &w.links[c.Slot]
			*l = link{kind: kindAssociation, state: stateDatagrams, id: i, series: svc.Series}
			a.slot = c.Slot + 1
			w.serviceOf(l).Opened()
			w.m.Inc(metrics.UpstreamConnects)
			w.m.Up(metrics.UpstreamConnsOpen)
			w.wheel.Set(c.Slot, w.assocDeadline(a))
			return metrics.None
		}
		w.conns.Release(c)
		a.errno = errno
		switch {
		case errno == eMFILE || errno == eNFILE:
			w.closePooled()
			return metrics.LimitConns
		case errno == eAGAIN: // no port of ours is left
			return metrics.LimitConns
		case !w.turnToNext(a):
			return metrics.UpstreamUnreachable
		}
	}
}

// turnToNext makes the next endpoint a's target, if there is one that has not been tried.
func (w *Worker) turnToNext(a *association) bool {
	svc := w.assocService(a)
	w.m.Of(metrics.ServiceSeries, svc.Series).Failed()
	if int(a.tries)+1 >= min(triesMax, len(svc.Endpoints)) {
		return false
	}
	a.tries++
	w.countRetry(svc)
	a.target = w.nextTarget(svc, &a.key.peer.IP, a.target, a.tries)
	return true
}

// unreachable handles the news that nobody is at i's endpoint, which means that a datagram has been lost. While there
// was no reply another one is asked, what was kept of the question is sent to it, and the association goes on: then it
// reports true.
func (w *Worker) unreachable(i uint32, errno int32) bool {
	a := w.udp.at(i)
	a.errno = errno
	w.m.Drop(metrics.DropUnreachable, 1)
	if a.down.datagrams > 0 || !w.turnToNext(a) {
		w.endAssociation(i, metrics.UpstreamUnreachable)
		return false
	}
	w.hangUpAssociation(a)
	if why := w.dialAssociation(i); why != metrics.None {
		w.endAssociation(i, why)
		return false
	}
	if a.keptAt != 0 {
		w.udp.again[0] = engine.Datagram{Span: a.kept.span, Buf: a.kept.buf}
		w.be.SendDatagrams(w.conns.At(a.slot-1), w.udp.again[:]) // a failure is the network's to tell once more
	}
	return true
}

// current reports whether i's client would still take the way that it has, and has i adopt the newest snapshot if it
// would.
func (w *Worker) current(i uint32) bool {
	a := w.udp.at(i)
	if a.adopted == uint32(w.adoptions) {
		return true
	}
	snap, was := w.sh.Snapshot(), w.assocService(a)
	route := w.datagramRoute(&snap.Listeners[a.key.from], &a.key)
	if route < 0 || snap.Streams[route].Name != w.assocStream(a).Name {
		return false
	}
	svc := &snap.Services[snap.Streams[route].Service]
	if svc.ID != was.ID {
		return false
	}
	id := was.Endpoints[a.target].ID
	for at := range svc.Endpoints {
		if svc.Endpoints[at].ID == id {
			w.sh.Unpin(a.pin)
			a.pin, a.adopted = w.sh.Pin(), uint32(w.adoptions)
			a.route, a.target = int32(route), uint16(at)
			return true
		}
	}
	return false
}

// quietInDrain is for how long nothing passes before an association ends at a shutdown. UDP does not tell when
// somebody is done: so long an answer is waited for, and so long a client may take to go on.
const quietInDrain = 1e9

// assocDeadline is when a has been idle for as long as it may be.
func (w *Worker) assocDeadline(a *association) int64 {
	idle := int64(w.sh.Pinned(a.pin).Timeouts.SessionIdle)
	if w.draining {
		idle = min(idle, quietInDrain)
	}
	return a.moved + idle
}

// assocExpired looks whether anything has passed of late: datagrams do not touch the wheel.
func (w *Worker) assocExpired(l *link, c *engine.Conn) {
	a := w.udp.at(l.id)
	if deadline := w.assocDeadline(a); deadline > w.sh.Now() {
		w.wheel.Set(c.Slot, deadline)
		return
	}
	w.endAssociation(l.id, metrics.None)
}

// hangUpAssociation closes a's socket to its endpoint.
func (w *Worker) hangUpAssociation(a *association) {
	if a.slot == 0 {
		return
	}
	l, c := &w.links[a.slot-1], w.conns.At(a.slot-1)
	a.slot = 0
	w.serviceOf(l).Closed()
	w.m.Down(metrics.UpstreamConnsOpen)
	w.leave(l, c, false)
}

// endAssociation ends association i: None when nothing is wrong, such as when it has been idle. What waits for it in
// the batch at hand is sent before.
func (w *Worker) endAssociation(i uint32, why metrics.Reason) {
	a := w.udp.at(i)
	if a.first != 0 && !w.forward(i) {
		return
	}
	w.m.Ended(metrics.Sessions, w.assocStream(a).Series, why)
	w.logAssociation(a, why)
	w.hangUpAssociation(a)
	w.dropKept(a)
	if a.counted {
		w.uncountSession(&a.key, w.assocStream(a))
	}
	w.sh.Unpin(a.pin)
	w.forgetAssociation(i)
}

// forgetAssociation gives i's place back.
func (w *Worker) forgetAssociation(i uint32) {
	w.udp.remove(i)
	w.shared.associations.Add(-1)
}

// logAssociation writes the line of an association that ends.
func (w *Worker) logAssociation(a *association, why metrics.Reason) {
	if w.log == nil {
		return
	}
	svc, now := w.assocService(a), w.sh.Now()
	r := &w.record
	*r = accesslog.Record{
		Time: w.sh.Wall() - (now - a.started), Duration: now - a.started, Upstream: -1, FirstByte: -1, Overhead: -1,
		BytesIn: a.up.bytes, BytesOut: a.down.bytes, DatagramsIn: a.up.datagrams, DatagramsOut: a.down.datagrams,
		Client: a.key.peer.AddrPort(), Protocol: udpProtocol, Scheme: "udp", Route: w.assocStream(a).Name,
		Service: svc.Name, Endpoint: svc.Endpoints[a.target].Name, Reason: why, Retries: a.tries,
	}
	if a.errno != 0 && why != metrics.None {
		r.Detail = append(w.additions[:0], unix.ErrnoName(unix.Errno(a.errno))...)
	}
	w.appendLog(r)
}

var udpProtocol = []byte("udp")
