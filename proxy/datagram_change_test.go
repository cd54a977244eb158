package proxy

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// fromWhere answers with the port that the endpoint was asked from, so that a test can tell one socket from another.
func fromWhere(from netip.AddrPort, _ []byte) []byte { return []byte(from.String()) }

// services is an edit of the service for datagrams.
func services(edit func(*plan.Service)) func(*plan.Snapshot) {
	return func(s *plan.Snapshot) {
		s.Services = slices.Clone(s.Services)
		svc := &s.Services[1]
		svc.Endpoints, svc.Cycle = slices.Clone(svc.Endpoints), slices.Clone(svc.Cycle)
		edit(svc)
	}
}

// listeners is an edit of the listener for datagrams.
func listeners(edit func(*plan.Listener)) func(*plan.Snapshot) {
	return func(s *plan.Snapshot) {
		s.Listeners = slices.Clone(s.Listeners)
		edit(&s.Listeners[1])
	}
}

// What a change does not concern goes on with the socket that it has, and lets go of the configuration that it began
// with.
func TestDatagramsSurviveAChange(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 1)
		d := open(datagramConfig{endpoints: addrs})
		d.answering(far[0], fromWhere)
		other := bind(netip.AddrPortFrom(localhost, 0))
		c := d.client()
		was := d.ask(c, "where")
		for _, edit := range []func(*plan.Snapshot){
			func(s *plan.Snapshot) { s.Timeouts.SessionIdle = time.Hour },
			services(func(svc *plan.Service) { // one more endpoint, in front
				svc.Endpoints = slices.Insert(svc.Endpoints, 0, plan.Endpoint{ID: 200, Addr: other.Addr()})
				svc.Cycle = []uint16{0, 1}
			}),
			listeners(func(l *plan.Listener) { l.Streams = streamsFor(t, "ClientIP(`127.0.0.0/8`)") }),
		} {
			d.publish(edit)
			if now := d.ask(c, "where"); now != was {
				t.Errorf("the endpoint is asked from %s, not %s any more", now, was)
			}
			d.post(func(w *Worker) {
				if n := w.sh.Snapshots(); n != 1 {
					t.Errorf("%d configurations are in use", n)
				}
			})
		}
		d.associations(1)
	})
}

// What has lost its route or its endpoint ends with the next datagram, which begins what takes its place.
func TestDatagramsFollowAChange(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 2)
		d := open(datagramConfig{endpoints: addrs[:1]})
		d.answering(far[0], named("0"))
		d.answering(far[1], named("1"))
		c := d.client()
		if got := d.ask(c, "who"); got != "0:who" {
			t.Fatalf("%q", got)
		}
		d.publish(services(func(svc *plan.Service) {
			svc.Endpoints[0] = plan.Endpoint{ID: 300, Addr: addrs[1]}
		}))
		if got := d.ask(c, "who"); got != "1:who" {
			t.Errorf("after a change of the endpoint %q", got)
		}
		d.publish(services(func(svc *plan.Service) {
			svc.ID, svc.Name = 7, "another"
			svc.Endpoints[0] = plan.Endpoint{ID: 301, Addr: addrs[0]}
		}))
		if got := d.ask(c, "who"); got != "0:who" {
			t.Errorf("after a change of the service %q", got)
		}
		d.publish(func(s *plan.Snapshot) { s.Streams = []plan.Stream{{Name: "other", Service: 1}} })
		d.ask(c, "who")
		d.ended(metrics.None, 3)
		d.publish(func(s *plan.Snapshot) {
			s.Streams = []plan.Stream{{}}
			listeners(func(l *plan.Listener) { l.Streams = nil })(s)
		})
		c.Send(d.at, []byte("who"))
		d.dropped(metrics.DropNoRoute, 1)
		d.associations(0)
		d.ended(metrics.None, 4)
	})
}

// A reply to what has lost its route is not passed on.
func TestDatagramsRepliesFollowAChange(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 1)
		d := open(datagramConfig{endpoints: addrs})
		var back netip.AddrPort
		d.answering(far[0], func(from netip.AddrPort, _ []byte) []byte { back = from; return nil })
		c := d.client()
		c.Send(d.at, []byte("who"))
		d.until("the question", func() bool { return back.IsValid() })
		d.publish(func(s *plan.Snapshot) { s.Streams = []plan.Stream{{Name: "other", Service: 1}} })
		far[0].Send(back, []byte("too late"))
		d.associations(0)
		if _, data := c.Receive(); data != nil {
			t.Errorf("the client gets %q", data)
		}
	})
}

// A listener that is removed takes its associations along, and its socket is closed; one that comes back is there.
func TestDatagramsListenerGoes(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 1)
		d := open(datagramConfig{endpoints: addrs})
		d.answering(far[0], named("far"))
		c := d.client()
		d.ask(c, "who")
		table := d.snapshot().Listeners[1].Table
		for range 2 {
			d.unlisten()
			d.publish(listeners(func(l *plan.Listener) { l.Table = nil }))
			d.until("the end of it", func() bool { return d.gauges().Links == 0 })
			d.associations(0)
			d.listenAgain()
			d.publish(listeners(func(l *plan.Listener) { l.Table = table }))
			if got := d.ask(c, "who"); got != "far:who" {
				t.Errorf("%q", got)
			}
		}
	})
}

// A shutdown takes nobody new, lets everyone finish, and is over when nothing passes any more.
func TestDatagramsDrain(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 1)
		d := open(datagramConfig{endpoints: addrs})
		d.answering(far[0], named("far"))
		c, late := d.client(), d.client()
		d.ask(c, "who")
		d.drain()
		late.Send(d.at, []byte("me"))
		d.dropped(metrics.DropDraining, 1)
		if got := d.ask(c, "and"); got != "far:and" {
			t.Errorf("%q", got)
		}
		if !d.virtual {
			return // it takes a second
		}
		d.until("the end of the drain", d.drained)
		if got := d.metrics.Snapshot().PassagesEnded(metrics.Sessions, metrics.None); got != 1 {
			t.Errorf("%d sessions have ended in order", got)
		}
	})
}

// snapshot is the one that is current.
func (d *datagramRig) snapshot() *plan.Snapshot {
	if d.virtual {
		return d.sim.snap
	}
	return d.real.snap
}

// unlisten takes the listener's socket away from whoever asks for it, as the server does before it publishes.
func (d *datagramRig) unlisten() {
	if d.virtual {
		delete(d.sim.sockets, 1)
		return
	}
	s := d.real.sockets.(*ownSockets)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.fds, 1)
}

// listenAgain makes a new socket at the same address.
func (d *datagramRig) listenAgain() {
	if d.virtual {
		d.sim.sockets[1] = d.sim.world.BindUDP(d.at)
		return
	}
	d.real.sockets.(*ownSockets).open(1, d.at)
}

func (d *datagramRig) drain() {
	d.post(func(w *Worker) {
		if d.virtual {
			w.Drain(func() { d.sim.drained = true })
		} else {
			w.Drain(w.sh.Stop)
		}
	})
}
