package proxy

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// What belongs to one association leaves by one call, and so does what goes back to the clients of a listener.
func TestDatagramsInBatches(t *testing.T) {
	const each = 20
	world := &laterWorld{}
	far, addrs := endpoints(world.bind, 1)
	d := simDatagramRig(t, world, datagramConfig{endpoints: addrs})
	d.answering(far[0], answersTo)
	clients := []correspondent{d.client(), d.client(), d.client()}
	for range each {
		for _, c := range clients {
			c.Send(d.at, []byte("hello"))
		}
	}
	for _, c := range clients {
		for range each {
			d.next(c)
		}
	}
	if want := len(clients) + 1; d.sim.sends != want {
		t.Errorf("%d calls for %d datagrams to and fro, not %d", d.sim.sends, each*len(clients), want)
	}
}

// Whatever the network does, and whatever there is no memory or descriptor for, who gets an answer gets one of its own,
// and nothing is left behind.
func TestDatagramsWithFaults(t *testing.T) {
	for seed := range uint64(12) {
		world := &laterWorld{}
		far, addrs := endpoints(world.bind, 3)
		rng := rand.New(rand.NewPCG(seed, 3))
		d := simDatagramRig(t, world, datagramConfig{
			seed: seed, endpoints: addrs,
			faults: sim.Faults{
				ShortRead: 0.2, ShortSend: 0.1, Delay: 0.3, DelayMax: 5e8, NoBufs: 0.05, NoFiles: 0.05, Lose: 0.1,
				Duplicate: 0.1, Gather: 0.3,
			},
			edit: func(s *plan.Snapshot) {
				s.Timeouts.SessionIdle, s.Limits.Sessions, s.Limits.SessionsPerIP = 3*time.Second, 24, 4
			},
		})
		answer := func(from netip.AddrPort, data []byte) []byte {
			if rng.IntN(4) == 0 {
				return nil
			}
			return data
		}
		for _, f := range far {
			d.answering(f, answer)
		}
		clients := make([]correspondent, 40)
		for n := range clients {
			clients[n] = d.whoever(n / 2)
			if n%2 == 1 {
				clients[n] = d.bind(netip.AddrPortFrom(clients[n-1].Addr().Addr(), 0))
			}
		}
		answered := 0
		for step := range 400 {
			n := rng.IntN(len(clients))
			for range 1 + rng.IntN(3) {
				text := fmt.Sprintf("%d:", n) + strings.Repeat("x", rng.IntN(3)*rng.IntN(1000))
				clients[n].Send(d.at, []byte(text))
			}
			switch rng.IntN(40) {
			case 0:
				i := rng.IntN(len(far))
				far[i].Close()
				far[i] = d.bind(addrs[i])
				d.servers[i] = serving(far[i], answer)
			case 1:
				d.publish(func(s *plan.Snapshot) { s.Streams = []plan.Stream{{Name: fmt.Sprint(step), Service: 1}} })
			case 2:
				d.publish(services(func(svc *plan.Service) { slices.Reverse(svc.Endpoints) }))
			case 3:
				d.pass(time.Duration(rng.IntN(2000)) * time.Millisecond)
			}
			d.step()
			for n, c := range clients {
				for {
					_, data := c.Receive()
					if data == nil {
						break
					}
					answered++
					if own := fmt.Sprintf("%d:", n); !strings.HasPrefix(string(data), own) {
						t.Fatalf("seed %d: client %s gets %.10q", seed, own, data)
					}
				}
			}
		}
		if answered < 50 {
			t.Errorf("seed %d: only %d answers", seed, answered)
		}
	}
}

// The limits of a route hold for its sessions, and what was turned away is told apart.
func TestDatagramsOfOneRoute(t *testing.T) {
	world := &laterWorld{}
	far, addrs := endpoints(world.bind, 1)
	d := simDatagramRig(t, world, datagramConfig{endpoints: addrs, edit: func(s *plan.Snapshot) {
		s.Streams[0].Connections, s.Streams[0].Rate, s.Streams[0].Burst = 4, 2, 6
	}})
	d.answering(far[0], answersTo)
	settled := d.whoever(100)
	d.ask(settled, "once")
	for n := range 4 {
		d.whoever(n).Send(d.at, []byte("quiet"))
		d.associations(2 + n)
	}
	d.whoever(4).Send(d.at, []byte("quiet"))
	d.dropped(metrics.DropLimit, 1)
	settled.Send(d.at, []byte("again"))
	d.dropped(metrics.DropLimit, 2)
	d.publish(func(s *plan.Snapshot) {
		s.Streams = slices.Clone(s.Streams)
		s.Streams[0].Connections = 0
	})
	d.ask(settled, "again")
	d.whoever(5).Send(d.at, []byte("quiet"))
	d.associations(6)
	d.whoever(6).Send(d.at, []byte("quiet")) // the seventh at once
	d.dropped(metrics.DropRate, 1)
	d.pass(time.Second)
	d.whoever(6).Send(d.at, []byte("quiet"))
	d.associations(7)
	snap := d.metrics.Snapshot()
	if a, b := snap.Refused(metrics.LimitStream), snap.Refused(metrics.LimitStreamRate); a != 1 || b != 1 {
		t.Errorf("%d are refused for the number, %d for the rate", a, b)
	}
}

// Datagrams that are too long for what they are received into are thrown away, not cut.
func TestDatagramsTooLong(t *testing.T) {
	world := &laterWorld{}
	far, addrs := endpoints(world.bind, 1)
	d := simDatagramRig(t, world, datagramConfig{endpoints: addrs})
	d.answering(far[0], func(netip.AddrPort, []byte) []byte { return make([]byte, 40_000) })
	c := d.client()
	c.Send(d.at, make([]byte, 33<<10))
	d.dropped(metrics.DropTruncated, 1)
	c.Send(d.at, []byte("and you"))
	d.dropped(metrics.DropTruncated, 2)
	if _, data := c.Receive(); data != nil {
		t.Errorf("the client gets %d bytes", len(data))
	}
}

// Nothing is allocated for a datagram, for a session, nor when another endpoint is asked: by the whole process, in
// which clients and endpoints allocate nothing either.
func TestDatagramsAllocateNothing(t *testing.T) {
	for name, backend := range backends {
		for _, tc := range []struct {
			name    string
			sockets int // with 40, every question is a session of its own
			dead    bool
		}{{"one session", 1, false}, {"many sessions", 40, false}, {"dead endpoint", 40, true}} {
			t.Run(name+"/"+tc.name, func(t *testing.T) {
				addrs := []netip.AddrPort{mirror(t, tc.dead), mirror(t, false)}
				d := realDatagramRig(t, backend(), datagramConfig{endpoints: addrs, edit: func(s *plan.Snapshot) {
					s.Limits.Sessions = 8
					s.Services[1].ByClient, s.Services[1].Cycle = false, []uint16{0}
				}})
				sessions := askMuch(t, d, tc.sockets)
				snap := d.metrics.Snapshot()
				if n := snap.PassagesBegan(metrics.Sessions); n != uint64(sessions) {
					t.Errorf("%d sessions, not %d", n, sessions)
				}
				if n := snap.Counter(metrics.Retries); (n > 0) != tc.dead {
					t.Errorf("%d retries", n)
				}
			})
		}
	}
}

// mirror sends back what comes, or it is an address at which nobody is.
func mirror(t *testing.T, dead bool) netip.AddrPort {
	c := bindReal(t, netip.AddrPortFrom(localhost, 0)).(*realSocket)
	if dead {
		c.Close()
		return c.Addr()
	}
	go func() {
		b := make([]byte, 2000)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			c.WriteToUDPAddrPort(b[:n], from)
		}
	}()
	return c.Addr()
}

// askMuch asks from so many sockets in turns, checks that nothing is allocated, and returns how many sessions it takes.
func askMuch(t *testing.T, d *datagramRig, sockets int) (sessions int) {
	clients := make([]*net.UDPConn, sockets)
	for i := range clients {
		c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(d.at))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients[i] = c
	}
	const turns, tries = 80, 3
	question, b := make([]byte, 300), make([]byte, 2000)
	least := uint64(1 << 62)
	for range tries { // at first tables grow to their size, and now and then the runtime allocates for itself
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for n := range turns {
			c := clients[n%len(clients)]
			c.Write(question)
			if n, err := c.Read(b); n != len(question) || err != nil {
				t.Fatal(n, err)
			}
		}
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	if least > turns/10 {
		t.Errorf("%d allocations for %d questions", least, turns)
	}
	if sockets == 1 {
		return 1
	}
	return turns * tries
}
