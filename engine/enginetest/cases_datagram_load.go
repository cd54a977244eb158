package enginetest

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
	"testing"
)

var datagramLoadCases = []testCase{
	{"DatagramsAtRandom", always, testDatagramsAtRandom},
}

// parcel makes a datagram of the random load: who it is for, its number, and a checksum behind the rest.
func parcel(rng *rand.Rand, to uint16, number uint32) []byte {
	b := make([]byte, 6, 1600)
	binary.BigEndian.PutUint16(b, to)
	binary.BigEndian.PutUint32(b[2:], number)
	for range rng.IntN(300) * rng.IntN(5) {
		b = append(b, byte(rng.Uint32()))
	}
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// way is the datagrams from one socket to another.
type way struct{ sent, came uint32 }

// exchange is the random load: sockets of the backend's, one for all and one connected to each correspondent.
type exchange struct {
	*rig
	rng    *rand.Rand
	all    *post
	peers  []Correspondent
	links  []*post
	up     map[netip.AddrPort]*way // to the one for all, by who sent them
	down   map[netip.AddrPort]*way // from it, by who gets them
	across map[netip.AddrPort]*way // from the connected ones
	read   int                     // of what all has got
}

// testDatagramsAtRandom exchanges datagrams between many sockets: nothing arrives changed or where it should not, and
// without faults nothing twice, nothing out of order, and all of it.
func testDatagramsAtRandom(t *testing.T, h Harness) {
	x := &exchange{
		rig: newRig(t, h, usual), rng: rand.New(rand.NewPCG(4, uint64(len(t.Name())))),
		up: map[netip.AddrPort]*way{}, down: map[netip.AddrPort]*way{}, across: map[netip.AddrPort]*way{},
	}
	x.all = x.bindUDP(host4)
	for range 6 {
		c := x.correspond(host4)
		x.peers, x.links = append(x.peers, c), append(x.links, x.dialUDP(c.Addr()))
		x.up[c.Addr()], x.down[c.Addr()], x.across[c.Addr()] = &way{}, &way{}, &way{}
	}
	for range 400 {
		x.send()
		if x.rng.IntN(4) == 0 {
			x.poll(0)
		}
		x.collect()
	}
	for range 50 {
		x.poll(pause)
		x.collect()
	}
	x.until("all datagrams", func() bool {
		x.collect()
		return h.Faulty || x.complete()
	})
	x.end()
}

// send sends one datagram on one of the ways.
func (x *exchange) send() {
	i := x.rng.IntN(len(x.peers))
	at := x.peers[i].Addr()
	next := func(w *way, to netip.AddrPort) []byte {
		w.sent++
		return parcel(x.rng, to.Port(), w.sent)
	}
	switch x.rng.IntN(3) {
	case 0:
		x.peers[i].Send(x.all.at, next(x.up[at], x.all.at), 0)
	case 1:
		x.all.mail(at, netip.Addr{}, string(next(x.down[at], at)))
	case 2:
		x.links[i].mail(netip.AddrPort{}, netip.Addr{}, string(next(x.across[at], at)))
	}
}

// collect looks at what has arrived.
func (x *exchange) collect() {
	for _, c := range x.peers {
		for from, data := c.Receive(); data != nil; from, data = c.Receive() {
			w := x.across[c.Addr()]
			if from == x.all.at {
				w = x.down[c.Addr()]
			}
			x.check(w, string(data), c.Addr())
		}
	}
	for ; x.read < len(x.all.got); x.read++ {
		got := x.all.got[x.read]
		x.check(x.up[got.from], got.data, x.all.at)
	}
}

// check opens a datagram that has come to an address.
func (x *exchange) check(w *way, data string, at netip.AddrPort) {
	n := len(data) - 4
	if n < 6 || crc32.ChecksumIEEE([]byte(data[:n])) != binary.BigEndian.Uint32([]byte(data[n:])) ||
		binary.BigEndian.Uint16([]byte(data)) != at.Port() {
		x.t.Fatalf("%v got a datagram of %d bytes that was not sent to it", at, len(data))
	}
	number := binary.BigEndian.Uint32([]byte(data[2:]))
	w.came++
	if number > w.sent || !x.h.Faulty && number != w.came {
		x.t.Fatalf("%v got number %d, want %d", at, number, w.came)
	}
}

// complete reports whether everything has come.
func (x *exchange) complete() bool {
	for _, ways := range []map[netip.AddrPort]*way{x.up, x.down, x.across} {
		for _, w := range ways {
			if w.came != w.sent {
				return false
			}
		}
	}
	return true
}
