package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// correspondent is a UDP socket of a test, a client's or an endpoint's.
type correspondent interface {
	Addr() netip.AddrPort
	Send(to netip.AddrPort, data []byte)
	// Receive takes the next datagram that has come; data is nil when there is none.
	Receive() (from netip.AddrPort, data []byte)
	Close()
}

// datagramRig is one shard with a worker and a UDP listener with the ID 1, on real sockets or in the simulation, so
// that the same tests run on all of them.
type datagramRig struct {
	t       *testing.T
	at      netip.AddrPort // the listener's
	metrics *metrics.Set
	turn    func() // lets something happen
	post    func(func(*Worker))
	publish func(func(*plan.Snapshot))
	bind    func(netip.AddrPort) correspondent
	drained func() bool
	virtual bool
	sim     *simRig // nil: real sockets
	real    *rig
	servers []func()
	rings   *accesslog.Rings
	log     string
}

// datagramConfig is what a datagramRig is made of.
type datagramConfig struct {
	at        netip.Addr // the listener's; the zero value: 127.0.0.1
	endpoints []netip.AddrPort
	edit      func(*plan.Snapshot)
	faults    sim.Faults
	seed      uint64
	slots     int // of the simulation; 0: as usual
}

var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// onEachDatagrams runs f on every backend, with a rig of cfg's making that it can have when its endpoints are bound.
func onEachDatagrams(t *testing.T, f func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder)) {
	t.Run("sim", func(t *testing.T) {
		world := &laterWorld{}
		f(t, func(cfg datagramConfig) *datagramRig { return simDatagramRig(t, world, cfg) }, world.bind)
	})
	for name, be := range backends {
		t.Run(name, func(t *testing.T) {
			open := func(cfg datagramConfig) *datagramRig { return realDatagramRig(t, be(), cfg) }
			f(t, open, func(at netip.AddrPort) correspondent { return bindReal(t, at) })
		})
	}
}

// binder makes a socket at an address; with port 0 at any port.
type binder func(netip.AddrPort) correspondent

// endpoints are n sockets and their addresses.
func endpoints(bind binder, n int) (all []correspondent, addrs []netip.AddrPort) {
	for range n {
		c := bind(netip.AddrPortFrom(localhost, 0))
		all, addrs = append(all, c), append(addrs, c.Addr())
	}
	return all, addrs
}

// datagramPlan adds a UDP listener with a catch-all route to endpoints to a snapshot.
func datagramPlan(t testing.TB, s *plan.Snapshot, at netip.AddrPort, cfg *datagramConfig) {
	t.Helper()
	svc := plan.Service{Name: "far", ID: 1, Stream: true, Datagrams: true, ByClient: true}
	for i, addr := range cfg.endpoints {
		svc.Endpoints = append(svc.Endpoints, plan.Endpoint{
			ID: uint32(100 + i), Name: "udp://" + addr.String(), Addr: addr,
		})
		svc.Cycle = append(svc.Cycle, uint16(i))
	}
	s.Listeners = append(s.Listeners, plan.Listener{
		Name: "dns", Addr: at, Protocol: plan.UDP, Table: s.Listeners[0].Table, Streams: streamsFor(t, ""),
	})
	s.Services = append(s.Services, svc)
	s.Streams = []plan.Stream{{Name: "all", Service: int32(len(s.Services) - 1)}}
	s.Timeouts.SessionIdle = time.Minute
	s.Limits.Sessions = 1000
	if cfg.edit != nil {
		cfg.edit(s)
	}
}

// streamsFor is a table with one route, of that rule.
func streamsFor(t testing.TB, text string) *routing.Table {
	t.Helper()
	r := routing.Route{Name: "all"}
	if text != "" {
		expr, err := rule.ParseStream(text)
		if err != nil {
			t.Fatal(err)
		}
		r.Rule = expr
	}
	table, err := routing.CompileStreams([]routing.Route{r})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// laterWorld collects what is bound before there is a world.
type laterWorld struct {
	world *sim.World
	early []*laterSocket
	port  uint16
}

// laterSocket is a correspondent of a world that may have to be made yet.
type laterSocket struct {
	*sim.Correspondent
	at netip.AddrPort
}

func (s *laterSocket) Addr() netip.AddrPort { return s.at }

func (l *laterWorld) bind(at netip.AddrPort) correspondent {
	if at.Port() == 0 {
		l.port++
		at = netip.AddrPortFrom(at.Addr(), 2000+l.port)
	}
	s := &laterSocket{at: at}
	if l.world != nil {
		s.Correspondent = l.world.Correspond(at)
	} else {
		l.early = append(l.early, s)
	}
	return s
}

func simDatagramRig(t *testing.T, l *laterWorld, cfg datagramConfig) *datagramRig {
	t.Helper()
	if !cfg.at.IsValid() {
		cfg.at = localhost
	}
	d := &datagramRig{t: t, at: netip.AddrPortFrom(cfg.at, 53), virtual: true}
	r := newSimRig(t, simConfig{
		seed: cfg.seed, slots: cfg.slots, faults: cfg.faults, endpoints: simEndpoints[:1],
		edit: func(s *plan.Snapshot) { datagramPlan(t, s, d.at, &cfg) },
	})
	l.world = r.world
	for _, s := range l.early {
		s.Correspondent = r.world.Correspond(s.at)
	}
	l.early = nil
	d.sim, d.metrics, d.bind = r, r.metrics, l.bind
	d.publish = func(edit func(*plan.Snapshot)) { r.publish(edit); r.turn() }
	d.turn = r.turn
	d.post = func(f func(*Worker)) { r.sh.Post(func() { f(r.w) }); r.turn() }
	d.drained = func() bool { return r.drained }
	r.logged = func(b []byte) { d.log += string(b) }
	t.Cleanup(func() {
		if !t.Failed() {
			if !r.drained {
				r.sh.Post(func() { r.w.Drain(func() { r.drained = true }); r.w.Abandon() })
			}
			r.stop()
		}
	})
	return d
}

func realDatagramRig(t *testing.T, be engine.Backend, cfg datagramConfig) *datagramRig {
	t.Helper()
	if !cfg.at.IsValid() {
		cfg.at = localhost
	}
	own := &ownSockets{t: t, fds: map[int]int{}}
	d := &datagramRig{t: t}
	d.at = own.open(1, netip.AddrPortFrom(cfg.at, 0))
	var err error
	if d.rings, err = accesslog.NewRings(1, accesslog.MinRing, accesslog.JSON); err != nil {
		t.Fatal(err)
	}
	r := start(t, be, []string{"127.0.0.1:1"}, func(r *rig) {
		datagramPlan(t, r.snap, d.at, &cfg)
		own.tcp, r.sockets, r.log = r.fd, own, d.rings.Ring(0)
	})
	d.real, d.metrics, d.publish = r, r.metrics, r.publish
	d.bind = func(at netip.AddrPort) correspondent { return bindReal(t, at) }
	d.post = func(f func(*Worker)) {
		done := make(chan bool)
		r.sh.Post(func() { f(r.w); close(done) })
		select {
		case <-done:
		case <-r.sh.Done():
		}
	}
	d.turn = func() { d.post(func(*Worker) {}); runtime.Gosched() }
	d.drained = func() bool {
		select {
		case <-r.sh.Done():
			return true
		default:
			return false
		}
	}
	return d
}

// ownSockets are a TCP listener's socket, which stays the test's, and those of UDP listeners, which do not.
type ownSockets struct {
	t   testing.TB
	tcp int
	mu  sync.Mutex
	fds map[int]int
}

func (s *ownSockets) open(id int, at netip.AddrPort) netip.AddrPort {
	s.t.Helper()
	pc, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		s.t.Fatal(err)
	}
	file, err := pc.File()
	if err != nil {
		s.t.Fatal(err)
	}
	fd, err := unix.Dup(int(file.Fd()))
	if err != nil {
		s.t.Fatal(err)
	}
	file.Close()
	pc.Close()
	unix.SetNonblock(fd, true)
	s.mu.Lock()
	s.fds[id] = fd
	s.mu.Unlock()
	return pc.LocalAddr().(*net.UDPAddr).AddrPort()
}

func (s *ownSockets) Take(id int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == 0 {
		return s.tcp
	}
	if fd, ok := s.fds[id]; ok {
		return fd
	}
	return -1
}

func (s *ownSockets) LetGo(id, fd int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fds[id] == fd {
		delete(s.fds, id)
	}
}

// realSocket is a correspondent on a real socket.
type realSocket struct {
	*net.UDPConn
	b [70_000]byte
}

func bindReal(t *testing.T, at netip.AddrPort) correspondent {
	t.Helper()
	pc, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	pc.SetReadBuffer(4 << 20)
	t.Cleanup(func() { pc.Close() })
	return &realSocket{UDPConn: pc}
}

func (s *realSocket) Addr() netip.AddrPort { return s.LocalAddr().(*net.UDPAddr).AddrPort() }

func (s *realSocket) Send(to netip.AddrPort, data []byte) { s.WriteToUDPAddrPort(data, to) }

func (s *realSocket) Receive() (from netip.AddrPort, data []byte) {
	raw, err := s.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, nil
	}
	raw.Control(func(fd uintptr) {
		n, sa, err := unix.Recvfrom(int(fd), s.b[:], unix.MSG_DONTWAIT)
		if err != nil {
			return
		}
		data = append([]byte{}, s.b[:n]...)
		switch a := sa.(type) {
		case *unix.SockaddrInet4:
			from = netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
		case *unix.SockaddrInet6:
			from = netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
		}
	})
	return from, data
}

func (s *realSocket) Close() { s.UDPConn.Close() }

// answering has c answer whatever comes with what reply makes of it; nil: nothing.
func (d *datagramRig) answering(c correspondent, reply func(from netip.AddrPort, data []byte) []byte) {
	d.servers = append(d.servers, serving(c, reply))
}

// serving answers what has come to c.
func serving(c correspondent, reply func(from netip.AddrPort, data []byte) []byte) func() {
	return func() {
		for {
			from, data := c.Receive()
			if data == nil {
				return
			}
			if back := reply(from, data); back != nil {
				c.Send(from, back)
			}
		}
	}
}

// until lets things happen until done, which may receive.
func (d *datagramRig) until(what string, done func() bool) {
	d.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for n := 0; !done(); n++ {
		if d.virtual && (d.sim.late || n > 100_000) || time.Now().After(deadline) {
			d.t.Fatalf("%s does not come: %+v, %v", what, d.gauges(), d.metrics.Snapshot())
		}
		d.step()
	}
}

// step lets the shard and everybody outside act once.
func (d *datagramRig) step() {
	d.turn()
	for _, serve := range d.servers {
		serve()
	}
}

// next is the next datagram that c receives.
func (d *datagramRig) next(c correspondent) (from netip.AddrPort, data []byte) {
	d.t.Helper()
	d.until("a datagram", func() bool {
		from, data = c.Receive()
		return data != nil
	})
	return from, data
}

// ask sends question from c to the listener, and returns the answer.
func (d *datagramRig) ask(c correspondent, question string) string {
	d.t.Helper()
	c.Send(d.at, []byte(question))
	from, data := d.next(c)
	if from != d.at {
		d.t.Errorf("the answer is from %v, not %v", from, d.at)
	}
	return string(data)
}

// client is a socket on 127.0.0.1.
func (d *datagramRig) client() correspondent { return d.bind(netip.AddrPortFrom(localhost, 0)) }

func (d *datagramRig) gauges() (g Gauges) {
	d.post(func(w *Worker) { g = w.Gauges() })
	return g
}

// associations waits until there are n.
func (d *datagramRig) associations(n int) {
	d.t.Helper()
	d.until(fmt.Sprint(n, " associations"), func() bool { return d.gauges().Associations == n })
}

// dropped waits until n datagrams have been thrown away for that reason.
func (d *datagramRig) dropped(why metrics.Drop, n uint64) {
	d.t.Helper()
	d.until(fmt.Sprint(n, " dropped for ", why.Label()), func() bool { return d.metrics.Snapshot().Dropped(why) >= n })
	if got := d.metrics.Snapshot().Dropped(why); got != n {
		d.t.Errorf("%d datagrams are dropped for %s, not %d", got, why.Label(), n)
	}
}

// ended checks how many sessions have ended for that reason.
func (d *datagramRig) ended(why metrics.Reason, n uint64) {
	d.t.Helper()
	if got := d.metrics.Snapshot().PassagesEnded(metrics.Sessions, why); got != n {
		d.t.Errorf("%d sessions ended with %v, not %d", got, why, n)
	}
}

// pass lets time pass: in the simulation all of it at once.
func (d *datagramRig) pass(by time.Duration) {
	d.t.Helper()
	if d.virtual {
		d.sim.pass(by)
		return
	}
	end := time.Now().Add(by)
	d.until("the end of a while", func() bool { return time.Now().After(end) })
}

// lines are those of the access log so far.
func (d *datagramRig) lines() []string {
	if d.rings != nil {
		first, second := d.rings.Ring(0).Pending()
		d.log += string(first) + string(second)
		d.rings.Ring(0).Consume(len(first) + len(second))
	}
	return strings.Split(strings.TrimSuffix(d.log, "\n"), "\n")
}

// associationsFault says what is wrong with the associations between two turns; empty: nothing.
func (w *Worker) associationsFault() string {
	u := w.udp
	if fault := u.fault(); fault != "" {
		return fault
	}
	kept, linked := 0, 0
	for slot := range w.links {
		if l := &w.links[slot]; l.kind == kindAssociation && !l.closing() {
			linked++
			if u.at(l.id).slot != uint32(slot)+1 {
				return fmt.Sprintf("slot %d is not that of association %d", slot, l.id)
			}
		}
	}
	for _, i := range u.buckets {
		for ; i != 0; i = u.at(i).next {
			a := u.at(i)
			switch {
			case a.first != 0:
				return fmt.Sprintf("association %d has something waiting", i)
			case a.standing == standingNone || a.slot == 0 || w.sh.Pinned(a.pin) == nil:
				return fmt.Sprintf("association %d is %+v", i, *a)
			case a.keptAt != 0 && (u.keepers[a.keptAt-1] != i || a.standing != standingAwaiting):
				return fmt.Sprintf("association %d keeps what it should not", i)
			case a.keptAt != 0:
				kept++
			}
		}
	}
	for _, i := range u.keepers {
		if i != 0 {
			kept--
		}
	}
	if kept != 0 || linked != u.all.Used() || u.replied != 0 {
		return fmt.Sprintf("%d associations, %d have sockets, %d replies wait", u.all.Used(), linked, u.replied)
	}
	return ""
}
