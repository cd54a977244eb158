package proxy

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/shard"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// simConfig is what a simRig is made of.
type simConfig struct {
	seed      uint64
	faults    sim.Faults
	memory    mem.Sizes
	slots     int
	endpoints []string
	edit      func(*plan.Snapshot)
	pool      *handshake.Pool // nil: there are no handshakes
}

// simRig is one worker on virtual sockets, turned by hand: everything happens on the test's goroutine, in virtual time.
// Whoever is at the other end of a socket acts after each turn, and when it has asked the world to be called.
type simRig struct {
	t       testing.TB
	world   *sim.World
	sh      *shard.Shard
	w       *Worker
	metrics *metrics.Set
	shared  *Shared
	rings   *accesslog.Rings
	snap    *plan.Snapshot
	actors  []func()
	turned  func()       // after each turn of the shard; may be nil
	sockets map[int]int  // by listener ID
	letGo   map[int]bool // descriptors that the worker has let go of
	turns   int
	sends   int          // calls of SendDatagrams
	lines   uint64       // of the access log
	logged  func([]byte) // gets them; may be nil
	drained bool
	late    bool // the whole thing has taken longer than any timeout explains
	worked  int64
	cost    struct{ reading, call int64 } // of the clock, of Send and Connect: so much time passes at each
}

// simCalls is the backend, whose calls may take time.
type simCalls struct {
	engine.Backend
	r *simRig
}

func (b simCalls) Send(c *engine.Conn, spans []mem.Span, more bool) {
	b.r.worked += b.r.cost.call
	b.Backend.Send(c, spans, more)
}

func (b simCalls) SendDatagrams(c *engine.Conn, in []engine.Datagram) int {
	b.r.sends++
	return b.Backend.SendDatagrams(c, in)
}

func (b simCalls) Connect(c *engine.Conn, to *engine.Addr) {
	b.r.worked += b.r.cost.call
	b.Backend.Connect(c, to)
}

// clock is the shard's: the world's time, and what work took.
func (r *simRig) clock() int64 {
	r.worked += r.cost.reading
	return r.world.Now() + 1 + r.worked
}

var simListener = netip.MustParseAddrPort("127.0.0.1:80")

func newSimRig(t testing.TB, cfg simConfig) *simRig {
	t.Helper()
	r := &simRig{t: t, world: sim.NewWorld(cfg.seed, cfg.faults), metrics: metrics.NewSet(1), letGo: map[int]bool{}}
	r.shared = NewShared(1 << 20)
	if cfg.memory == (mem.Sizes{}) {
		cfg.memory = mem.Sizes{Small: 512, Bulk: 16, Head: 8, Record: 8, BulkBytes: 32 << 10, Pipes: 4}
	}
	if cfg.slots == 0 {
		cfg.slots = 128
	}
	r.snap = snapshotFor(t, simListener, cfg.endpoints...)
	if cfg.edit != nil {
		cfg.edit(r.snap)
	}
	var err error
	r.sh, err = shard.New(shard.Config{
		CPU: -1, Backend: simCalls{sim.New(r.world), r}, Slots: cfg.slots, Memory: cfg.memory,
		Clock: r.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.rings, err = accesslog.NewRings(1, accesslog.MinRing, accesslog.Combined); err != nil {
		t.Fatal(err)
	}
	r.sockets = map[int]int{0: r.world.Listen(engine.IPAddr(simListener))}
	for i := range r.snap.Listeners {
		if l := &r.snap.Listeners[i]; l.Protocol == plan.UDP {
			r.sockets[i] = r.world.BindUDP(l.Addr)
		}
	}
	err = r.sh.Open(r.snap, func(s *shard.Shard) (shard.Handler, error) {
		made := Config{
			Shared: r.shared, Sockets: r, Metrics: r.metrics.Shard(0), Log: r.rings.Ring(0),
			Seed: [4]uint64{cfg.seed, 2, 3, 4},
		}
		if cfg.pool != nil {
			if made.Port, err = cfg.pool.Port(s.Backend.Wake); err != nil {
				return nil, err
			}
		}
		w, err := New(s, made)
		r.w = w
		return w, err
	})
	if err != nil {
		t.Fatal(err)
	}
	r.world.After(int64(time.Hour), func() { r.late = true; r.sh.Backend.Wake() })
	return r
}

// Take implements Sockets.
func (r *simRig) Take(listener int) int {
	if fd, ok := r.sockets[listener]; ok {
		return fd
	}
	return -1
}

// LetGo implements Sockets.
func (r *simRig) LetGo(_, fd int) { r.letGo[fd] = true }

// turn is one turn of the shard, after which its state is checked and everybody outside acts.
func (r *simRig) turn() {
	r.t.Helper()
	if err := r.sh.Turn(); err != nil {
		r.t.Fatal(err)
	}
	r.turns++
	r.readLog()
	if r.turned != nil {
		r.turned()
	}
	if fault := r.w.inconsistency(); fault != "" {
		r.t.Fatalf("at %v: %s", r.now(), fault)
	}
	for i := 0; i < len(r.actors); i++ {
		r.actors[i]()
	}
}

// until turns until done. Neither time nor the number of turns is without bounds.
func (r *simRig) until(what string, done func() bool) {
	r.t.Helper()
	for !done() {
		if r.late || r.turns > 300_000 {
			r.t.Fatalf("%s does not come: %v, %d turns, %+v", what, r.now(), r.turns, r.w.Gauges())
		}
		r.turn()
	}
}

// now is the virtual time since the beginning.
func (r *simRig) now() time.Duration { return time.Duration(r.world.Now()) }

// pass lets time pass.
func (r *simRig) pass(d time.Duration) {
	r.t.Helper()
	over := false
	r.world.After(int64(d), func() { over = true; r.sh.Backend.Wake() })
	r.until(fmt.Sprint("the end of ", d), func() bool { return over })
}

func (r *simRig) readLog() {
	first, second := r.rings.Ring(0).Pending()
	for _, p := range [][]byte{first, second} {
		if r.logged != nil {
			r.logged(p)
		}
		for _, b := range p {
			if b == '\n' {
				r.lines++
			}
		}
	}
	r.rings.Ring(0).Consume(len(first) + len(second))
}

// publish makes an edited copy of the snapshot current.
func (r *simRig) publish(edit func(*plan.Snapshot)) {
	next := *r.snap
	edit(&next)
	next.Generation++
	r.snap = &next
	r.sh.Publish(r.snap)
}

func (r *simRig) drain() { r.sh.Post(func() { r.w.Drain(func() { r.drained = true }) }) }

// stop drains, and asserts that nothing is left behind.
func (r *simRig) stop() {
	r.t.Helper()
	if !r.w.draining {
		r.drain()
	}
	if r.snap.Timeouts.ResponseIdle == 0 { // there may be a response that never ends
		r.world.After(int64(10*time.Minute), func() { r.sh.Post(func() { r.w.Abandon() }) })
	}
	r.until("the end of the drain", func() bool { return r.drained })
	r.sh.Backend.Shutdown()
	if fault := r.leftovers(); fault != "" {
		r.t.Fatal(fault)
	}
	r.close()
}

// close gives the memory back.
func (r *simRig) close() {
	for _, err := range []error{
		r.w.chunks.Close(), r.w.exs.Close(), r.w.tunnels.Close(), r.w.udp.all.Close(),
		r.sh.Conns.Close(), r.sh.Mem.Close(), r.rings.Close(),
	} {
		if err != nil {
			r.t.Error(err)
		}
	}
}

// leftovers says what is still held or counted wrongly when all is over.
func (r *simRig) leftovers() string {
	w, m := r.w, r.metrics.Snapshot()
	if g := w.Gauges(); g != (Gauges{}) {
		return fmt.Sprintf("left behind: %+v", g)
	}
	if n := r.sh.Snapshots(); n != 1 {
		return fmt.Sprintf("%d snapshots are still in use", n)
	}
	if n := r.shared.clients.Load(); n != 0 || w.clients != 0 {
		return fmt.Sprintf("%d clients are counted by all, %d by the worker", n, w.clients)
	}
	if n := r.shared.associations.Load(); n != 0 {
		return fmt.Sprintf("%d associations are counted by all", n)
	}
	for id := range uint32(len(r.snap.Streams)) {
		if n := r.shared.gates.of(id).open.Load(); n != 0 {
			return fmt.Sprintf("stream %d has %d connections", id, n)
		}
	}
	for _, counts := range []*addressCounts{&r.shared.perIP, &r.shared.associationsPerIP} {
		for i := range counts.words {
			if v := counts.words[i].Load(); v != 0 {
				return fmt.Sprintf("an address has %d connections", v&countMask)
			}
		}
	}
	for _, g := range []metrics.Gauge{
		metrics.ConnsActive, metrics.ExchangesActive, metrics.UpstreamConnsOpen, metrics.UpstreamConnsIdle,
		metrics.TLSConnsOpen, metrics.TLSHellosAwaited, metrics.HandshakesRunning, metrics.HandshakesWaiting,
	} {
		if n := m.Gauge(g); n != 0 {
			return fmt.Sprintf("%v: %d", g, n)
		}
	}
	ended := uint64(0)
	for c := metrics.ConnsClosedPeer; c <= metrics.ConnsClosedError; c++ {
		ended += m.Counter(c)
	}
	if n := m.Counter(metrics.ConnsAccepted); n != ended {
		return fmt.Sprintf("%d connections accepted, %d ended", n, ended)
	}
	n := m.Requests()
	for _, p := range []metrics.Passage{metrics.Streams, metrics.Upgrades, metrics.Sessions} {
		n += m.PassagesBegan(p)
	}
	for _, why := range []metrics.Reason{ // of clients of whom nothing became
		metrics.NoProxyHeader, metrics.BadProxyHeader, metrics.TimeoutProxyHeader, metrics.BadHello,
		metrics.TimeoutDetect, metrics.NoRoute,
	} {
		n += m.Refused(why)
	}
	if n != r.lines {
		return fmt.Sprintf("%d exchanges, streams, sessions and refusals counted, %d logged", n, r.lines)
	}
	return r.seriesFault(m)
}

// seriesFault says where the series, of which there is one of each kind, differ from what was counted in all.
func (r *simRig) seriesFault(m *metrics.Snapshot) string {
	var sum [metrics.SeriesKinds]metrics.SeriesValues
	for k := range metrics.SeriesKinds {
		for _, v := range r.metrics.Series(k) {
			sum[k] = v
		}
	}
	web, svc, routes := &sum[metrics.ListenerSeries], &sum[metrics.ServiceSeries], &sum[metrics.RouteSeries]
	switch {
	case web.Open != 0 || web.Opened != m.Counter(metrics.ConnsAccepted) || web.Total() != m.Requests():
	case web.Received > m.Counter(metrics.BytesFromClients) || web.Sent > m.Counter(metrics.BytesToClients):
	case svc.Open != 0 || svc.Idle != 0 || svc.Opened != m.Counter(metrics.UpstreamConnects):
	case svc.Retried != m.Counter(metrics.Retries) || svc.Total() != routes.Total() || svc.Total() > web.Total():
	case web.Total() != web.Duration.Count() || svc.Received > web.Received || svc.Sent > web.Sent:
	default:
		return ""
	}
	return fmt.Sprintf("listener %+v, service %+v, route %+v, while %v", web, svc, routes, m)
}

// inconsistency says what is wrong with the worker's state between two turns.
func (w *Worker) inconsistency() string {
	open, clients, starved := make([]int, len(w.endpoints)), 0, 0
	through := make([]int, len(w.listeners))
	for slot := range w.links {
		l := &w.links[slot]
		if l.kind == kindNone {
			continue
		}
		if fault := w.linkFault(uint32(slot), l); fault != "" {
			return fmt.Sprintf("slot %d, kind %d, state %d, flags %#x: %s", slot, l.kind, l.state, l.flags, fault)
		}
		if l.has(flagStarved) {
			starved++
		}
		if l.closing() {
			continue
		}
		switch l.kind {
		case kindClient:
			clients++
			through[l.from]++
		case kindUpstream:
			open[l.id]++
		}
	}
	if clients != w.clients {
		return fmt.Sprintf("%d clients, %d counted", clients, w.clients)
	}
	for i := range w.listeners {
		ln := &w.listeners[i]
		if ln.clients != through[i] || !ln.pinned && (ln.fd >= 0 || ln.clients > 0) {
			return fmt.Sprintf("listener %d is %+v, with %d connections", i, *ln, through[i])
		}
	}
	if fault := w.associationsFault(); fault != "" {
		return fault
	}
	if starved != w.starved.len {
		return fmt.Sprintf("%d links wait for buffers, the list has %d", starved, w.starved.len)
	}
	for _, s := range w.sh.Snapshot().Services {
		for i := range s.Endpoints {
			if e := &w.endpoints[s.Endpoints[i].ID]; !e.live || e.addr != addressOf(&s.Endpoints[i]) {
				return fmt.Sprintf("endpoint %d is %+v, not %+v", s.Endpoints[i].ID, *e, s.Endpoints[i])
			}
		}
	}
	for i := range w.endpoints {
		e := &w.endpoints[i]
		if open[i] != e.open {
			return fmt.Sprintf("endpoint %d has %d connections, %d counted", i, open[i], e.open)
		}
		n := 0
		for at := e.pooled.first; at != 0; at = w.links[at-1].next {
			if l := &w.links[at-1]; l.kind != kindUpstream || l.state != statePooled || n > e.pooled.len {
				return fmt.Sprintf("endpoint %d pools slot %d of kind %d in state %d", i, at-1, l.kind, l.state)
			}
			n++
		}
		if n != e.pooled.len {
			return fmt.Sprintf("endpoint %d pools %d connections, %d counted", i, n, e.pooled.len)
		}
		for at := e.first; at != 0; at = w.exs.At(at).next {
			if !w.exs.At(at).has(exWaiting) {
				return fmt.Sprintf("exchange %d stands in line but does not wait", at)
			}
		}
	}
	return ""
}

// linkFault says what is wrong with one link.
func (w *Worker) linkFault(slot uint32, l *link) string {
	if l.in.bytes > 2*windowBytes || l.out.bytes > 2*windowBytes {
		return fmt.Sprintf("%d bytes are queued inwards, %d outwards", l.in.bytes, l.out.bytes)
	}
	if l.state == stateClosing {
		if l.ex != 0 || l.has(flagStarved) || w.wheel.Deadline(slot) != 0 {
			return "is closing, and is not left alone"
		}
		return ""
	}
	if l.state == stateDatagrams {
		if l.kind == kindAssociation && w.wheel.Deadline(slot) == 0 {
			return "has no deadline"
		}
		return ""
	}
	var x *exchange
	if l.ex != 0 {
		x = w.exs.At(l.ex)
	}
	running := l.state == stateBusy || l.state == stateHead || l.state == stateConnecting ||
		l.state == stateHandshake && l.kind == kindUpstream
	dialing := l.kind == kindUpstream && l.tunnel != 0 && l.state != stateTunnel
	if running != (x != nil || dialing) {
		return fmt.Sprintf("has exchange %d", l.ex)
	}
	switch {
	case l.state == stateTunnel && (l.kind == kindUpstream || w.wheel.Deadline(w.tunnels.At(l.tunnel).upstream-1) != 0):
		return "" // one of both ends has the deadline
	case x == nil:
	case l.kind == kindClient && x.client != slot+1:
		return fmt.Sprintf("its exchange has the client %d", int(x.client)-1)
	case l.kind == kindUpstream && x.upstream != slot+1:
		return fmt.Sprintf("its exchange has the upstream %d", int(x.upstream)-1)
	case l.kind == kindUpstream && x.has(exAnswered) && w.snapshot(x).Timeouts.ResponseIdle == 0:
		return ""
	}
	if w.wheel.Deadline(slot) == 0 {
		return "has no deadline"
	}
	return ""
}
