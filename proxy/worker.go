// Package proxy is what a shard runs: the state machines that join a client's connection to an upstream's.
//
// The files stand in the order of a request's life: listener, accept, first (with first_header, first_bytes and
// first_log: what comes before it is clear what a connection is), session (the client's side), head, request, path,
// forwarded, upstream, balance, relay, response, reply, finish; link and exchange hold the state, timers says what
// happens when nothing does. Of connections over TLS, secure holds the state, hello and handshake come before the first
// request, facts is what requests are told of them, open and seal stand between the socket and the queues, farewell
// ends them, and relayed is all of this where crypto/tls keeps the records. tunnel, tunnel_header, tunnel_dial,
// tunnel_pass and tunnel_end pass connections on as they are, as far as gate lets them in, and upgrade makes a tunnel
// of an exchange; splice chooses how bytes are moved; mishap is what either notes of what fails. datagram moves what
// comes by UDP, and association joins it to its client and endpoint, found by assoctable.
//
// Invariants: everything is pointer-free state in slabs, found by slot or index; nothing is allocated, locked or
// looked up by name per event. An exchange pins the snapshot it started with. A link's queues are emptied only when the
// backend is done with the link (EvClosed), since a send in flight reads from them. Whatever is received is
// consumed from the link's queue `in`, and whatever is sent lies in the queue `out` of the link that it
// goes to.
//
// It imports shard, engine, plan, routing, routing/urlpath, proxy/h1, proxy/proxyproto, tls/alert, tls/hello,
// tls/handshake, tls/record, metrics and accesslog; only server imports it.
package proxy

import (
	"fmt"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/proxy/h1"
	"github.com/uringproxy/uringproxy/shard"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// Config is what one shard's worker needs beyond the shard.
type Config struct {
	Shared  *Shared
	Shards  int // how many workers share the limits
	Sockets Sockets
	Metrics *metrics.Shard
	Log     *accesslog.Ring // nil: no access log
	Seed    [4]uint64       // of the request ids
	// Port is where handshakes are done; nil where no snapshot has TLS.
	Port *handshake.Port
}

// Worker is one shard's proxy. It is the shard's Handler.
type Worker struct {
	sh     *shard.Shard
	be     engine.Backend
	mem    *mem.Arena
	conns  *engine.Table
	wheel  *shard.Wheel
	m      *metrics.Shard
	log    *accesslog.Ring
	port   *handshake.Port
	shared *Shared
	shards int

	links   []link    // by slot
	secure  []*secure // by slot: of connections over TLS
	spare   []*secure // to be used again
	chunks  *mem.Slab[chunk]
	exs     *mem.Slab[exchange]
	tunnels *mem.Slab[tunnel]
	udp     *datagrams

	endpoints []endpoint // by the plan's endpoint ID
	turns     []uint32   // by the plan's service ID: position in its cycle
	adoptions uint64     // of snapshots
	shaking   int        // links over TLS whose handshake goes on, or waits in line
	secured   int        // how many states for TLS there are, used or spare
	starved   list       // links whose receive found no buffer

	pipesFailed uint64 // how many pipes could not be opened so far
	pipeless    int64  // until when none is asked for, because of that

	listeners []listener // by the plan's listener ID
	sockets   Sockets
	epoch     int64  // when the shard's clock began, see common
	lastCall  int64  // when the next listener that was removed ends for good; 0: none is about to
	turn      uint32 // counts turns
	events    int64  // of this turn
	heads     uint32 // counts requests whose head was understood
	unsealing int64  // of it, how long opening records has taken
	began     int64  // when the handling of the data at hand began, if it may belong to the sample; 0: it does not
	paused    pause
	resumeAt  int64
	clients   int // links of kindClient
	draining  bool
	finished  func() // called once when draining is over
	ids       idSource
	limits    h1.Limits // of the current snapshot, for both directions
	additions []byte    // scratch: header lines being put together
	question  question  // scratch: what a routing table is asked
	target    []byte    // scratch: a request's target in normal form
	spans     [engine.SendSpansMax]mem.Span
	pieces    [sealPieces][]byte
	listening *listening // scratch: a ClientHello
	host      [256]byte  // scratch: a host in lower case
	date      httpDate
	record    accesslog.Record
}

// New makes the worker of sh, on its thread. chunks and exchanges are reserved for every slot.
func New(sh *shard.Shard, cfg Config) (*Worker, error) {
	slots := sh.Conns.Len()
	chunks, err := mem.NewSlab[chunk](4 * (sh.Mem.Count(mem.Small) + sh.Mem.Count(mem.Bulk) + sh.Mem.Count(mem.Head) +
		sh.Mem.Count(mem.Record)))
	if err != nil {
		return nil, fmt.Errorf("reserve queues: %w", err)
	}
	exs, err := mem.NewSlab[exchange](slots)
	if err != nil {
		return nil, fmt.Errorf("reserve exchanges: %w", err)
	}
	tunnels, err := mem.NewSlab[tunnel](slots / 2)
	if err != nil {
		return nil, fmt.Errorf("reserve tunnels: %w", err)
	}
	associations, err := newAssocTable(slots)
	if err != nil {
		return nil, fmt.Errorf("reserve associations: %w", err)
	}
	w := &Worker{
		sh: sh, be: sh.Backend, mem: sh.Mem, conns: sh.Conns, wheel: sh.Wheel, m: cfg.Metrics, log: cfg.Log,
		shared: cfg.Shared, shards: max(1, cfg.Shards), links: make([]link, slots), chunks: chunks, exs: exs,
		tunnels: tunnels, udp: &datagrams{assocTable: associations}, port: cfg.Port, listening: &listening{},
		secure:  make([]*secure, slots),
		sockets: cfg.Sockets, ids: newIDSource(cfg.Seed), additions: make([]byte, 0, 8192),
		target: make([]byte, 0, h1.MaxHead), paused: pauseStart, epoch: sh.Wall() - sh.Now(),
	}
	w.measureStart()
	return w, nil
}

// Event handles one thing that happened to a connection.
func (w *Worker) Event(ev *engine.Event) {
	w.events++
	if ev.Kind == engine.EvAccept {
		w.accepted(ev)
		return
	}
	c := w.conns.At(ev.Slot)
	if c.Gen != ev.Gen { // the slot has a new owner; the backend never lets this happen, see engine rule 6
		if ev.Kind == engine.EvRecv && ev.Res > 0 {
			w.mem.Drop(ev.Buf)
		}
		return
	}
	l := &w.links[ev.Slot]
	switch ev.Kind {
	case engine.EvRecv:
		if ev.Flags&engine.FlagMore == 0 {
			l.clear(flagReceiving)
		}
		w.received(l, c, ev)
	case engine.EvSent:
		w.sentEvent(l, c, ev.Res)
	case engine.EvConnected:
		w.connected(l, c, ev.Res)
	case engine.EvClosed:
		w.closed(l, c)
	case engine.EvReadable:
		w.readable(l, c)
	}
}

// received takes what a receive brought into the link's queue and has it consumed.
func (w *Worker) received(l *link, c *engine.Conn, ev *engine.Event) {
	if ev.Res > 0 {
		w.beginOwn(l)
		n := uint64(ev.Res)
		l.rx += n
		l.weigh(uint32(ev.Res))
		if l.kind == kindClient {
			w.m.Add(metrics.BytesFromClients, n)
		} else {
			w.m.Add(metrics.BytesFromUpstreams, n)
		}
		if l.tunnel != 0 {
			w.countPath(ev.Buf.Class(), n)
		}
		switch {
		case l.has(flagSecure):
			w.receivedSecure(l, c, ev)
		case !w.push(&l.in, ev.Data(), ev.Buf):
			w.outOfMemory(l, c)
			return
		default:
			w.use(l, c)
		}
	} else {
		w.inputEnded(l, c, -ev.Res)
	}
	w.rearmUnlessGone(l, c)
}

// use has what is in the queue in consumed.
func (w *Worker) use(l *link, c *engine.Conn) {
	switch {
	case l.tunnel != 0:
		w.pass(l)
	case l.kind == kindClient:
		w.consumeClient(l, c)
	default:
		w.consumeUpstream(l, c)
	}
}

// rearmUnlessGone is rearm for a link of which nobody knows what has become.
func (w *Worker) rearmUnlessGone(l *link, c *engine.Conn) {
	if !l.closing() && l.kind != kindNone {
		w.rearm(l, c)
	}
}

// inputEnded handles the end of a receive without data: the peer's end of stream (errno 0) or an error.
func (w *Worker) inputEnded(l *link, c *engine.Conn, errno int32) {
	switch {
	case l.closing() || errno == eCANCELED:
	case errno == eNOBUFS && l.state == statePooled:
		w.closeUpstream(l, c)
	case errno == eNOBUFS && l.has(flagPiped):
		w.noPipe()
	case errno == eNOBUFS:
		l.rxSince = 0 // it is not the peer that is late
		w.starve(l, c)
	case l.has(flagSecure):
		w.socketEnded(l, c, errno)
	default:
		w.streamEnded(l, c, errno)
	}
}

// rearm arms the receive that the link's state asks for, if none is armed. Not arming it is our back-pressure.
func (w *Worker) rearm(l *link, c *engine.Conn) {
	if l.has(flagSecure) && !w.resumed(l, c) {
		if l.has(flagHeld) && l.has(flagStreamed) && !l.closing() {
			w.be.RecvCancel(c)
		}
		return
	}
	if l.has(flagReceiving) { // what the backend says is ahead of what has been handled
		if l.has(flagStreamed) && !w.wantsStream(l) {
			w.be.RecvCancel(c)
		}
		return
	}
	if l.has(flagStarved) || l.has(flagEOF) {
		return
	}
	if w.wantsStream(l) {
		w.receiveStream(l, c)
		return
	}
	if !w.wantsPiece(l) {
		l.rxSince = 0 // it is we who keep the peer waiting
		return
	}
	if l.rxSince == 0 {
		l.rxSince, l.rxMark = w.sh.Now(), l.rx
	}
	w.receivePiece(l, c)
}

// wantsStream: whatever comes is welcome and small. That is so while a head is awaited, and while nothing should come.
func (w *Worker) wantsStream(l *link) bool {
	switch l.state {
	case stateIdle, stateHead, stateLinger, stateHello, stateHandshake, stateHeader, stateDetect:
		return true
	case statePooled:
		return !w.endpoints[l.id].large()
	case stateBusy:
		x := w.exs.At(l.ex)
		if l.kind == kindClient {
			return x.up.done && l.in.empty()
		}
		return !x.has(exAnswered) && !w.endpoints[l.id].large()
	case stateTunnel:
		return l.volume == volumeSmall && w.tunnelHasRoom(l)
	}
	return false
}

// A direction whose queue holds this much is no longer read from. Neither is one that holds more than its share of the
// buffers that are free beyond a reserve: those who do not read keep what they have got, however long, so that
// something must be left for everybody else's heads and for one piece of each body.
const (
	windowBytes  = 256 << 10
	windowPieces = 2 * windowBytes / mem.SmallBytes
	windowShare  = 16
	reservePart  = 4
)

// hasRoom reports whether more may be received for q. An empty queue has always room.
func (w *Worker) hasRoom(q *queue) bool {
	if q.empty() {
		return true
	}
	spare := w.mem.Free(mem.Small) - w.mem.Count(mem.Small)/reservePart
	return q.bytes < windowBytes && int(q.pieces) < min(windowPieces, spare/windowShare)
}

// wantsPiece: a body is under way, or about to begin, and there is room for the next piece of it.
func (w *Worker) wantsPiece(l *link) bool {
	if l.state == stateTunnel {
		return w.tunnelHasRoom(l)
	}
	if l.state != stateBusy {
		return l.state == statePooled
	}
	x := w.exs.At(l.ex)
	if l.kind == kindClient {
		if x.up.done || x.upstream == 0 || x.has(exBroken) {
			return false
		}
		return w.hasRoom(&w.links[x.upstream-1].out)
	}
	return !x.has(exAnswered) || !x.down.done && w.hasRoom(&w.links[x.client-1].out)
}

// bulkPieces is from how many pieces on a queue that stands gets no more large buffers: what comes in pieces that do
// not fill them must not take many for a reader who is slow.
const bulkPieces = 4

// recvMode picks the buffer for the next piece: a large one where the last receive was full or much is to come, and
// only while there are some.
func (w *Worker) recvMode(l *link) engine.RecvMode {
	if (l.volume > volumeSmall || w.muchToCome(l)) && w.mem.Free(mem.Bulk) > 0 && w.waiting(l) < bulkPieces {
		return engine.RecvBulk
	}
	return engine.RecvSmall
}

// waiting is how many pieces wait to be sent where what l receives goes to.
func (w *Worker) waiting(l *link) uint32 {
	if l.tunnel != 0 {
		if o, _ := w.across(l); o != nil {
			return o.out.pieces
		}
		return l.in.pieces
	}
	if l.ex == 0 {
		return 0
	}
	x := w.exs.At(l.ex)
	switch {
	case l.kind == kindUpstream:
		return w.links[x.client-1].out.pieces
	case x.upstream != 0:
		return w.links[x.upstream-1].out.pieces
	}
	return 0
}

func (w *Worker) muchToCome(l *link) bool {
	if l.ex == 0 {
		return l.state == statePooled // and not streaming since its endpoint's responses are large
	}
	x := w.exs.At(l.ex)
	f := &x.up
	if l.kind == kindUpstream {
		if !x.has(exAnswered) {
			return w.endpoints[l.id].large()
		}
		f = &x.down
	}
	return f.framing == framingLength && f.left > mem.SmallBytes
}

// outOfMemory ends a link for which there was not even a queue entry left.
func (w *Worker) outOfMemory(l *link, c *engine.Conn) {
	if l.tunnel != 0 {
		w.endTunnel(w.tunnels.At(l.tunnel), metrics.LimitBuffers)
		return
	}
	if l.kind == kindUpstream && l.ex == 0 {
		w.closeUpstream(l, c)
		return
	}
	if l.ex != 0 {
		w.abort(w.exs.At(l.ex), metrics.LimitBuffers)
		return
	}
	if l.untold() {
		w.m.Inc(metrics.ConnsClosedError)
	}
	w.closeClient(l, c, true)
}

// TurnEnd does what waits for the end of a turn: news of handshakes, receives that found no buffer, accepting again,
// the end of a drain.
func (w *Worker) TurnEnd() {
	w.flushReplies()
	w.hear()
	w.relieveStarved()
	if w.lastCall != 0 {
		w.endListeners()
	}
	if w.paused != pauseNone {
		w.resume()
	}
	if w.draining {
		w.drainedDatagrams()
	}
	if w.draining && w.conns.Live() == 0 && w.finished != nil {
		f := w.finished
		w.finished = nil
		f()
	}
	w.lookAgain()
	w.be.Expect(w.exs.Used())
	w.measureTurn()
	w.turn++
}

// retryAfter is how soon links that found no buffer are tried again, when no other event does it earlier.
const retryAfter = 10e6

// lookAgain sees to it that there will be a turn for what waits until others give something back: those others may be
// another shard's, or the backend, and make no event here.
func (w *Worker) lookAgain() {
	at := w.lastCall
	switch {
	case w.starved.last != 0:
		at = earlier(at, w.sh.Now()+retryAfter)
	case w.paused == pauseLimit || w.paused == pauseFull:
		at = earlier(at, w.sh.Now()+pauseFor)
	}
	if at != 0 {
		w.wheel.Set(w.ownTimer(), at)
	}
}

// earlier is the earlier of two times, of which the first may be 0: none.
func earlier(a, b int64) int64 {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// reserve is the number of small buffers to receive into below which starved links are served one a turn.
const reserve = 64

func (w *Worker) unstarve(l *link, c *engine.Conn) {
	if l.has(flagStarved) {
		l.clear(flagStarved)
		w.listRemove(&w.starved, c.Slot)
	}
}

// Adopt prepares for the snapshot that has become current.
func (w *Worker) Adopt() {
	snap := w.sh.Snapshot()
	w.limits = h1.Limits{
		LineBytes: snap.Limits.LineBytes, HeaderBytes: snap.Limits.HeaderBytes, Fields: snap.Limits.HeaderCount,
	}
	w.shared.gates.provide(snap.Streams)
	w.adoptEndpoints(snap)
	w.adoptListeners(snap)
	w.measureSwap(snap)
}
