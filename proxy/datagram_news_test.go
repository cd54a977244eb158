package proxy

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// tooBig tells the socket at from, which is connected to c, that a packet was too big for the way to c.
func (d *datagramRig) tooBig(c correspondent, from netip.AddrPort) {
	d.t.Helper()
	if s, ok := c.(*laterSocket); ok {
		s.TooBig(from)
		return
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err != nil {
		d.t.Skip("sending ICMP: ", err)
	}
	defer unix.Close(fd)
	err = unix.Sendto(fd, fragmentationNeeded(from, c.Addr()), 0, &unix.SockaddrInet4{Addr: from.Addr().As4()})
	if err != nil {
		d.t.Fatal(err)
	}
}

// fragmentationNeeded is the ICMP message of a router that has dropped a datagram for its size (RFC 792, RFC 1191).
func fragmentationNeeded(from, to netip.AddrPort) []byte {
	const mtu = 65000 // less than that of the loopback device, and of no consequence there
	b := make([]byte, 8+20+8)
	b[0], b[1] = 3, 4
	binary.BigEndian.PutUint16(b[6:], mtu)
	ip, udp := b[8:], b[28:]
	ip[0], ip[8], ip[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(ip[2:], 28)
	copy(ip[12:], from.Addr().AsSlice())
	copy(ip[16:], to.Addr().AsSlice())
	binary.BigEndian.PutUint16(udp, from.Port())
	binary.BigEndian.PutUint16(udp[2:], to.Port())
	binary.BigEndian.PutUint16(udp[4:], 8)
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[2:], ^uint16(sum))
	return b
}

// That a packet was too big for the way does not mean that nobody is there: the association goes on, by the socket that
// it has.
func TestDatagramsTooBigForTheWay(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far := bind(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 3, 0, 1}), 0))
		d := open(datagramConfig{endpoints: []netip.AddrPort{far.Addr()}})
		var socket netip.AddrPort
		d.answering(far, func(from netip.AddrPort, _ []byte) []byte { socket = from; return []byte(from.String()) })
		c := d.client()
		was := d.ask(c, "where")
		for n := range 10 {
			lost := d.metrics.Snapshot().Dropped(metrics.DropUpstream)
			d.tooBig(far, socket)
			if n%2 == 0 { // else a send may be the first to learn of it
				d.dropped(metrics.DropUpstream, lost+1)
			}
			if now := d.ask(c, "where"); now != was {
				t.Errorf("the endpoint is asked from %s, not %s any more", now, was)
			}
		}
		d.ended(metrics.UpstreamUnreachable, 0)
		d.associations(1)
	})
}

// twoStreams is a table of streams with a route for some clients before the one for all.
func twoStreams(t testing.TB, some string) *routing.Table {
	t.Helper()
	expr, err := rule.ParseStream(some)
	if err != nil {
		t.Fatal(err)
	}
	table, err := routing.CompileStreams([]routing.Route{{Name: "all"}, {Name: "some", Rule: expr, Target: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// A route that has become one for others, or comes after another one now, is a client's no longer.
func TestDatagramsFollowARule(t *testing.T) {
	onEachDatagrams(t, func(t *testing.T, open func(datagramConfig) *datagramRig, bind binder) {
		far, addrs := endpoints(bind, 2)
		d := open(datagramConfig{endpoints: addrs[:1]})
		d.answering(far[0], named("0"))
		d.answering(far[1], named("1"))
		c := d.client()
		d.ask(c, "who")
		d.publish(func(s *plan.Snapshot) {
			s.Services = append(s.Services, plan.Service{
				Name: "another", ID: 2, Datagrams: true, Cycle: []uint16{0},
				Endpoints: []plan.Endpoint{{ID: 400, Addr: addrs[1]}},
			})
			s.Streams = append(s.Streams[:1:1], plan.Stream{Name: "some", ID: 1, Service: 2})
			listeners(func(l *plan.Listener) { l.Streams = twoStreams(t, "ClientIP(`127.0.0.1`)") })(s)
		})
		if got := d.ask(c, "who"); got != "1:who" {
			t.Errorf("a route that goes before the old one is passed over: %q", got)
		}
		d.publish(listeners(func(l *plan.Listener) { l.Streams = streamsFor(t, "!ClientIP(`127.0.0.1`)") }))
		c.Send(d.at, []byte("who"))
		d.dropped(metrics.DropNoRoute, 1)
		d.associations(0)
		d.ended(metrics.None, 2)
	})
}

// Sessions that would give way make room for clients of another shard as well, which has none of its own to end.
func TestDatagramsGiveWayAcrossShards(t *testing.T) {
	const most = 8
	open := func() (*datagramRig, correspondent) {
		world := &laterWorld{}
		far, addrs := endpoints(world.bind, 1)
		return simDatagramRig(t, world, datagramConfig{
			endpoints: addrs, edit: func(s *plan.Snapshot) { s.Limits.Sessions = most },
		}), far[0]
	}
	crowded, _ := open()
	empty, far := open()
	empty.answering(far, answersTo)
	crowded.sim.w.shards, empty.sim.w.shards = 2, 2
	empty.sim.w.shared = crowded.sim.w.shared
	for n := range 2 * most {
		crowded.whoever(n).Send(crowded.at, []byte("quiet"))
		crowded.turn()
	}
	crowded.associations(most)
	late := empty.whoever(1)
	late.Send(empty.at, []byte("me too"))
	empty.dropped(metrics.DropLimit, 1)
	crowded.whoever(100).Send(crowded.at, []byte("quiet")) // the flood goes on
	crowded.pass(1e6)
	crowded.turn()
	if got := empty.ask(late, "me too"); got != "me too" {
		t.Errorf("the answer is %q", got)
	}
	for n := range 4 * most {
		crowded.whoever(200+n).Send(crowded.at, []byte("quiet"))
		crowded.turn()
		if n := crowded.sim.w.shared.associations.Load(); n > most {
			t.Fatalf("%d associations", n)
		}
	}
	if got := empty.ask(late, "again"); got != "again" {
		t.Errorf("the answer is %q", got)
	}
}

// Where there is no limit for an address, there is none because it cannot be counted any further either.
func TestDatagramsOfOneAddressWithoutLimit(t *testing.T) {
	world := &laterWorld{}
	far, addrs := endpoints(world.bind, 1)
	d := simDatagramRig(t, world, datagramConfig{endpoints: addrs, edit: func(s *plan.Snapshot) {
		s.Limits.SessionsPerIP = 0
	}})
	d.answering(far[0], answersTo)
	c := d.client()
	ip := c.Addr().Addr().As16()
	for range countMask {
		d.sim.w.shared.associationsPerIP.add(ip, false, countMask)
	}
	if got := d.ask(c, "who"); got != "who" {
		t.Errorf("the answer is %q", got)
	}
	for range countMask {
		d.sim.w.shared.associationsPerIP.remove(ip, false)
	}
}
