package enginetest

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

var datagramCases = []testCase{
	{"DatagramsBothWays", exact, testDatagramsBothWays},
	{"DatagramsOfManyPeers", exact, testDatagramsOfMany},
	{"DatagramsConnected", exact, testDatagramsConnected},
	{"DatagramsEmpty", exact, testDatagramsEmpty},
	{"DatagramsTruncated", exact, testDatagramsTruncated},
	{"DatagramsOfEverySize", exact, testDatagramSizes},
	{"DatagramsLocalAddress", exact, testDatagramsLocal},
	{"DatagramsRefused", exact, testDatagramsRefused},
	{"DatagramsTooLong", exact, testDatagramTooLong},
	{"DatagramsTold", exact, testDatagramsTold},
	{"DatagramsWithoutBuffers", exact, testDatagramsStarve},
	{"DatagramsClosed", exact, testDatagramsClosed},
}

// testDatagramsBothWays sends to a socket of the backend's and gets answers, with each kind of address.
func testDatagramsBothWays(t *testing.T, h Harness) {
	for _, at := range []netip.Addr{host4, host6} {
		r := newRig(t, h, usual)
		p, c := r.bindUDP(at), r.correspond(at)
		for i := range 20 {
			want := string(pattern(uint64(i), 1+i*70))
			c.Send(p.at, []byte(want), 0)
			p.untilGot(i + 1)
			got := p.got[i]
			if got != (letter{from: c.Addr(), local: at, data: want}) {
				t.Fatalf("datagram %d came from %v to %v with %d bytes, want %v, %v, %d", i,
					got.from, got.local, len(got.data), c.Addr(), at, len(want))
			}
			p.mail(got.from, netip.Addr{}, want)
			if back := r.letters(c, 1)[0]; back != (letter{from: p.at, data: want}) {
				t.Fatalf("answer %d came from %v with %d bytes, want %v, %d", i,
					back.from, len(back.data), p.at, len(want))
			}
		}
		r.end()
	}
}

// testDatagramsOfMany has many peers send bursts. Each gets back what it sent, in its order.
func testDatagramsOfMany(t *testing.T, h Harness) {
	const peers, burst = 40, 12
	r := newRig(t, h, usual)
	p := r.bindUDP(host4)
	var all []Correspondent
	for range peers {
		all = append(all, r.correspond(host4))
	}
	for round := range 3 {
		for i := range burst {
			for k, c := range all {
				c.Send(p.at, fmt.Appendf(nil, "%d %d %d %s", round, k, i, pattern(uint64(k), 100+k)), 0)
			}
			if i%4 == 3 {
				p.untilGot((round*burst + i + 1) * peers)
			}
		}
		p.answer(p.got[round*peers*burst:])
		for k, c := range all {
			for i, got := range r.letters(c, burst) {
				if want := fmt.Sprintf("%d %d %d %s", round, k, i, pattern(uint64(k), 100+k)); got.data != want {
					t.Fatalf("peer %d got %.20q, want %.20q", k, got.data, want)
				}
			}
		}
	}
	r.end()
}

// answer sends letters back in one call, those of a sender together.
func (p *post) answer(letters []letter) {
	r := p.l.r
	r.t.Helper()
	letters = slices.Clone(letters)
	slices.SortStableFunc(letters, func(a, b letter) int { return a.from.Compare(b.from) })
	for at := 0; at < len(letters); {
		var in []engine.Datagram
		for _, l := range letters[at:min(len(letters), at+200)] {
			buf, span := r.filled(l.data)
			in = append(in, engine.Datagram{Buf: buf, Span: span, Peer: engine.MakeIPPort(l.from)})
		}
		if n := r.b.SendDatagrams(p.l.c, in); n != len(in) {
			r.t.Fatalf("SendDatagrams = %d of %d", n, len(in))
		}
		for i := range in {
			r.env.Mem.Drop(in[i].Buf)
		}
		at += len(in)
	}
}

// testDatagramsConnected connects a socket: nobody but whom it is connected to is heard.
func testDatagramsConnected(t *testing.T, h Harness) {
	for _, at := range []netip.Addr{host4, host6} {
		r := newRig(t, h, usual)
		c, stranger := r.correspond(at), r.correspond(at)
		p := r.dialUDP(c.Addr())
		p.mail(netip.AddrPort{}, netip.Addr{}, "who is there")
		first := r.letters(c, 1)[0]
		if first.data != "who is there" {
			t.Fatalf("the other end got %q", first.data)
		}
		stranger.Send(first.from, []byte("me"), 0)
		for i := range 10 {
			c.Send(first.from, []byte{'a' + byte(i)}, 0)
		}
		p.untilGot(10)
		for i, got := range p.got {
			if got.data != string(rune('a'+i)) || got.from != c.Addr() {
				t.Fatalf("datagram %d is %q from %v", i, got.data, got.from)
			}
		}
		r.end()
	}
}

// testDatagramsEmpty sends and receives datagrams without a byte, among others.
func testDatagramsEmpty(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	p, c := r.bindUDP(host4), r.correspond(host4)
	texts := []string{"", "x", "", "", "yy", ""}
	for _, text := range texts {
		c.Send(p.at, []byte(text), 0)
	}
	p.untilGot(len(texts))
	for i, text := range texts {
		if p.got[i].data != text {
			t.Fatalf("datagram %d is %q, want %q", i, p.got[i].data, text)
		}
		p.mail(c.Addr(), netip.Addr{}, text)
	}
	for i, got := range r.letters(c, len(texts)) {
		if got.data != texts[i] {
			t.Fatalf("answer %d is %q, want %q", i, got.data, texts[i])
		}
	}
	r.end()
}

// testDatagramsTruncated receives more than any buffer holds: it is told, and what follows is whole.
func testDatagramsTruncated(t *testing.T, h Harness) {
	with := usual
	with.sizes.BulkBytes = 8192
	r := newRig(t, h, with)
	p, c := r.bindUDP(host4), r.correspond(host4)
	long := string(pattern(1, 10_000))
	for range 3 {
		p.got = nil
		c.Send(p.at, []byte(long), 0)
		p.untilGot(1)
		c.Send(p.at, []byte("short"), 0)
		p.untilGot(2)
		if got := p.got[0]; !got.cut || got.data != long[:8192] {
			t.Fatalf("of %d bytes came %d, truncated is %v", len(long), len(got.data), got.cut)
		}
		if got := p.got[1]; got.cut || got.data != "short" {
			t.Fatalf("behind it came %q, truncated is %v", got.data, got.cut)
		}
	}
	r.end()
}

// testDatagramSizes goes over the sizes at which buffers change, up to the longest, in both orders.
func testDatagramSizes(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	p, c := r.bindUDP(host4), r.correspond(host4)
	sizes := []int{1, 4095, 4096, 4097, 4100, 9000, 40_000, 65_507, 9000, 4097, 4096, 60_000, 2, 1}
	for i, size := range sizes {
		want := string(pattern(uint64(size), size))
		c.Send(p.at, []byte(want), 0)
		p.untilGot(i + 1)
		if got := p.got[i]; got.data != want || got.cut {
			t.Fatalf("%d bytes came as %d, right up to %d", size, len(got.data), differ([]byte(got.data), []byte(want)))
		}
		p.mail(c.Addr(), netip.Addr{}, want)
		if got := r.letters(c, 1)[0]; got.data != want {
			t.Fatalf("%d bytes went as %d", size, len(got.data))
		}
	}
	r.end()
}

// testDatagramsLocal answers on sockets that are bound to every address: from the one that was asked.
func testDatagramsLocal(t *testing.T, h Harness) {
	for _, bound := range []netip.Addr{any4, any6} {
		r := newRig(t, h, usual)
		p := r.bindUDP(bound)
		asked := []netip.Addr{host4, other4, third4}
		if bound == any6 {
			asked = append(asked, host6)
		}
		for i, at := range asked {
			c := r.correspond(at)
			to := netip.AddrPortFrom(at, p.at.Port())
			c.Send(to, []byte("hello"), 0)
			p.untilGot(i + 1)
			if got := p.got[i]; got.local != at || got.from != c.Addr() {
				t.Fatalf("bound to %v: from %v to %v is told as %v to %v", bound, c.Addr(), at, got.from, got.local)
			}
			p.mail(c.Addr(), at, "yes")
			if got := r.letters(c, 1)[0]; got.from != to {
				t.Fatalf("bound to %v: the answer came from %v, want %v", bound, got.from, to)
			}
		}
		r.end()
	}
}

// testDatagramsRefused sends to where nobody is: the socket is told, once for each, and goes on.
func testDatagramsRefused(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	c := r.correspond(host4)
	p := r.dialUDP(c.Addr())
	p.mail(netip.AddrPort{}, netip.Addr{}, "first")
	back := r.letters(c, 1)[0].from
	c.Send(back, []byte("answer"), 0)
	p.untilGot(1)
	c.Close()
	for i := range 5 {
		p.mail(netip.AddrPort{}, netip.Addr{}, "second")
		r.until("a refusal", func() bool { return len(p.errs) == i+1 })
	}
	for _, e := range p.errs {
		if e != -int(unix.ECONNREFUSED) {
			t.Fatalf("errors %v, want ECONNREFUSED", p.errs)
		}
	}
	p.nothing()
	r.end()
}

// testDatagramTooLong sends what no datagram can be, behind one that can.
func testDatagramTooLong(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	p, c := r.bindUDP(host4), r.correspond(host4)
	buf, span := r.filled(string(pattern(3, mem.HeadBytes)))
	short := span
	short.Len = 10
	to := engine.MakeIPPort(c.Addr())
	in := []engine.Datagram{{Span: short, Peer: to}, {Span: span, Peer: to}, {Span: short, Peer: to}}
	if n := r.b.SendDatagrams(p.l.c, in); n != 1 {
		t.Errorf("SendDatagrams = %d, want 1", n)
	}
	if n := r.b.SendDatagrams(p.l.c, in[1:]); n != -int(unix.EMSGSIZE) {
		t.Errorf("SendDatagrams = %d, want -EMSGSIZE", n)
	}
	if n := r.b.SendDatagrams(p.l.c, in[2:]); n != 1 {
		t.Errorf("SendDatagrams = %d, want 1", n)
	}
	if got := r.letters(c, 2); got[0].data != got[1].data {
		t.Errorf("%d and %d bytes came", len(got[0].data), len(got[1].data))
	}
	r.env.Mem.Drop(buf)
	r.end()
}

// testDatagramsTold receives less than there is: it is told again, and not before.
func testDatagramsTold(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	p, c := r.bindUDP(host4), r.correspond(host4)
	p.idle, p.size = true, 2
	for i := range 5 {
		c.Send(p.at, []byte{byte(i)}, 0)
	}
	r.until("EvReadable", func() bool { return p.told })
	r.quiet()
	for want := 2; want > 0; {
		n := p.receive()
		if n < 0 || n > want {
			t.Fatalf("RecvDatagrams = %d", n)
		}
		want = min(2, 5-len(p.got))
		if want > 0 {
			r.until("EvReadable", func() bool { return p.told })
		}
	}
	p.nothing()
	c.Send(p.at, []byte("more"), 0)
	r.until("EvReadable", func() bool { return p.told })
	if n := p.receive(); n != 1 || p.got[5].data != "more" {
		t.Fatalf("RecvDatagrams = %d", n)
	}
	r.end()
}

// testDatagramsStarve takes every buffer away: nothing is told while there are none, and nothing is lost.
func testDatagramsStarve(t *testing.T, h Harness) {
	with := usual
	with.sizes.Small, with.sizes.Bulk = 64, 2
	r := newRig(t, h, with)
	p, q, c := r.bindUDP(host4), r.bindUDP(host4), r.correspond(host4)
	var all []mem.Buf
	for _, class := range []mem.Class{mem.Small, mem.Bulk} {
		for buf, ok := r.env.Mem.Take(class); ok; buf, ok = r.env.Mem.Take(class) {
			all = append(all, buf)
		}
	}
	for i := range 10 {
		c.Send(p.at, []byte{byte(i)}, 0)
		c.Send(q.at, []byte{byte(i)}, 0)
	}
	r.until("-ENOBUFS", func() bool { return len(p.errs) == 1 && len(q.errs) == 1 })
	if p.errs[0] != -int(unix.ENOBUFS) || q.errs[0] != -int(unix.ENOBUFS) {
		t.Fatalf("RecvDatagrams = %d and %d, want -ENOBUFS", p.errs[0], q.errs[0])
	}
	r.quiet()
	if r.env.Stats.NoBufs == 0 {
		t.Error("nothing was counted as NoBufs")
	}
	for _, buf := range all[:40] { // a backend may want some for itself first
		r.env.Mem.Drop(buf)
	}
	p.untilGot(10)
	q.untilGot(10)
	for _, buf := range all[40:] {
		r.env.Mem.Drop(buf)
	}
	r.end()
}

// testDatagramsClosed closes sockets in every state, and gives their slots to others.
func testDatagramsClosed(t *testing.T, h Harness) {
	with := usual
	with.conns = 4
	r := newRig(t, h, with)
	c := r.correspond(host4)
	for i := range 40 {
		p, q := r.bindUDP(host4), r.dialUDP(c.Addr())
		p.idle = i%2 == 0
		switch i % 5 {
		case 1:
			c.Send(p.at, []byte("unread"), 0)
		case 2:
			c.Send(p.at, []byte("unread"), 0)
			r.poll(pause)
		case 3:
			for range 3 {
				c.Send(p.at, []byte("half read"), 0)
			}
			p.size = 1
			r.poll(pause)
			p.receive()
		case 4:
			q.mail(netip.AddrPort{}, netip.Addr{}, "to be answered")
			c.Send(r.letters(c, 1)[0].from, []byte("answer"), 0)
		}
		p.l.close(i%3 == 0)
		q.l.close(false)
		r.until("EvClosed", func() bool { return p.l.closed == 1 && q.l.closed == 1 })
	}
	r.quiet()
	r.end()
}
