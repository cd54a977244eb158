package proxy

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/internal/invariant"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/record"
)

// simRun is one seed's clients and upstreams around a worker.
type simRun struct {
	*simRig
	dice      *simDice
	calm      bool // nothing breaks: every request must be answered by an upstream
	number    int
	orders    map[int]*simOrder
	clients   []*simClient
	responses uint64 // complete final ones, as the clients count
	unasked   uint64 // requests whose connection ended with an earlier response
	scratch   []byte
	faults    []string
	keys      map[uint16]*record.Keys // by port, of clients over TLS that were not accepted yet; nil: plain
	port      uint16
}

func (run *simRun) fail(format string, args ...any) {
	run.faults = append(run.faults, fmt.Sprintf("at %v: %s", run.now(), fmt.Sprintf(format, args...)))
}

var simEndpoints = []string{"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"}

// newSimRun draws the conditions of a run.
func newSimRun(t testing.TB, seed uint64, script []byte) *simRun {
	d := &simDice{script: script, rng: rand.New(rand.NewPCG(seed, 1))}
	run := &simRun{dice: d, calm: d.percent(40), orders: map[int]*simOrder{}, scratch: make([]byte, 64<<10)}
	some := func(p float64) float64 { return p * float64(d.n(3)) / 2 }
	cfg := simConfig{seed: seed, endpoints: simEndpoints[:1+d.n(3)], faults: sim.Faults{
		ShortRead: some(0.5), ShortSend: some(0.5), Delay: some(0.5), NoBufs: some(0.1), CancelData: some(0.8),
		EndEarly: some(0.3),
	}}
	if !run.calm {
		cfg.faults.Reset, cfg.faults.Refuse, cfg.faults.NoFiles = some(0.005), some(0.3), some(0.2)
		if d.percent(30) {
			cfg.memory = mem.Sizes{
				Small: 4 + d.n(40), Bulk: 1 + d.n(4), Head: d.n(3), Record: 2 + d.n(3), BulkBytes: 16 << 10,
				Pipes: d.n(3),
			}
		}
		if d.percent(20) {
			cfg.slots = 2 + d.n(8)
		}
	}
	secure := d.percent(40)
	cfg.edit = func(snap *plan.Snapshot) {
		run.configure(snap)
		if secure {
			run.overTLS(snap)
		}
	}
	run.simRig = newSimRig(t, cfg)
	if secure {
		run.turned = run.agree
	}
	for i := range cfg.endpoints {
		at := addressOf(&run.snap.Services[0].Endpoints[i])
		switch {
		case run.calm || d.percent(85):
			run.world.Serve(at, run.serve)
		case d.percent(50):
			run.world.Silence(at)
		} // else nobody listens there
	}
	for range 1 + d.n(6) {
		run.newSimClient()
	}
	return run
}

// configure draws limits and timeouts.
func (run *simRun) configure(snap *plan.Snapshot) {
	d := run.dice
	snap.Timeouts = plan.Timeouts{
		Header: 10 * time.Second, Idle: 60 * time.Second, Connect: 5 * time.Second, FirstByte: 30 * time.Second,
		UpstreamIdle: 40 * time.Second, ResponseIdle: 20 * time.Second, BodyRateWindow: 10 * time.Second,
		Linger: 2 * time.Second, UpgradeIdle: 30 * time.Second,
	}
	snap.Routes = []plan.Route{{Name: "all", Upgrades: []string{"websocket"}, Connect: true}}
	snap.Limits.UpstreamConns = []int{0, 0, 1, 3}[d.n(4)]
	snap.Limits.UpstreamPool = []int{100, 100, 1, 0}[d.n(4)]
	if run.calm {
		snap.Limits.BodyRateBytes = 0
		long := 250 * time.Second // nobody is too slow
		snap.Timeouts = plan.Timeouts{
			Header: long, Idle: long, Connect: long, FirstByte: long, UpstreamIdle: long, ResponseIdle: long,
			BodyRateWindow: long, Linger: 2 * time.Second, UpgradeIdle: long,
		}
		return
	}
	if d.percent(10) {
		snap.Timeouts.ResponseIdle = 0
	}
	if d.percent(10) {
		snap.Limits.BodyBytes = 10_000
	}
	snap.Limits.RequestsPerConn = []int{0, 0, 0, 2}[d.n(4)]
	snap.Limits.Connections = []int{1000, 1000, 1, 3}[d.n(4)]
	snap.Limits.ConnectionsPerIP = []int{0, 0, 1, 4}[d.n(4)]
}

// reload publishes a change now and then: other endpoints, or the same again.
func (run *simRun) reload() {
	run.publish(func(next *plan.Snapshot) {
		svc := next.Services[0]
		svc.Endpoints = nil
		svc.Cycle = nil
		first := run.dice.n(len(simEndpoints))
		for i := range 1 + run.dice.n(2) {
			id := (first + i) % len(simEndpoints)
			old := snapshotFor(run.t, simListener, simEndpoints...).Services[0].Endpoints[id]
			svc.Endpoints = append(svc.Endpoints, old)
			svc.Cycle = append(svc.Cycle, uint16(i))
			if run.calm {
				run.world.Serve(addressOf(&old), run.serve)
			}
		}
		next.Services = []plan.Service{svc}
	})
}

// flap removes the listener, and brings it back a little or much later.
func (run *simRun) flap() {
	run.remove(0)
	run.world.After(1+int64(run.dice.n(250e6)), func() {
		run.sockets[0] = run.world.Listen(engine.IPAddr(simListener))
		run.bringBack(0)
	})
}

// over reports whether all clients are done.
func (run *simRun) over() bool {
	for _, c := range run.clients {
		if !c.over && len(run.faults) == 0 {
			return false
		}
	}
	return true
}

// after has f called when d nanoseconds have passed. When that ends the last client, the turn ends with it: nothing
// else may ever happen.
func (run *simRun) after(d int64, f func()) {
	run.world.After(d, func() {
		if f(); run.over() {
			run.sh.Backend.Wake()
		}
	})
}

// play runs until everybody is done, and drains.
func (run *simRun) play() {
	for range run.dice.n(4) {
		run.world.After(int64(run.dice.n(200e6)), run.reload)
	}
	if !run.calm && run.dice.percent(20) {
		run.world.After(int64(run.dice.n(200e6)), run.flap)
	}
	if !run.calm && run.dice.percent(20) {
		run.world.After(int64(run.dice.n(500e6)), run.drain)
		if run.dice.percent(50) {
			run.world.After(int64(600e6+run.dice.n(5e9)), func() { run.sh.Post(func() { run.w.Abandon() }) })
		}
	}
	run.until("the end of all clients", run.over)
	if len(run.faults) == 0 {
		run.stop()
		run.judge()
	}
	if len(run.faults) > 0 {
		run.t.Fatalf("%s; %v", run.faults[0], run.metrics.Snapshot())
	}
}

// judge compares what the clients saw with what was counted.
func (run *simRun) judge() {
	m := run.metrics.Snapshot()
	answered := m.Requests() - m.Counter(metrics.RequestsUnanswered)
	if run.responses > answered {
		run.fail("clients got %d responses, %d are counted", run.responses, answered)
	}
	if run.calm && run.responses+run.unasked != uint64(len(run.orders)) {
		run.fail("%d of %d requests were answered", run.responses, len(run.orders))
	}
}

// playSim plays a seed; a failure says how to play it again.
func playSim(t testing.TB, seed uint64, script []byte) {
	again := fmt.Sprintf("repeat it with: SIM_SEED=%d go test ./proxy -run TestProxyOnSim", seed)
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("seed %d: %v; %s\n%s", seed, p, again, debug.Stack())
		} else if t.Failed() {
			t.Logf("seed %d; %s", seed, again)
		}
	}()
	newSimRun(t, seed, script).play()
}

// simSeeds is how many seeds a run of the tests plays. Under the race detector each takes ten times as long, and the
// fuzz target plays as many again.
func simSeeds() uint64 {
	if invariant.Enabled {
		return 250
	}
	return 2000
}

func TestProxyOnSim(t *testing.T) {
	if s := os.Getenv("SIM_SEED"); s != "" {
		seed, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		playSim(t, seed, nil)
		return
	}
	for seed := range simSeeds() {
		if playSim(t, seed, nil); t.Failed() {
			return
		}
	}
}

func FuzzProxyOnSim(f *testing.F) {
	f.Add(uint64(1), []byte(nil))
	f.Add(uint64(2), []byte("some script"))
	f.Fuzz(func(t *testing.T, seed uint64, script []byte) { playSim(t, seed, script) })
}
