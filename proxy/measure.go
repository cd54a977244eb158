package proxy

import (
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/record"
)

// measureStart records what does not change.
func (w *Worker) measureStart() {
	w.m.Set(metrics.SmallBuffers, int64(w.mem.Count(mem.Small)))
	w.m.Set(metrics.BulkBuffers, int64(w.mem.Count(mem.Bulk)))
	w.m.Set(metrics.HeadBuffers, int64(w.mem.Count(mem.Head)))
	w.m.Set(metrics.RecordBuffers, int64(w.mem.Count(mem.Record)))
}

// measureTurn records a turn at its end.
func (w *Worker) measureTurn() {
	w.m.Set(metrics.SmallBuffersUsed, int64(w.mem.InUse(mem.Small)))
	w.m.Set(metrics.BulkBuffersUsed, int64(w.mem.InUse(mem.Bulk)))
	w.m.Set(metrics.HeadBuffersUsed, int64(w.mem.InUse(mem.Head)))
	w.m.Set(metrics.RecordBuffersUsed, int64(w.mem.InUse(mem.Record)))
	w.m.Set(metrics.PipesUsed, int64(w.mem.InUse(mem.Pipe)))
	open, held := w.mem.Pipes()
	w.m.Set(metrics.Pipes, int64(open))
	w.m.Set(metrics.PipeBytes, held)
	if w.port != nil {
		waiting := w.port.Waiting()
		w.m.Set(metrics.HandshakesWaiting, int64(waiting))
		w.m.Set(metrics.HandshakesRunning, int64(max(0, w.shaking-waiting)))
	}
	w.m.Set(metrics.OldestGeneration, int64(w.sh.Oldest()))
	w.m.Set(metrics.SnapshotsInUse, int64(w.sh.Snapshots()))
	if w.turn%metrics.TurnSample == 1 { // the first is 1: 0 is what comes before any Poll
		w.m.Observe(metrics.TurnEvents, w.events)
		w.m.Observe(metrics.TurnTime, w.sh.Elapsed(w.sh.Now()))
	}
	w.events = 0
}

// beginOwn notes that we begin with data that l has received, if it may complete a head of the sample: the next
// request's, when that is due, or a response's to a request that is in it.
func (w *Worker) beginOwn(l *link) {
	due := false
	if l.kind == kindClient {
		due = (l.state == stateIdle || l.state == stateHead) && w.heads%metrics.RequestSample == 0
	} else if l.ex != 0 {
		x := w.exs.At(l.ex)
		due = x.own >= 0 && !x.has(exAnswered)
	}
	w.began, w.unsealing = 0, 0
	if due {
		w.began = w.sh.Read()
	}
}

// sample takes x, whose head has just been understood, into the sample if it is due.
func (w *Worker) sample(x *exchange) {
	w.heads++
	if w.began != 0 {
		x.own, x.since, x.records = 0, w.began, w.unsealing
	}
}

// timedOpen is openSome, timed for the requests of the sample.
func (w *Worker) timedOpen(l *link, s *secure) (opening, record.Result) {
	if w.began == 0 {
		return w.openSome(l, s)
	}
	began := w.sh.Read()
	state, r := w.openSome(l, s)
	took := w.sh.Elapsed(began)
	if l.ex != 0 {
		w.exs.At(l.ex).records += took
	} else {
		w.unsealing += took
	}
	return state, r
}

// timedSeal is sealOut, timed for the requests of the sample.
func (w *Worker) timedSeal(l *link, s *secure, b []byte) ([]byte, record.Refusal) {
	if l.ex == 0 || w.exs.At(l.ex).since == 0 {
		return w.sealOut(l, s, b)
	}
	x := w.exs.At(l.ex)
	began := w.sh.Read()
	b, refused := w.sealOut(l, s, b)
	x.records += w.sh.Elapsed(began)
	return b, refused
}

// handedOn adds to x's own time what has been done for it in this event: it is about to be handed to the backend, has
// to wait, or is over. What the backend does comes behind that: one makes the system call at once, the other later.
func (w *Worker) handedOn(x *exchange) {
	if x.since != 0 {
		x.own += w.sh.Elapsed(x.since)
		x.since = 0
	}
}

// measureSwap records that snap has been adopted.
func (w *Worker) measureSwap(snap *plan.Snapshot) {
	w.m.Set(metrics.Generation, int64(snap.Generation))
	if took := w.sh.SinceUpdate(); took >= 0 {
		w.m.Set(metrics.LastSwap, took)
		w.m.Observe(metrics.SwapTime, took)
	}
}

// countExchange records an exchange that has ended.
func (w *Worker) countExchange(x *exchange, l *link, t *times) {
	received, sent := w.taken(x.client - 1)
	sent = max(sent, x.txBefore) // what has not left may be longer, with all that records add, than what is new in it
	e := metrics.Exchange{
		Status: int(x.status), Reason: x.reason, Duration: t.total, Own: x.own, FirstByte: t.firstByte,
		Received: received - x.rxBefore, Sent: sent - x.txBefore,
	}
	snap := w.snapshot(x)
	e.Listener = snap.Listeners[l.from].Series
	if x.route >= 0 {
		e.Routed, e.Route, e.Service = true, snap.Routes[x.route].Series, snap.Services[x.service].Series
	}
	w.m.Served(&e)
	if x.own >= 0 && l.has(flagSecure) {
		w.m.Observe(metrics.RecordTime, x.records)
	}
}

// countRetry records that what was for svc is tried again.
func (w *Worker) countRetry(svc *plan.Service) {
	w.m.Inc(metrics.Retries)
	w.m.Of(metrics.ServiceSeries, svc.Series).Retried()
}

// listenerSeries is the series of the listener that l came through.
func (w *Worker) listenerSeries(l *link) metrics.Series {
	return w.listenerOf(l).Series
}

// serviceOf counts the connections of the service that opened l.
func (w *Worker) serviceOf(l *link) *metrics.Block { return w.m.Of(metrics.ServiceSeries, l.series) }

// Gauges are numbers for tests and for the log at the end: what is still held.
type Gauges struct {
	Links, Exchanges, Tunnels     int
	Associations                  int
	Chunks                        int
	Secure, RecordHeld            int // connections over TLS, and their buffers
	SmallHeld, BulkHeld, HeadHeld int // by queues and heads; what the backend keeps posted is not counted by Free
	PipesHeld                     int
}

// Gauges reads them. On the shard's thread.
func (w *Worker) Gauges() Gauges {
	return Gauges{
		Links: w.conns.Live(), Exchanges: w.exs.Used(), Tunnels: w.tunnels.Used(),
		Associations: w.udp.all.Used(),
		Chunks:       w.chunks.Used(), Secure: w.secured - len(w.spare),
		PipesHeld: w.mem.InUse(mem.Pipe),
		SmallHeld: w.mem.InUse(mem.Small), BulkHeld: w.mem.InUse(mem.Bulk), HeadHeld: w.mem.InUse(mem.Head),
		RecordHeld: w.mem.InUse(mem.Record),
	}
}
