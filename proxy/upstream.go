package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// endpoint is this shard's side of one address of a service: its connections, and who waits for one.
type endpoint struct {
	addr   engine.Addr
	key    uint64 // of the address, see preferred
	live   bool   // the current snapshot has it
	seen   uint64 // the adoption of the last snapshot that had it
	pooled list   // idle connections, the one used last first
	open   int    // all connections, pooled ones included
	first  uint32 // exchanges waiting for a connection, because of a limit
	last   uint32
	size   int8 // how large its responses have been of late, see learn
}

// largeResponse is the body size from which on a response is better received into Bulk buffers from its beginning.
const largeResponse = 3 * mem.SmallBytes

// learn takes the size of a response's body into account. A few of the other kind in a row change the endpoint's, a
// single one does not: to go from a stream to single receives costs a cancellation.
func (e *endpoint) learn(body int64) {
	if body >= largeResponse {
		e.size = min(e.size+1, 2)
	} else {
		e.size = max(e.size-1, -2)
	}
}

// large reports whether the next response is expected to be large.
func (e *endpoint) large() bool { return e.size > 0 }

// adoptEndpoints prepares for the endpoints of a new snapshot. Pools of those that stay are not touched; of those that
// go, idle connections are closed, and busy ones when they are done. One that comes may have the ID of one that went
// earlier: by then nothing pins a snapshot with the old one, and what uses a connection pins the snapshot it is from.
func (w *Worker) adoptEndpoints(snap *plan.Snapshot) {
	w.adoptions++
	for _, svc := range snap.Services {
		for int(svc.ID) >= len(w.turns) {
			w.turns = append(w.turns, uint32(w.sh.ID))
		}
		for i := range svc.Endpoints {
			ep := &svc.Endpoints[i]
			for int(ep.ID) >= len(w.endpoints) {
				w.endpoints = append(w.endpoints, endpoint{})
			}
			e := &w.endpoints[ep.ID]
			if !e.live && e.open == 0 && e.first == 0 {
				*e = endpoint{addr: addressOf(ep)}
				e.key = endpointKey(&e.addr)
			}
			e.live, e.seen = true, w.adoptions
		}
	}
	for i := range w.endpoints {
		if e := &w.endpoints[i]; e.seen != w.adoptions {
			e.live = false
			for e.pooled.first != 0 {
				slot := e.pooled.first - 1
				w.closeUpstream(&w.links[slot], w.conns.At(slot))
			}
		}
	}
}

func addressOf(ep *plan.Endpoint) engine.Addr {
	if ep.Unix == "" {
		return engine.IPAddr(ep.Addr)
	}
	a, err := engine.UnixAddr(ep.Unix)
	if err != nil { // the configuration check has refused such a path
		return engine.Addr{Len: 2}
	}
	return a
}

// dispatch chooses an endpoint for x, and gives it a connection.
func (w *Worker) dispatch(x *exchange) {
	svc := &w.snapshot(x).Services[x.service]
	if len(svc.Cycle) == 0 {
		w.refuse(x, 503, metrics.NoUpstream)
		return
	}
	x.target = w.firstTarget(svc, &w.links[x.client-1].addr)
	w.assign(x, false)
}

// nextInCycle is the endpoint whose turn it is.
func (w *Worker) nextInCycle(svc *plan.Service) (target uint16) {
	turn := w.turns[svc.ID]
	if int(turn) >= len(svc.Cycle) {
		turn %= uint32(len(svc.Cycle))
	}
	w.turns[svc.ID] = turn + 1
	return svc.Cycle[turn]
}

func (w *Worker) endpointOf(x *exchange) (*endpoint, uint32) {
	id := w.snapshot(x).Services[x.service].Endpoints[x.target].ID
	return &w.endpoints[id], id
}

// assign gives x a connection to its endpoint: a pooled one unless it must be fresh, else a new one, else a place in
// the line of those who wait for one.
func (w *Worker) assign(x *exchange, fresh bool) {
	e, id := w.endpointOf(x)
	if !fresh && w.pooled(e) {
		w.reuse(x, e.pooled.first-1)
		return
	}
	w.handedOn(x) // what follows is waiting
	if max := w.snapshot(x).Limits.UpstreamConns; max > 0 && e.open >= w.share(max) {
		w.wait(x, e)
		return
	}
	w.connect(x, e, id)
}

// pooled reports whether the first in e's pool is there to be used. One on which a record of TLS has begun to come that
// nobody has asked for is closed: it could pass for an answer when it is complete.
func (w *Worker) pooled(e *endpoint) bool {
	for e.pooled.first != 0 {
		slot := e.pooled.first - 1
		l := &w.links[slot]
		if !l.has(flagSecure) || !w.unsettled(slot) {
			return true
		}
		w.closeUpstream(l, w.conns.At(slot))
	}
	return false
}

// share is this shard's part of a limit that holds for all of them.
func (w *Worker) share(limit int) int { return (limit + w.shards - 1) / w.shards }

// reuse gives x the pooled connection in slot.
func (w *Worker) reuse(x *exchange, slot uint32) {
	l, c := &w.links[slot], w.conns.At(slot)
	w.listRemove(&w.endpoints[l.id].pooled, slot)
	w.m.Down(metrics.UpstreamConnsIdle)
	w.serviceOf(l).Taken()
	w.m.Inc(metrics.UpstreamReuses)
	l.state, l.taken = stateBusy, w.turn
	l.set(flagReused)
	x.set(exReused)
	w.join(x, l, c)
	w.wheel.Set(slot, w.sh.Now()+int64(w.snapshot(x).Timeouts.FirstByte))
	w.pump(l, c)
	if !c.RecvArmed() {
		w.rearm(l, c)
	}
}

// connect opens a connection for x.
func (w *Worker) connect(x *exchange, e *endpoint, id uint32) {
	l, c := w.openUpstream(e, id, w.snapshot(x).Services[x.service].Series)
	if l == nil {
		w.refuse(x, 503, metrics.LimitConns)
		return
	}
	x.clear(exReused)
	w.join(x, l, c)
	w.wheel.Set(c.Slot, w.sh.Now()+int64(w.snapshot(x).Timeouts.Connect))
	w.be.Connect(c, &e.addr)
}

// openUpstream takes a slot for a connection to e, which is to be connected; nil when there is none.
func (w *Worker) openUpstream(e *endpoint, id uint32, series metrics.Series) (*link, *engine.Conn) {
	c := w.conns.Alloc()
	if c == nil {
		return nil, nil
	}
	l := &w.links[c.Slot]
	*l = link{kind: kindUpstream, state: stateConnecting, id: id, series: series}
	e.open++
	w.serviceOf(l).Opened()
	w.m.Inc(metrics.UpstreamConnects)
	w.m.Up(metrics.UpstreamConnsOpen)
	return l, c
}

// join makes l the connection of x, and moves the request over to it.
func (w *Worker) join(x *exchange, l *link, c *engine.Conn) {
	l.ex = w.links[x.client-1].ex
	x.upstream = c.Slot + 1
	x.forwarded, x.sent = w.sh.Now(), 0
	l.out, x.pending = x.pending, queue{}
}

// part ends the ties between x and its connection, which must not be closed yet: it may go on to the pool.
func (w *Worker) part(x *exchange) (*link, *engine.Conn) {
	slot := x.upstream - 1
	l := &w.links[slot]
	x.upstream, l.ex = 0, 0
	return l, w.conns.At(slot)
}

// abandonUpstream ends what x has with its upstream: its place in a line, its connection, what was to be sent on it.
func (w *Worker) abandonUpstream(x *exchange) {
	if x.has(exWaiting) {
		e, _ := w.endpointOf(x)
		w.leaveLine(x, e)
	}
	if x.upstream != 0 {
		w.closeUpstream(w.part(x))
	}
	w.discard(&x.pending)
}

// connected continues when a connection is open, or could not be opened.
func (w *Worker) connected(l *link, c *engine.Conn, res int32) {
	if l.state != stateConnecting { // closed by an event that came before this one in the same batch
		return
	}
	if res == -eMFILE || res == -eNFILE {
		w.closePooled()
	}
	if l.tunnel != 0 {
		w.tunnelConnected(l, c, res)
		return
	}
	x := w.exs.At(l.ex)
	if res < 0 {
		x.errno = -res
		w.connectFailed(x, metrics.UpstreamConnect)
		return
	}
	w.m.Observe(metrics.ConnectTime, w.sh.Now()-x.forwarded)
	if tls := w.snapshot(x).Services[x.service].Endpoints[x.target].TLS; tls != nil {
		w.dial(l, c, tls)
		return
	}
	w.begin(x, l, c)
}

// begin sends the request on a connection that is open.
func (w *Worker) begin(x *exchange, l *link, c *engine.Conn) {
	l.state = stateBusy
	w.wheel.Set(c.Slot, w.sh.Now()+int64(w.snapshot(x).Timeouts.FirstByte))
	w.pump(l, c)
	if client := x.client - 1; !x.up.done {
		w.rearmUnlessGone(&w.links[client], w.conns.At(client))
	}
	w.rearmUnlessGone(l, c)
}

// triesMax is how many endpoints are tried for one request when connections cannot be opened.
const triesMax = 3

// noConnection goes on without the connection l, on which nothing has been sent of what it was for.
func (w *Worker) noConnection(l *link, why metrics.Reason) {
	if l.tunnel != 0 {
		w.tunnelConnectFailed(w.tunnels.At(l.tunnel), why)
		return
	}
	w.connectFailed(w.exs.At(l.ex), why)
}

// connectFailed tries the next endpoint: nothing has been sent yet, so any request may go elsewhere.
func (w *Worker) connectFailed(x *exchange, why metrics.Reason) {
	l, c := w.part(x)
	w.serviceOf(l).Failed()
	x.pending, l.out = l.out, queue{}
	w.closeUpstream(l, c)
	svc := &w.snapshot(x).Services[x.service]
	if n := len(svc.Endpoints); int(x.tries)+1 < min(triesMax, n) {
		x.tries++
		w.countRetry(svc)
		x.forgive()
		x.target = w.nextTarget(svc, &w.links[x.client-1].addr, x.target, x.tries)
		w.assign(x, false)
		return
	}
	status := 502
	if why == metrics.TimeoutConnect {
		status = 504
	}
	w.refuse(x, status, why)
}

// upstreamFailed handles the loss of a connection before the response's head was complete. A pooled connection that was
// closed just as we took it says nothing about the request, which is sent once more on a fresh one if that is safe.
func (w *Worker) upstreamFailed(x *exchange, status int, why metrics.Reason) {
	stale := x.has(exReused) && x.firstByte == 0 && x.has(exReplayable) && !x.has(exRetried)
	if !stale || why == metrics.TimeoutResponseHead {
		w.refuse(x, status, why)
		return
	}
	w.closeUpstream(w.part(x))
	x.set(exRetried)
	w.countRetry(&w.snapshot(x).Services[x.service])
	x.forgive()
	w.mem.Hold(x.head.buf)
	if !w.push(&x.pending, x.replay, x.head.buf) {
		w.abort(x, metrics.LimitBuffers)
		return
	}
	w.assign(x, true)
}

// upstreamEnded handles the end of an upstream's stream: errno 0 for an orderly one.
func (w *Worker) upstreamEnded(l *link, c *engine.Conn, errno int32) {
	l.set(flagEOF)
	if l.state != stateBusy {
		w.closeUpstream(l, c)
		return
	}
	x := w.exs.At(l.ex)
	x.errno = errno
	switch {
	case !x.has(exAnswered):
		w.upstreamFailed(x, 502, metrics.UpstreamHead)
	case errno == 0 && x.down.framing == framingClose:
		x.down.done = true
		w.responseReceived(x)
	default:
		w.abort(x, metrics.UpstreamBody)
	}
}

// release returns a connection whose response has been received completely: to the next who waits, to the pool, or it
// is closed.
func (w *Worker) release(l *link, c *engine.Conn, reusable bool) {
	e := &w.endpoints[l.id]
	snap := w.sh.Snapshot()
	// What a relayed connection may still withhold of a complete request is no obstacle: the next one follows it.
	if !reusable || !e.live || w.draining || e.pooled.len >= w.share(snap.Limits.UpstreamPool) ||
		l.has(flagEOF|flagSpoiled|flagSending) || !l.in.empty() || !l.out.empty() ||
		l.has(flagSecure) && w.unsettled(c.Slot) {
		w.closeUpstream(l, c)
		return
	}
	w.unstarve(l, c)
	l.state = statePooled
	w.listPush(&e.pooled, c.Slot)
	w.m.Up(metrics.UpstreamConnsIdle)
	w.serviceOf(l).Pooled()
	w.unused(l, c.Slot, snap.Timeouts.UpstreamIdle)
	w.rearm(l, c)
	w.serveLine(e)
}

// closeUpstream ends a connection to an upstream in order.
func (w *Worker) closeUpstream(l *link, c *engine.Conn) { w.endUpstream(l, c, false) }

// endUpstream ends a connection to an upstream, in order or by a reset.
func (w *Worker) endUpstream(l *link, c *engine.Conn, reset bool) {
	if l.closing() {
		return
	}
	e := &w.endpoints[l.id]
	if l.state == statePooled {
		w.listRemove(&e.pooled, c.Slot)
		w.m.Down(metrics.UpstreamConnsIdle)
		w.serviceOf(l).Taken()
		w.m.Inc(metrics.UpstreamIdleClosed)
	}
	e.open--
	w.m.Down(metrics.UpstreamConnsOpen)
	w.serviceOf(l).Closed()
	w.closeLink(l, c, reset)
	w.serveLine(e)
}

// closePooled closes one idle connection of any endpoint, to free its descriptor.
func (w *Worker) closePooled() {
	for i := range w.endpoints {
		if slot := w.endpoints[i].pooled.last; slot != 0 {
			w.closeUpstream(&w.links[slot-1], w.conns.At(slot-1))
			return
		}
	}
}

// wait puts x at the end of its endpoint's line.
func (w *Worker) wait(x *exchange, e *endpoint) {
	i := w.links[x.client-1].ex
	x.set(exWaiting)
	x.forwarded, x.next = w.sh.Now(), 0
	if e.last != 0 {
		w.exs.At(e.last).next = i
	} else {
		e.first = i
	}
	e.last = i
	w.wheel.Set(x.client-1, w.sh.Now()+int64(w.snapshot(x).Timeouts.Connect))
}

// serveLine gives the first in line a connection, if there may be one now.
func (w *Worker) serveLine(e *endpoint) {
	if e.first == 0 {
		return
	}
	x := w.exs.At(e.first)
	if e.pooled.first == 0 && e.open >= w.share(w.snapshot(x).Limits.UpstreamConns) {
		return
	}
	w.leaveLine(x, e)
	w.assign(x, false)
	if x.upstream != 0 && !x.up.done { // what came of its body meanwhile is waiting, and no more was asked for
		w.proceed(&w.links[x.client-1], w.conns.At(x.client-1))
	}
}

// leaveLine takes x out of the line. The line is short where it matters, so it is simply walked.
func (w *Worker) leaveLine(x *exchange, e *endpoint) {
	i := w.links[x.client-1].ex
	x.clear(exWaiting)
	if e.first == i {
		e.first = x.next
		if e.last == i {
			e.last = 0
		}
		return
	}
	for at := e.first; at != 0; at = w.exs.At(at).next {
		if before := w.exs.At(at); before.next == i {
			before.next = x.next
			if e.last == i {
				e.last = at
			}
			return
		}
	}
}
