package enginetest

import (
	"net/netip"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// Correspondent is a UDP socket on the peers' side.
type Correspondent interface {
	Addr() netip.AddrPort
	// Send sends one datagram; with size, several of so many bytes, the last perhaps shorter, in as few calls as the
	// world has for it.
	Send(to netip.AddrPort, data []byte, size int)
	// Receive takes the next datagram that has arrived; data is nil when there is none.
	Receive() (from netip.AddrPort, data []byte)
	// Close leaves nobody at the address.
	Close()
}

// The addresses of the cases.
var (
	host4, other4, third4 = netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"),
		netip.MustParseAddr("127.0.0.3")
	host6      = netip.IPv6Loopback()
	any4, any6 = netip.IPv4Unspecified(), netip.IPv6Unspecified()
)

// letter is a datagram that a case's socket has received.
type letter struct {
	from  netip.AddrPort
	local netip.Addr
	data  string
	cut   bool // truncated
}

// post is the suite's own account of one UDP socket of the backend's.
type post struct {
	l    *link
	at   netip.AddrPort // of a bound one
	size int            // how many entries a receive asks for
	idle bool           // receive only when the case says so
	hold bool           // keep the buffers
	told bool           // EvReadable was reported and nobody has received since

	got     []letter
	entries []engine.Datagram // as they were returned
	errs    []int
	out     [engine.DatagramsMax]engine.Datagram
}

// bindUDP gives the backend a socket at an address.
func (r *rig) bindUDP(at netip.Addr) *post {
	r.t.Helper()
	fd, addr, err := r.w.BindUDP(at)
	if err == ErrNoFamily {
		r.release()
		r.t.Skipf("no address %v on this machine", at)
	}
	if err != nil {
		r.t.Fatalf("bind to %v: %v", at, err)
	}
	p := r.post()
	p.at = addr
	if e := r.b.AttachDatagrams(p.l.c, fd); e != 0 {
		r.t.Fatalf("AttachDatagrams = %d", e)
	}
	return p
}

// dialUDP has the backend connect a socket. It fails only where there are faults, and is then tried again.
func (r *rig) dialUDP(to netip.AddrPort) *post {
	r.t.Helper()
	p := r.post()
	addr := engine.IPAddr(to)
	for e := -1; e != 0; {
		if e = r.b.ConnectDatagrams(p.l.c, &addr); e != 0 && !r.h.Faulty {
			r.t.Fatalf("ConnectDatagrams = %d", e)
		}
	}
	return p
}

func (r *rig) post() *post {
	p := &post{l: r.link(), size: engine.DatagramsMax}
	p.l.post = p
	return p
}

func (r *rig) correspond(at netip.Addr) Correspondent {
	r.t.Helper()
	c, err := r.w.Correspond(at)
	if err == ErrNoFamily {
		r.release()
		r.t.Skipf("no address %v on this machine", at)
	}
	if err != nil {
		r.t.Fatalf("correspondent at %v: %v", at, err)
	}
	return c
}

// readable books an EvReadable.
func (p *post) readable() {
	t := p.l.r.t
	t.Helper()
	if p.told {
		t.Fatalf("slot %d: EvReadable again though nobody has received since the last one", p.l.c.Slot)
	}
	p.told = true
	if !p.idle {
		p.receive()
	}
}

// receive takes what has come, once, and returns what RecvDatagrams did.
func (p *post) receive() int {
	r := p.l.r
	r.t.Helper()
	p.told = false
	n := r.b.RecvDatagrams(p.l.c, p.out[:p.size])
	if n < 0 {
		p.errs = append(p.errs, n)
		return n
	}
	for i := range p.out[:n] {
		p.take(&p.out[i])
	}
	return n
}

// take checks and books one entry, datagram by datagram.
func (p *post) take(d *engine.Datagram) {
	t, arena := p.l.r.t, p.l.r.env.Mem
	t.Helper()
	if (d.Span.Len == 0) != (d.Buf == mem.NoBuf) {
		t.Fatalf("slot %d: %d bytes in buffer %#x", p.l.c.Slot, d.Span.Len, d.Buf)
	}
	if d.Buf != mem.NoBuf {
		if room := arena.Data(d.Buf); d.Span.Off < room.Off || d.Span.End() > room.End() {
			t.Fatalf("slot %d: a datagram %v lies outside its buffer %v", p.l.c.Slot, d.Span, room)
		}
	}
	p.entries = append(p.entries, *d)
	data := arena.Bytes(d.Span)
	for range d.Count() {
		n := len(data)
		if d.Segment != 0 {
			n = min(n, int(d.Segment))
		}
		p.got = append(p.got, letter{
			from: d.Peer.AddrPort(), local: d.Local.AddrPort().Addr(), data: string(data[:n]), cut: d.Truncated,
		})
		data = data[n:]
	}
	if len(data) > 0 {
		t.Fatalf("slot %d: %d bytes of %v are left over", p.l.c.Slot, len(data), *d)
	}
	if p.hold && d.Buf != mem.NoBuf {
		p.l.r.held = append(p.l.r.held, d.Buf)
	} else {
		arena.Drop(d.Buf)
	}
}

// send sends the data as one datagram, to a peer or to whom the socket is connected, and returns what SendDatagrams
// did.
func (p *post) send(to netip.AddrPort, from netip.Addr, data string) int {
	r := p.l.r
	r.t.Helper()
	d := engine.Datagram{Buf: mem.NoBuf}
	if to.IsValid() {
		d.Peer = engine.MakeIPPort(to)
	}
	if from.IsValid() {
		d.Local = engine.MakeIPPort(netip.AddrPortFrom(from, 0))
	}
	if data != "" {
		d.Buf, d.Span = r.filled(data)
	}
	n := r.b.SendDatagrams(p.l.c, []engine.Datagram{d})
	r.env.Mem.Drop(d.Buf)
	return n
}

// mail is send, again and again where a fault may refuse it.
func (p *post) mail(to netip.AddrPort, from netip.Addr, data string) {
	p.l.r.t.Helper()
	for {
		n := p.send(to, from, data)
		if n == 1 {
			return
		}
		if !p.l.r.h.Faulty {
			p.l.r.t.Fatalf("SendDatagrams = %d", n)
		}
	}
}

// filled is a buffer with the data in it.
func (r *rig) filled(data string) (mem.Buf, mem.Span) {
	r.t.Helper()
	class := mem.Small
	if len(data) > mem.SmallBytes {
		class = mem.Head
	}
	buf, ok := r.env.Mem.Take(class)
	if !ok {
		r.t.Fatal("no buffer to send from")
	}
	span := r.env.Mem.Data(buf)
	span.Len = uint32(copy(r.env.Mem.Bytes(span), data))
	return buf, span
}

// letters waits until the correspondent has received n datagrams.
func (r *rig) letters(c Correspondent, n int) []letter {
	r.t.Helper()
	var all []letter
	r.until("datagrams for a correspondent", func() bool {
		for len(all) < n {
			from, data := c.Receive()
			if data == nil {
				return false
			}
			all = append(all, letter{from: from, data: string(data)})
		}
		return true
	})
	return all
}

// untilGot waits until n datagrams were received.
func (p *post) untilGot(n int) {
	p.l.r.t.Helper()
	p.l.r.until("datagrams", func() bool { return len(p.got) >= n })
	if len(p.got) > n {
		p.l.r.t.Fatalf("%d datagrams received, %d were sent", len(p.got), n)
	}
}

// nothing runs turns in which nothing comes. It may be told once that something does.
func (p *post) nothing() {
	r := p.l.r
	r.t.Helper()
	got, errs, told := len(p.got), len(p.errs), 0
	for range 20 {
		told += r.poll(pause)
		if p.told && p.idle {
			p.receive()
		}
	}
	if len(p.got) != got || len(p.errs) != errs || told > 1 {
		r.t.Fatalf("%d datagrams, errors %v and %d events where nothing may come", len(p.got)-got, p.errs[errs:], told)
	}
}
