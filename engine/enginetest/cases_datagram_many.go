package enginetest

import (
	"net/netip"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

var datagramManyCases = []testCase{
	{"DatagramsGathered", exact, testDatagramsGathered},
	{"DatagramsDivided", exact, testDatagramsDivided},
	{"DatagramsBesideStreams", kernel, testDatagramsFair},
	{"DatagramsWithoutAllocations", kernel, testDatagramsAllocations},
}

// testDatagramsGathered passes batches of equal datagrams on as they came, entry by entry: each arrives by itself.
func testDatagramsGathered(t *testing.T, h Harness) {
	for _, size := range []int{1, 500, 1200, 1472, 8000} {
		r := newRig(t, h, usual)
		p, from, to := r.bindUDP(host4), r.correspond(host4), r.correspond(host4)
		q := r.dialUDP(to.Addr())
		p.hold = true
		want := pattern(uint64(size), size*30+(size+1)/2)
		count := (len(want) + size - 1) / size
		from.Send(p.at, want, size)
		p.untilGot(count)
		if h.Kernel && len(p.entries) > count/2 {
			t.Errorf("%d datagrams of %d bytes came as %d entries", count, size, len(p.entries))
		}
		if n := r.b.SendDatagrams(q.l.c, p.entries); n != len(p.entries) {
			t.Fatalf("SendDatagrams = %d of %d", n, len(p.entries))
		}
		r.sameDatagrams(r.letters(to, count), want, size)
		r.end()
	}
}

// sameDatagrams checks that the letters are the data, cut into pieces of a size.
func (r *rig) sameDatagrams(letters []letter, want []byte, size int) {
	r.t.Helper()
	for i, got := range letters {
		n := min(size, len(want))
		if got.data != string(want[:n]) {
			r.t.Fatalf("datagram %d of %d bytes came with %d", i, n, len(got.data))
		}
		want = want[n:]
	}
}

// testDatagramsDivided sends entries of more datagrams than a kernel divides at once, among others, and datagrams that
// a backend may gather: of one size, of mixed ones, and to others in between.
func testDatagramsDivided(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	p, a, b := r.bindUDP(host4), r.correspond(host4), r.correspond(host4)
	want := pattern(5, 3000)
	buf, span := r.filled(string(want))
	cut := func(c Correspondent, off, n, segment int) engine.Datagram {
		at := mem.Span{Off: span.Off + uint32(off), Len: uint32(n)}
		return engine.Datagram{Span: at, Segment: uint16(segment), Peer: engine.MakeIPPort(c.Addr())}
	}
	in := []engine.Datagram{
		cut(a, 0, 100, 0), cut(a, 0, 3000, 7), cut(a, 100, 100, 0), cut(a, 200, 100, 0), cut(a, 300, 90, 0),
		cut(a, 400, 100, 0), cut(b, 500, 100, 0), cut(a, 600, 100, 0), cut(a, 700, 0, 0), cut(a, 800, 100, 0),
	}
	if n := r.b.SendDatagrams(p.l.c, in); n != len(in) {
		t.Fatalf("SendDatagrams = %d of %d", n, len(in))
	}
	all := r.letters(a, 429+8)
	r.sameDatagrams(all[1:430], want, 7)
	for i, d := range in[2:] {
		got := all[0]
		if all = all[1:]; i == 0 {
			got, all = all[429], all[430:]
		}
		if d.Peer == in[6].Peer {
			all = append([]letter{got}, all...)
			got = r.letters(b, 1)[0]
		}
		if at := d.Span.Off - span.Off; got.data != string(want[at:at+d.Span.Len]) {
			t.Fatalf("entry %d came with %d bytes, want %d", i+2, len(got.data), d.Span.Len)
		}
	}
	r.env.Mem.Drop(buf)
	r.end()
}

// testDatagramsFair floods UDP sockets with more than they take: a stream goes on beside them, and the other way round.
func testDatagramsFair(t *testing.T, h Harness) {
	const enough = 200 // turns
	with := usual
	with.out = 8
	r := newRig(t, h, with)
	l, peer := r.tcpPair()
	l.stream()
	c := r.correspond(host4)
	var flooded []*post
	for range 20 {
		p := r.bindUDP(host4)
		p.size = 2
		flooded = append(flooded, p)
	}
	want := pattern(6, 4000)
	for i := range 40 {
		if _, err := peer.Write(want[i*100 : i*100+100]); err != nil {
			t.Fatal(err)
		}
		for turn := 0; len(l.got) < i*100+100; turn++ {
			if turn == enough {
				t.Fatalf("the stream has not moved in %d turns", turn)
			}
			for _, p := range flooded {
				c.Send(p.at, want[:50], 0)
				c.Send(p.at, want[:50], 0)
				c.Send(p.at, want[:50], 0)
			}
			r.poll(0)
		}
	}
	for i, p := range flooded {
		before := len(p.got)
		for turn := 0; len(p.got) < before+10; turn++ {
			if turn == enough {
				t.Fatalf("UDP socket %d has not moved in %d turns", i, turn)
			}
			for _, p := range flooded {
				c.Send(p.at, want[:50], 0)
				c.Send(p.at, want[:50], 0)
			}
			peer.Write(want[:1]) // it is read, and compared no more
			r.poll(0)
		}
	}
	r.end()
}

// testDatagramsAllocations lets two sockets of the backend's answer each other and counts what a turn allocates.
func testDatagramsAllocations(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	p := r.bindUDP(host4)
	for range 8 {
		r.dialUDP(p.at).mail(netip.AddrPort{}, netip.Addr{}, "ping")
	}
	out := make([]engine.Datagram, engine.DatagramsMax)
	turn := func() {
		n, err := r.b.Poll(pause, r.out)
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.out[:n] {
			c := r.env.Conns.At(r.out[i].Slot)
			got := r.b.RecvDatagrams(c, out)
			if got > 0 {
				r.b.SendDatagrams(c, out[:got])
			}
			for k := range max(got, 0) {
				r.env.Mem.Drop(out[k].Buf)
			}
		}
	}
	for range 100 {
		turn()
	}
	before := r.env.Stats.Events
	if n := testing.AllocsPerRun(300, turn); n != 0 {
		t.Errorf("%v allocations a turn, want 0", n)
	}
	if r.env.Stats.Events == before {
		t.Error("the turns had no events")
	}
	for _, l := range r.links {
		if l != nil {
			l.post.told = false
		}
	}
	r.end()
}
