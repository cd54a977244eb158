package proxy

import (
	"net/netip"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// answersTo answers those who ask for it, and nobody else.
func answersTo(_ netip.AddrPort, data []byte) []byte {
	if string(data) == "quiet" {
		return nil
	}
	return data
}

// whoever is a client at an address of its own.
func (d *datagramRig) whoever(n int) correspondent {
	return d.bind(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 2, byte(n >> 8), byte(n)}), 0))
}

// A full table has room for newcomers as long as there is somebody without a reply, or with the only one that was asked
// for. Who is in the middle of something stays, whoever comes.
func TestDatagramsGiveWay(t *testing.T) {
	const most = 12
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 1)
		d := open(datagramConfig{endpoints: addrs, edit: func(s *plan.Snapshot) { s.Limits.Sessions = most }})
		d.answering(far[0], answersTo)
		var talking []correspondent
		for n := range 4 {
			c := d.whoever(n)
			d.ask(c, "one")
			d.ask(c, "two")
			talking = append(talking, c)
		}
		for n := range 4 {
			d.ask(d.whoever(100+n), "once")
		}
		began := func(n uint64) {
			t.Helper()
			d.until("sessions", func() bool { return d.metrics.Snapshot().PassagesBegan(metrics.Sessions) == n })
		}
		for n := range 40 { // a flood from false addresses, that nobody answers
			d.whoever(200+n).Send(d.at, []byte("quiet"))
			began(uint64(9 + n))
			if g := d.gauges(); g.Associations > most {
				t.Fatalf("%d associations", g.Associations)
			}
		}
		d.associations(most)
		d.ended(metrics.None, 4)           // those who had their answer
		d.ended(metrics.LimitSessions, 32) // those who had none
		for n, c := range talking {
			if got := d.ask(c, "three"); got != "three" {
				t.Errorf("client %d gets %q", n, got)
			}
		}
		began(48) // and no new one
	})
}

// When all are in the middle of something, a newcomer has to wait until one of them is idle.
func TestDatagramsHaveALimit(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 1)
		d := open(datagramConfig{endpoints: addrs, edit: func(s *plan.Snapshot) { s.Limits.Sessions = 2 }})
		d.answering(far[0], answersTo)
		for n := range 2 {
			c := d.whoever(n)
			d.ask(c, "one")
			d.ask(c, "two")
		}
		late := d.whoever(3)
		late.Send(d.at, []byte("me too"))
		d.dropped(metrics.DropLimit, 1)
		if n := d.metrics.Snapshot().Refused(metrics.LimitSessions); n != 1 {
			t.Errorf("%d clients are refused", n)
		}
		d.publish(func(s *plan.Snapshot) { s.Limits.Sessions = 3 })
		d.ask(late, "me too")
	})
}

// An address has so many at a time. What has been asked once and answered does not count, until it goes on.
func TestDatagramsOfOneAddress(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 1)
		d := open(datagramConfig{endpoints: addrs, edit: func(s *plan.Snapshot) { s.Limits.SessionsPerIP = 3 }})
		d.answering(far[0], answersTo)
		var settled correspondent
		for range 10 { // a resolver
			settled = d.client()
			d.ask(settled, "once")
		}
		for n := range 3 {
			d.client().Send(d.at, []byte("quiet"))
			d.associations(11 + n)
		}
		d.client().Send(d.at, []byte("quiet"))
		d.dropped(metrics.DropLimit, 1)
		settled.Send(d.at, []byte("again"))
		d.dropped(metrics.DropLimit, 2)
		d.ask(d.whoever(1), "somebody else")
		if n := d.metrics.Snapshot().Refused(metrics.LimitSessionsPerIP); n != 1 {
			t.Errorf("%d clients are refused", n)
		}
	})
}

// Nothing is kept for another endpoint beyond what is set aside for it, and nothing after the answer.
func TestDatagramsKeptAreFew(t *testing.T) {
	world := &laterWorld{}
	far, addrs := endpoints(world.bind, 2)
	d := simDatagramRig(t, world, datagramConfig{endpoints: addrs, slots: 4 * keepersMax})
	quiet := 0
	for _, f := range far {
		d.answering(f, counting(&quiet))
	}
	for n := range 3 * keepersMax {
		d.whoever(n).Send(d.at, []byte("anybody?"))
		d.step()
	}
	if g := d.gauges(); g.SmallHeld != keepersMax || g.Associations != 3*keepersMax {
		t.Errorf("held: %+v", g)
	}
	d.servers = nil
	for _, f := range far {
		d.answering(f, named("here"))
	}
	c := d.whoever(3 * keepersMax)
	d.ask(c, "you?")
	if g := d.gauges(); g.SmallHeld != keepersMax-1 {
		t.Errorf("held after an answer: %+v", g)
	}
}

// With no descriptor left for another socket those who never had a reply make room, and no memory grows.
func TestDatagramsWithoutDescriptors(t *testing.T) {
	world := &laterWorld{}
	far, addrs := endpoints(world.bind, 1)
	d := simDatagramRig(t, world, datagramConfig{endpoints: addrs})
	d.answering(far[0], answersTo)
	talking := d.whoever(0)
	d.ask(talking, "one")
	d.ask(talking, "two")
	free := d.sim.sh.Conns.Len() - d.sim.sh.Conns.Live()
	for n := range free + 50 {
		d.whoever(1+n).Send(d.at, []byte("quiet"))
		d.step()
	}
	d.until("their end", func() bool {
		return d.metrics.Snapshot().PassagesEnded(metrics.Sessions, metrics.LimitConns) > 0
	})
	d.ask(talking, "three")
	if n := d.metrics.Snapshot().Dropped(metrics.DropNoUpstream); n == 0 || n > 60 {
		t.Errorf("%d datagrams dropped", n)
	}
	d.publish(func(s *plan.Snapshot) { s.Timeouts.SessionIdle = time.Second })
	d.pass(2 * time.Minute)
	d.associations(0)
	d.ask(talking, "four")
}
