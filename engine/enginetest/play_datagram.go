package enginetest

import (
	"fmt"
	"hash/crc32"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// PlayDatagrams is Play for UDP sockets: one that is bound and some that are connected, and their correspondents. Two
// bytes of the script are one step, after each of which what has been sent has arrived.
func PlayDatagrams(t testing.TB, h Harness, script []byte) string {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := &mailroom{rig: newRig(t, h, usual)}
	s.all = s.bindUDP(host4)
	for i := range s.peers {
		s.peers[i] = s.correspond(host4)
	}
	for i := 0; i+1 < len(script) && i < 2*stepsMax; i += 2 {
		op, arg := int(script[i]), int(script[i+1])
		letters[op/len(s.peers)%len(letters)](s, op%len(s.peers), arg)
		s.settle()
	}
	s.end()
	return strings.Join(s.record, "\n")
}

// mailroom is where a script of datagrams is played.
type mailroom struct {
	*rig
	all    *post
	peers  [3]Correspondent
	links  [3]*post // connected to the peers, as far as a script has them connected
	record []string
	sent   int // counts what the steps send, so that no two datagrams are the same
	owed   int // datagrams that the backend's sockets are yet to receive
}

// letters are the operations of a script.
var letters = [...]func(s *mailroom, i, arg int){
	(*mailroom).peerSends, (*mailroom).peerBursts, (*mailroom).answers, (*mailroom).answers, (*mailroom).connects,
	(*mailroom).linkSends, (*mailroom).linkForwards, (*mailroom).closesLink, (*mailroom).asksFewer, (*mailroom).loses,
}

func (s *mailroom) note(format string, args ...any) {
	s.record = append(s.record, fmt.Sprintf(format, args...))
}

// size makes an argument the size of a datagram: mostly small, sometimes around where buffers change, or long.
func size(arg int) int {
	switch {
	case arg < 100:
		return arg * 7
	case arg < 200:
		return 4096 + arg - 150
	case arg < 250:
		return 100 * arg
	}
	return 64_000 + arg
}

func (s *mailroom) data(n int) []byte {
	s.sent += 13
	return lines()[s.sent:][:n]
}

func (s *mailroom) peerSends(i, arg int) {
	s.peers[i].Send(s.all.at, s.data(size(arg)), 0)
	s.owed++
}

func (s *mailroom) peerBursts(i, arg int) {
	n, each := 2+arg%30, 1+arg*3
	s.peers[i].Send(s.all.at, s.data(n*each-each/2), each)
	s.owed += n
}

// settle receives what is owed and writes it down.
func (s *mailroom) settle() {
	posts := append([]*post{s.all}, s.links[:]...)
	s.until("datagrams", func() bool {
		came := 0
		for _, p := range posts {
			if p != nil {
				came += len(p.got)
			}
		}
		return came >= s.owed
	})
	s.owed = 0
	for i, p := range posts {
		if p == nil {
			continue
		}
		for _, got := range p.got {
			s.note("socket %d: %d bytes %08x of peer %d, cut %v", i, len(got.data),
				crc32.ChecksumIEEE([]byte(got.data)), s.number(got.from), got.cut)
		}
		p.got, p.entries = p.got[:0], p.entries[:0]
	}
}

// number is which correspondent has an address.
func (s *mailroom) number(at netip.AddrPort) int {
	for i, c := range s.peers {
		if c.Addr() == at {
			return i
		}
	}
	return -1
}

// arrived writes down what a correspondent gets.
func (s *mailroom) arrived(i, count int) (from netip.AddrPort) {
	for _, got := range s.rig.letters(s.peers[i], count) {
		s.note("peer %d: %d bytes %08x", i, len(got.data), crc32.ChecksumIEEE([]byte(got.data)))
		from = got.from
	}
	return from
}

// answers sends several datagrams to a peer at once: equal ones, then others, some to be divided.
func (s *mailroom) answers(i, arg int) {
	buf, span := s.filled(string(s.data(4000)))
	peer := engine.MakeIPPort(s.peers[i].Addr())
	var in []engine.Datagram
	want := 0
	for k := range 1 + arg%9 {
		d := engine.Datagram{Span: span, Peer: peer}
		d.Span.Off += uint32(k * 10)
		d.Span.Len = uint32(10 * (arg >> 4))
		if k%5 == 4 {
			d.Span.Len, d.Segment = 900, uint16(300-arg)
		}
		in, want = append(in, d), want+d.Count()
	}
	if n := s.b.SendDatagrams(s.all.l.c, in); n != len(in) {
		s.t.Fatalf("SendDatagrams = %d of %d", n, len(in))
	}
	s.env.Mem.Drop(buf)
	s.arrived(i, want)
}

func (s *mailroom) connects(i, _ int) {
	if s.links[i] == nil {
		s.links[i] = s.dialUDP(s.peers[i].Addr())
	}
}

// linkSends sends over a connected socket, and gets an answer there.
func (s *mailroom) linkSends(i, arg int) {
	if s.links[i] == nil {
		return
	}
	s.links[i].mail(netip.AddrPort{}, netip.Addr{}, string(s.data(size(arg))))
	back := s.arrived(i, 1)
	s.peers[i].Send(back, s.data(arg), 0)
	s.owed++
}

// linkForwards passes a burst on, from one socket to another, without looking into it.
func (s *mailroom) linkForwards(i, arg int) {
	if s.links[i] == nil {
		return
	}
	n, each := 2+arg%30, 1+arg*3
	s.all.hold = true
	s.peers[i].Send(s.all.at, s.data(n*each), each)
	s.until("a burst", func() bool { return len(s.all.got) == n })
	if k := s.b.SendDatagrams(s.links[i].l.c, s.all.entries); k != len(s.all.entries) {
		s.t.Fatalf("SendDatagrams = %d of %d", k, len(s.all.entries))
	}
	s.arrived(i, n)
	s.all.hold = false
	s.drop()
	s.owed = n
}

// closesLink closes a socket that may have something.
func (s *mailroom) closesLink(i, arg int) {
	l := s.links[i]
	if l == nil {
		return
	}
	if arg&1 != 0 {
		l.mail(netip.AddrPort{}, netip.Addr{}, "last words")
		s.peers[i].Send(s.arrived(i, 1), []byte("never heard"), 0)
	}
	l.l.close(arg&2 != 0)
	s.until("EvClosed", func() bool { return l.l.closed == 1 })
	s.links[i] = nil
}

// asksFewer changes how much a receive takes at once.
func (s *mailroom) asksFewer(_, arg int) { s.all.size = 1 + arg%engine.DatagramsMax }

// loses replaces a peer: who is connected to the old one is refused.
func (s *mailroom) loses(i, _ int) {
	s.peers[i].Close()
	if l := s.links[i]; l != nil {
		for !refused(l) {
			l.mail(netip.AddrPort{}, netip.Addr{}, "is anybody there")
			s.until("a refusal", func() bool { return refused(l) })
		}
		s.note("socket %d: refused", i)
		l.l.close(false)
		s.until("EvClosed", func() bool { return l.l.closed == 1 })
		s.links[i] = nil
	}
	s.peers[i] = s.correspond(host4)
}

func refused(p *post) bool {
	for _, e := range p.errs {
		if e == -int(unix.ECONNREFUSED) {
			return true
		}
	}
	return false
}
