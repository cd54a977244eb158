package udp

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

var loopback4 = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}

// rig is an IO with a peer to receive from and one to send to.
type rig struct {
	testing.TB
	IO
	peer int // sends
	sink *unix.SockaddrInet4
	end  int // the socket at sink
}

// socket is one that the IO has adopted.
type socket struct {
	fd int32
	s  Socket
	at *unix.SockaddrInet4
}

func newRig(t testing.TB) *rig {
	t.Helper()
	runtime.LockOSThread()
	arena, err := mem.NewArena(mem.Sizes{Small: 256, Bulk: 128, Head: 2, BulkBytes: 128 << 10})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{TB: t}
	if err := r.Open(arena, nil); err != nil {
		t.Fatal(err)
	}
	r.peer, _ = r.socket(loopback4)
	r.end, r.sink = r.socket(loopback4)
	t.Cleanup(func() {
		for _, class := range []mem.Class{mem.Small, mem.Bulk, mem.Head} {
			if n := arena.InUse(class); n != 0 {
				t.Errorf("%d buffers of class %d are in use at the end", n, class)
			}
		}
		r.Close()
		arena.Close()
		runtime.UnlockOSThread()
	})
	return r
}

func (r *rig) socket(at *unix.SockaddrInet4) (int, *unix.SockaddrInet4) {
	r.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, at)
	}
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { unix.Close(fd) })
	name, err := unix.Getsockname(fd)
	if err != nil {
		r.Fatal(err)
	}
	return fd, name.(*unix.SockaddrInet4)
}

func (r *rig) bound(at *unix.SockaddrInet4) *socket {
	r.Helper()
	fd, name := r.socket(at)
	s, err := r.adopt(int32(fd))
	if err != nil {
		r.Fatal(err)
	}
	return &socket{int32(fd), s, name}
}

func (r *rig) connected(to *unix.SockaddrInet4) *socket {
	r.Helper()
	addr := engine.IPAddr(ipPort(to).AddrPort())
	fd, s, err := r.dial(&addr)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { unix.Close(int(fd)) })
	return &socket{fd: fd, s: s}
}

func ipPort(a *unix.SockaddrInet4) engine.IPPort {
	return engine.MakeIPPort(netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port)))
}

// throw has the peer send.
func (r *rig) throw(data []byte, to *unix.SockaddrInet4) {
	r.Helper()
	if err := unix.Sendto(r.peer, data, 0, to); err != nil {
		r.Fatal(err)
	}
}

// arrived takes what has come to the sink.
func (r *rig) arrived() (all []string) {
	r.Helper()
	buf := make([]byte, 65536)
	for {
		n, _, err := unix.Recvfrom(r.end, buf, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			return all
		}
		if err != nil {
			r.Fatal(err)
		}
		all = append(all, string(buf[:n]))
	}
}

// text is a Small or Head buffer with the data.
func (r *rig) text(data string) (mem.Buf, mem.Span) {
	r.Helper()
	class := mem.Small
	if len(data) > mem.SmallBytes {
		class = mem.Head
	}
	buf, _ := r.arena.Take(class)
	span := r.arena.Data(buf)
	span.Len = uint32(copy(r.arena.Bytes(span), data))
	return buf, span
}

// TestWithoutDivision sends batches over a socket whose device does not divide: we do, and as fast as before otherwise.
func TestWithoutDivision(t *testing.T) {
	r := newRig(t)
	for _, whole := range []bool{false, true} {
		for _, size := range []int{1, 30, 1000} {
			out := r.bound(loopback4)
			if whole {
				out.s |= bitWhole
			}
			want := bytes.Repeat([]byte("0123456789abcdefghi"), 3000/19)
			buf, span := r.text(string(want))
			if size == 1 {
				span.Len = 200 // more than the kernel would divide
			}
			in := []engine.Datagram{
				{Span: mem.Span{Off: span.Off, Len: 10}, Peer: ipPort(r.sink)},
				{Span: span, Segment: uint16(size), Peer: ipPort(r.sink)},
				{Span: mem.Span{Off: span.Off, Len: 20}, Peer: ipPort(r.sink)},
				{Span: mem.Span{Off: span.Off, Len: 20}, Peer: ipPort(r.sink)},
			}
			if n := r.Send(out.fd, &out.s, in); n != len(in) {
				t.Fatalf("Send = %d", n)
			}
			wants := []string{string(want[:10])}
			for piece := range slices.Chunk(want[:span.Len], size) {
				wants = append(wants, string(piece))
			}
			wants = append(wants, string(want[:20]), string(want[:20]))
			if got := r.arrived(); !slices.Equal(got, wants) {
				t.Errorf("size %d, whole %v: %d datagrams came, want %d", size, whole, len(got), len(wants))
			}
			r.arena.Drop(buf)
		}
	}
}

// TestGathered counts the system calls and messages of a burst of equal datagrams.
func TestGathered(t *testing.T) {
	r := newRig(t)
	out := r.connected(r.sink)
	var in []engine.Datagram
	var want []string
	for i := range 60 {
		data := string(bytes.Repeat([]byte{byte(i)}, 100))
		buf, span := r.text(data)
		in, want = append(in, engine.Datagram{Span: span, Buf: buf}), append(want, data)
	}
	if count, segment := gather(in, out.s); count != len(in) || segment != 100 {
		t.Errorf("gather = %d of %d", count, segment)
	}
	calls := r.Syscalls
	if n := r.Send(out.fd, &out.s, in); n != len(in) || r.Syscalls != calls+1 {
		t.Errorf("Send = %d with %d system calls", n, r.Syscalls-calls)
	}
	if got := r.arrived(); !slices.Equal(got, want) {
		t.Errorf("%d datagrams came", len(got))
	}
	for _, d := range in {
		r.arena.Drop(d.Buf)
	}
}

// TestGather says what belongs together.
func TestGather(t *testing.T) {
	d := func(size, segment uint32, port uint16) engine.Datagram {
		return engine.Datagram{Span: mem.Span{Len: size}, Segment: uint16(segment), Peer: engine.IPPort{Port: port}}
	}
	many := slices.Repeat([]engine.Datagram{d(1000, 0, 1)}, 80)
	for _, c := range []struct {
		in      []engine.Datagram
		s       Socket
		count   int
		segment uint16
	}{
		{in: []engine.Datagram{d(100, 0, 1)}, count: 1},
		{in: []engine.Datagram{d(100, 0, 1), d(100, 0, 1), d(99, 0, 1), d(99, 0, 1)}, count: 3, segment: 100},
		{in: []engine.Datagram{d(100, 0, 1), d(101, 0, 1)}, count: 1},
		{in: []engine.Datagram{d(100, 0, 1), d(100, 0, 2)}, count: 1},
		{in: []engine.Datagram{d(100, 0, 1), d(100, 0, 2)}, s: bitConnected, count: 2, segment: 100},
		{in: []engine.Datagram{d(100, 0, 1), d(0, 0, 1)}, count: 1},
		{in: []engine.Datagram{d(0, 0, 1), d(0, 0, 1)}, count: 1},
		{in: []engine.Datagram{d(100, 0, 1), d(100, 50, 1)}, count: 1},
		{in: []engine.Datagram{d(300, 100, 1), d(100, 0, 1)}, count: 1, segment: 100},
		{in: []engine.Datagram{d(300, 100, 1)}, s: bitWhole, count: 0},
		{in: []engine.Datagram{d(100, 100, 1)}, s: bitWhole, count: 1},
		{in: []engine.Datagram{d(0, 100, 1)}, count: 1},
		{in: []engine.Datagram{d(100, 0, 1), d(100, 0, 1)}, s: bitWhole, count: 1},
		{in: []engine.Datagram{d(gatherMax+1, 0, 1), d(gatherMax+1, 0, 1)}, count: 1},
		{in: many, count: segmentsMax, segment: 1000},
		{in: slices.Repeat([]engine.Datagram{d(1450, 0, 1)}, 80), count: payloadMax / 1450, segment: 1450},
	} {
		if count, segment := gather(c.in, c.s); count != c.count || segment != c.segment {
			t.Errorf("gather of %d times %d, %d in state %#x = %d of %d, want %d of %d", len(c.in), c.in[0].Span.Len,
				c.in[0].Segment, c.s, count, segment, c.count, c.segment)
		}
	}
}

// TestErrorBehindDatagrams keeps an error that came behind datagrams for the next call.
func TestErrorBehindDatagrams(t *testing.T) {
	r := newRig(t)
	in := r.bound(loopback4)
	in.s.Edge(unix.EPOLLIN)
	in.s.keep(unix.ECONNREFUSED)
	r.throw([]byte("x"), in.at)
	out := make([]engine.Datagram, 4)
	if n := r.Receive(in.fd, &in.s, out); n != -int(unix.ECONNREFUSED) || !in.s.Due() {
		t.Fatalf("Receive = %d, due %v", n, in.s.Due())
	}
	if n := r.Receive(in.fd, &in.s, out); n != 1 || in.s.Due() {
		t.Fatalf("Receive = %d, due %v", n, in.s.Due())
	}
	r.arena.Drop(out[0].Buf)
}

// TestDrained says when a socket is known to be empty.
func TestDrained(t *testing.T) {
	r := newRig(t)
	in := r.bound(loopback4)
	out := make([]engine.Datagram, 2)
	take := func(events uint32, sent, want int, due bool) {
		t.Helper()
		for range sent {
			r.throw([]byte("x"), in.at)
		}
		in.s.Edge(events)
		in.s.Tell()
		n := r.Receive(in.fd, &in.s, out)
		if n != want || in.s.Due() != due {
			t.Errorf("after %d datagrams and events %#x: Receive = %d, due %v", sent, events, n, in.s.Due())
		}
		for i := range n {
			r.arena.Drop(out[i].Buf)
		}
	}
	take(unix.EPOLLIN, 0, 0, false)
	take(unix.EPOLLIN, 1, 1, false)
	take(unix.EPOLLIN, 2, 2, true)
	take(unix.EPOLLIN, 0, 0, false)
	take(unix.EPOLLIN|unix.EPOLLERR, 1, 1, true) // an error may stand behind it
	take(unix.EPOLLIN, 0, 0, false)
	take(unix.EPOLLIN, 3, 2, true)
	take(unix.EPOLLIN, 0, 1, false)
}

// TestForeignFamily refuses addresses that the socket's family does not have.
func TestForeignFamily(t *testing.T) {
	r := newRig(t)
	out := r.bound(loopback4)
	buf, span := r.text("x")
	six := engine.MakeIPPort(netip.MustParseAddrPort("[::1]:9"))
	four := ipPort(r.sink)
	for _, d := range []engine.Datagram{{Span: span, Peer: six}, {Span: span, Peer: four, Local: six}} {
		if n := r.Send(out.fd, &out.s, []engine.Datagram{d}); n != -int(unix.EAFNOSUPPORT) {
			t.Errorf("Send = %d, want -EAFNOSUPPORT", n)
		}
		good := engine.Datagram{Span: span, Peer: four}
		if n := r.Send(out.fd, &out.s, []engine.Datagram{good, d, good}); n != 1 {
			t.Errorf("Send = %d, want 1", n)
		}
	}
	r.arena.Drop(buf)
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	if _, err := r.adopt(int32(pair[0])); err != unix.EAFNOSUPPORT {
		t.Errorf("adopt of a unix socket: %v", err)
	}
}

// TestNames writes addresses and reads them back.
func TestNames(t *testing.T) {
	for _, text := range []string{"1.2.3.4:5", "[::1]:65535", "[fe80::1]:53", "[2001:db8::7]:1", "[::ffff:1.2.3.4]:5"} {
		p := engine.MakeIPPort(netip.MustParseAddrPort(text))
		if p.IP[0] == 0xfe {
			p.Zone = 3
		}
		for _, six := range []bool{false, true} {
			var b [nameBytes]byte
			if n := putName(&b, &p, six); n == 0 {
				if six || p.Is4() {
					t.Errorf("%s has no form", text)
				}
			} else if got := name(&b, six); got != p {
				t.Errorf("%s came back as %v", text, got)
			}
		}
	}
}

// FuzzControl reads arbitrary control messages: within their bounds, and to an end.
func FuzzControl(f *testing.F) {
	b := new([controlBytes]byte)
	k := control{b: b}
	local := engine.MakeIPPort(netip.MustParseAddrPort("[2001:db8::7]:0"))
	k.putSource(&local, true)
	binary.NativeEndian.PutUint32(k.next(unix.IPPROTO_UDP, unix.UDP_GRO, 4), 1200)
	f.Add(b[:k.used])
	k = control{b: new([controlBytes]byte)}
	local = engine.MakeIPPort(netip.MustParseAddrPort("1.2.3.4:0"))
	k.putSource(&local, false)
	k.putSegment(100)
	f.Add(k.b[:k.used])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		var cells struct {
			_ uint64
			b [controlBytes]byte
		}
		k := control{b: &cells.b}
		k.used = uint64(copy(k.b[:], data))
		var d engine.Datagram
		k.read(&d)
		if d.Local.Is4() || d.Local == (engine.IPPort{}) {
			return
		}
		again := control{b: new([controlBytes]byte)}
		again.putSource(&d.Local, true)
		var e engine.Datagram
		again.read(&e)
		if e.Local != d.Local {
			t.Errorf("%v came back as %v", d.Local, e.Local)
		}
	})
}

// TestControl reads what the kernel puts beside a datagram.
func TestControl(t *testing.T) {
	for text, want := range map[string]string{"2001:db8::1": "2001:db8::1", "fe80::9": "fe80::9", "ff02::1": "::"} {
		k := control{b: new([controlBytes]byte)}
		p := engine.MakeIPPort(netip.AddrPortFrom(netip.MustParseAddr(text), 0))
		p.Zone = 7
		k.putSource(&p, true)
		var d engine.Datagram
		k.read(&d)
		if got := d.Local.AddrPort().Addr().String(); got != want {
			t.Errorf("asked at %s, answers from %s, want %s", text, got, want)
		}
		if linkLocal := want == "fe80::9"; (d.Local.Zone == 7) != linkLocal {
			t.Errorf("%s has zone %d", text, d.Local.Zone)
		}
	}
}

// TestAllocations counts what a batch allocates, large and small ones in turns.
func TestAllocations(t *testing.T) {
	r := newRig(t)
	in, out := r.bound(loopback4), r.connected(r.sink)
	small, large := []byte("small"), make([]byte, 9000)
	entries := make([]engine.Datagram, 8)
	drain := make([]byte, 65536)
	addr := engine.IPAddr(ipPort(r.sink).AddrPort())
	if n := testing.AllocsPerRun(200, func() {
		fd, _, err := r.dial(&addr)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(int(fd))
		for _, data := range [][]byte{small, large} {
			r.throw(data, in.at)
			n := r.Receive(in.fd, &in.s, entries)
			r.Send(out.fd, &out.s, entries[:n])
			for i := range n {
				r.arena.Drop(entries[i].Buf)
			}
			unix.Read(r.end, drain)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
