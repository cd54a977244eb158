package proxy

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// named answers everything with the endpoint's name in front of it.
func named(name string) func(netip.AddrPort, []byte) []byte {
	return func(_ netip.AddrPort, data []byte) []byte { return append([]byte(name+":"), data...) }
}

// counting answers nothing and counts.
func counting(n *int) func(netip.AddrPort, []byte) []byte {
	return func(netip.AddrPort, []byte) []byte { *n++; return nil }
}

// Clients ask and get their own answers, whatever the size, and the log and the figures tell of it.
func TestDatagramsThereAndBack(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 1)
		d := open(datagramConfig{endpoints: addrs})
		d.answering(far[0], named("far"))
		clients := []correspondent{d.client(), d.client(), d.client()}
		sizes := []int{1, 0, 2, 100, 1400, 4096, 4097, 9000, 30_000}
		for n, size := range sizes {
			for i, c := range clients {
				data := noise(size, uint64(n*10+i))
				if got := d.ask(c, string(data)); got != "far:"+string(data) {
					t.Fatalf("client %d gets %d bytes for %d", i, len(got), size)
				}
			}
		}
		d.associations(len(clients))
		snap := d.metrics.Snapshot()
		total := uint64(len(clients) * len(sizes))
		for _, c := range []metrics.Counter{
			metrics.DatagramsFromClients, metrics.DatagramsToUpstreams, metrics.DatagramsFromUpstreams,
			metrics.DatagramsToClients,
		} {
			if got := snap.Counter(c); got != total {
				t.Errorf("%v: %d, not %d", c, got, total)
			}
		}
		v := d.metrics.Series(metrics.DatagramSeries)[0]
		if v.DatagramsUp != total || v.DatagramsDown != total || v.CarriedDown != v.CarriedUp+4*total || v.Open != 3 {
			t.Errorf("the route's series is %+v", v)
		}
		d.post(func(w *Worker) { w.abandonDatagrams() })
		d.ended(metrics.ShuttingDown, 3)
		if lines := d.lines(); len(lines) != 3 || !strings.Contains(lines[0], clients[0].Addr().Addr().String()) {
			t.Errorf("the log says %q", lines)
		}
	})
}

// A client that comes back finds its endpoint again, and the clients are shared.
func TestDatagramsByClient(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 3)
		d := open(datagramConfig{endpoints: addrs})
		for i, c := range far {
			d.answering(c, named(fmt.Sprint(i)))
		}
		met := map[string]bool{}
		for n := range 24 {
			ip := netip.AddrFrom4([4]byte{127, 0, 1, byte(n + 1)})
			first := d.ask(d.bind(netip.AddrPortFrom(ip, 0)), "who")
			if again := d.ask(d.bind(netip.AddrPortFrom(ip, 0)), "who"); again != first {
				t.Errorf("%v gets %q, then %q", ip, first, again)
			}
			met[first] = true
		}
		if len(met) != 3 {
			t.Errorf("only %d endpoints are asked", len(met))
		}
	})
}

// Without that, endpoints take turns.
func TestDatagramsInTurns(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 3)
		d := open(datagramConfig{endpoints: addrs, edit: func(s *plan.Snapshot) { s.Services[1].ByClient = false }})
		for i, c := range far {
			d.answering(c, named(fmt.Sprint(i)))
		}
		met := map[string]int{}
		for range 6 {
			met[d.ask(d.client(), "who")]++
		}
		if met["0:who"] != 2 || met["1:who"] != 2 || met["2:who"] != 2 {
			t.Errorf("the answers are %v", met)
		}
	})
}

// Where a listener has many addresses, a reply comes from the one that was asked.
func TestDatagramsFromTheRightAddress(t *testing.T) {
	for _, everywhere := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		t.Run(everywhere.String(), func(t *testing.T) {
			onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
				far, addrs := endpoints(bind, 1)
				d := open(datagramConfig{endpoints: addrs, at: everywhere})
				d.answering(far[0], named("far"))
				c := d.client()
				for _, ip := range []string{"127.0.0.1", "127.0.0.2", "127.8.8.8", "127.0.0.1"} {
					to := netip.AddrPortFrom(netip.MustParseAddr(ip), d.at.Port())
					c.Send(to, []byte("hi"))
					if from, data := d.next(c); from != to || string(data) != "far:hi" {
						t.Errorf("%v answers for %v: %q", from, to, data)
					}
				}
				if !everywhere.Is6() {
					return
				}
				six := netip.AddrPortFrom(netip.IPv6Loopback(), d.at.Port())
				c = d.bind(netip.AddrPortFrom(netip.IPv6Loopback(), 0))
				c.Send(six, []byte("hi"))
				if from, data := d.next(c); from != six || string(data) != "far:hi" {
					t.Errorf("%v answers for %v: %q", from, six, data)
				}
			})
		})
	}
}

// Datagrams of one client go out in order, many at a time.
func TestDatagramsInOrder(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 1)
		d := open(datagramConfig{endpoints: addrs})
		d.answering(far[0], named("far"))
		clients := []correspondent{d.client(), d.client()}
		for round := range 2 {
			for n := range 20 {
				for _, c := range clients {
					c.Send(d.at, bytes.Repeat([]byte{byte(n)}, 200+40*(n%7/6)))
				}
			}
			for _, c := range clients {
				for n := range 20 {
					if _, data := d.next(c); data[4] != byte(n) {
						t.Fatalf("round %d: %d comes for %d", round, data[4], n)
					}
				}
			}
		}
		d.associations(2)
	})
}

// An endpoint that is not there costs nobody an answer: the question is sent to the next.
func TestDatagramsToTheNextEndpoint(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 3)
		d := open(datagramConfig{endpoints: addrs})
		far[0].Close()
		far[1].Close()
		d.answering(far[2], named("far"))
		for n := range 8 {
			c := d.bind(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 2, byte(n + 1)}), 0))
			if got := d.ask(c, "who"); got != "far:who" {
				t.Errorf("the answer is %q", got)
			}
		}
		if n := d.metrics.Snapshot().Counter(metrics.Retries); n == 0 {
			t.Error("no retry is counted")
		}
		d.ended(metrics.UpstreamUnreachable, 0)
	})
}

// Where nobody is at all, that is what the end says.
func TestDatagramsToNobody(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 2)
		d := open(datagramConfig{endpoints: addrs})
		far[0].Close()
		far[1].Close()
		d.client().Send(d.at, []byte("who"))
		d.until("the end", func() bool { return d.metrics.Snapshot().PassagesBegan(metrics.Sessions) == 1 })
		d.associations(0)
		d.ended(metrics.UpstreamUnreachable, 1)
		if lines := d.lines(); len(lines) != 1 || !d.virtual && !strings.Contains(lines[0], "ECONNREFUSED") {
			t.Errorf("the log says %q", lines)
		}
	})
}

// An endpoint that has answered and goes away ends the association, and the next datagram begins another.
func TestDatagramsWhenTheEndpointGoes(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 2)
		d := open(datagramConfig{endpoints: addrs})
		for i, f := range far {
			d.answering(f, named(fmt.Sprint(i)))
		}
		c := d.client()
		first := d.ask(c, "who")
		at := int(first[0] - '0')
		far[at].Close()
		d.servers = d.servers[1-at : 2-at]
		c.Send(d.at, []byte("lost"))
		d.associations(0)
		d.ended(metrics.UpstreamUnreachable, 1)
		if again := d.ask(c, "who"); again == first {
			t.Errorf("the answer is %q once more", again)
		}
	})
}

// What nothing passes on for a while ends, in order.
func TestDatagramsIdle(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 1)
		d := open(datagramConfig{endpoints: addrs, edit: func(s *plan.Snapshot) {
			s.Timeouts.SessionIdle = 40 * time.Millisecond
		}})
		d.answering(far[0], named("far"))
		c := d.client()
		d.ask(c, "one")
		d.associations(0)
		d.ask(c, "two")
		d.associations(0)
		d.ended(metrics.None, 2)
		for i, line := range d.lines() {
			if !strings.Contains(line, "udp") {
				t.Errorf("line %d is %q", i, line)
			}
		}
	})
}

// As long as something passes, either way, an association goes on.
func TestDatagramsKeepAnAssociation(t *testing.T) {
	world := &laterWorld{}
	far, addrs := endpoints(world.bind, 1)
	d := simDatagramRig(t, world, datagramConfig{endpoints: addrs, edit: func(s *plan.Snapshot) {
		s.Timeouts.SessionIdle = 10 * time.Second
	}})
	var port uint16
	d.answering(far[0], func(from netip.AddrPort, _ []byte) []byte { port = from.Port(); return []byte("a") })
	c := d.client()
	d.ask(c, "q")
	was := port
	for range 10 {
		d.pass(9 * time.Second)
		d.ask(c, "q")
	}
	for range 10 {
		d.pass(9 * time.Second)
		far[0].Send(netip.AddrPortFrom(localhost, was), []byte("more"))
		d.next(c)
	}
	if port != was {
		t.Error("the endpoint sees another socket")
	}
	d.pass(9 * time.Second)
	d.associations(1)
	d.pass(2 * time.Second)
	d.associations(0)
}

// Without a route, or an endpoint, datagrams are thrown away and counted.
func TestDatagramsThatLeadNowhere(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		_, addrs := endpoints(bind, 1)
		d := open(datagramConfig{endpoints: addrs, edit: func(s *plan.Snapshot) {
			s.Listeners[1].Streams = streamsFor(t, "ClientIP(`127.0.0.1`)")
		}})
		d.bind(netip.MustParseAddrPort("127.0.0.9:0")).Send(d.at, []byte("who"))
		d.dropped(metrics.DropNoRoute, 1)
		d.publish(func(s *plan.Snapshot) {
			s.Services = append([]plan.Service{}, s.Services...)
			s.Services[1].Endpoints, s.Services[1].Cycle = nil, nil
		})
		d.client().Send(d.at, []byte("who"))
		d.dropped(metrics.DropNoUpstream, 1)
		d.publish(func(s *plan.Snapshot) {
			s.Listeners = append([]plan.Listener{}, s.Listeners...)
			s.Listeners[1].Streams = nil
		})
		d.client().Send(d.at, []byte("who"))
		d.dropped(metrics.DropNoRoute, 2)
		d.associations(0)
	})
}

// The port that was asked decides, where a rule says so.
func TestDatagramsByPort(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 1)
		d := open(datagramConfig{endpoints: addrs})
		d.answering(far[0], named("far"))
		for _, port := range []uint16{d.at.Port(), d.at.Port() - 1} {
			d.publish(func(s *plan.Snapshot) {
				s.Listeners = append([]plan.Listener{}, s.Listeners...)
				s.Listeners[1].Streams = streamsFor(t, fmt.Sprintf("DestinationPort(`%d`)", port))
			})
			c := d.client()
			if port == d.at.Port() {
				d.ask(c, "who")
			} else {
				c.Send(d.at, []byte("who"))
				d.dropped(metrics.DropNoRoute, 1)
			}
		}
	})
}
