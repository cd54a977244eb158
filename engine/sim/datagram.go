package sim

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// longest is the longest payload of a datagram.
const longest = 65507

// AttachDatagrams implements engine.Backend.
func (b *Backend) AttachDatagrams(c *engine.Conn, fd int) int {
	u := b.w.bound[fd]
	if u == nil {
		violation(c, "attach of descriptor %d, which is no UDP socket or is attached already", fd)
	}
	delete(b.w.bound, fd)
	b.placeDatagrams(c, u, fd)
	return 0
}

// ConnectDatagrams implements engine.Backend.
func (b *Backend) ConnectDatagrams(c *engine.Conn, to *engine.Addr) int {
	if b.w.chance(b.w.faults.NoFiles) {
		return -int(unix.EMFILE)
	}
	peer := to.AddrPort()
	b.w.nextFD++
	b.placeDatagrams(c, &udpSocket{at: b.w.ephemeral(peer), peer: peer}, b.w.nextFD)
	return 0
}

func (b *Backend) placeDatagrams(c *engine.Conn, u *udpSocket, fd int) {
	so := newSocket(b.w, netip.AddrPort{})
	so.udp = u
	b.place(c, so, fd)
	c.State |= engine.StateDatagrams
	b.w.plug(u)
}

func (b *Backend) udpOf(c *engine.Conn, doing string) *udpSocket {
	so := b.of(c, doing)
	if so.udp == nil {
		violation(c, "%s on a stream", doing)
	}
	return so.udp
}

// readable reports whether an EvReadable is due.
func (b *Backend) readable(u *udpSocket) bool {
	if u.starved {
		u.starved = b.env.Mem.Receivable(mem.Small)+b.env.Mem.Receivable(mem.Bulk) == 0
	}
	return u.ready && !u.told && !u.starved
}

func (b *Backend) tell(so *socket, ev *engine.Event) {
	ev.Kind = engine.EvReadable
	so.udp.told = true
}

// RecvDatagrams implements engine.Backend.
func (b *Backend) RecvDatagrams(c *engine.Conn, out []engine.Datagram) int {
	u, w := b.udpOf(c, "RecvDatagrams"), b.w
	u.told = false
	if e := u.err; e != 0 {
		u.err = 0
		return -int(e)
	}
	room := min(len(out), engine.DatagramsMax)
	if room > 1 && w.chance(w.faults.ShortRead) { // as when there are fewer buffers
		room = 1 + w.rng.IntN(room-1)
	}
	n := 0
	for n < room && len(u.queue) > 0 {
		if w.chance(w.faults.NoBufs) || !b.collect(u, &out[n]) {
			b.env.Stats.NoBufs++
			if n == 0 {
				u.starved = true
				return -int(unix.ENOBUFS)
			}
			return n
		}
		n++
	}
	if n < room {
		u.ready = false
	}
	return n
}

// collect takes the next datagram, or, by chance, as many as belong together. It reports whether there was a buffer.
func (b *Backend) collect(u *udpSocket, d *engine.Datagram) bool {
	p := u.queue[0]
	count, bytes := 1, len(p.data)
	for b.w.chance(b.w.faults.Gather) && count < len(u.queue) {
		next := u.queue[count]
		if next.from != p.from || next.to != p.to || len(next.data) == 0 || len(next.data) > len(p.data) ||
			bytes%len(p.data) != 0 || bytes+len(next.data) > longest {
			break
		}
		count, bytes = count+1, bytes+len(next.data)
	}
	*d = engine.Datagram{Buf: mem.NoBuf, Peer: engine.MakeIPPort(p.from), Local: noPort(p.to.Addr())}
	if count > 1 {
		d.Segment = uint16(len(p.data))
	}
	if bytes > 0 && !b.hold(d, bytes) {
		return false
	}
	if size := uint32(d.Segment); size >= d.Span.Len {
		d.Segment = 0 // one, as far as there is room
	} else if size != 0 && d.Truncated {
		d.Span.Len -= d.Span.Len % size
	}
	at := d.Span
	for _, q := range u.queue[:count] {
		n := copy(b.env.Mem.Bytes(at), q.data)
		at = mem.Span{Off: at.Off + uint32(n), Len: at.Len - uint32(n)}
	}
	u.queue = u.queue[count:]
	return true
}

// hold takes a buffer for so many bytes, or for as many as it holds.
func (b *Backend) hold(d *engine.Datagram, bytes int) bool {
	class, other := mem.Small, mem.Bulk
	if bytes > mem.SmallBytes {
		class, other = other, class
	}
	buf, ok := b.env.Mem.TakeToReceive(class)
	if !ok {
		if buf, ok = b.env.Mem.TakeToReceive(other); !ok {
			return false
		}
	}
	d.Buf, d.Span = buf, b.env.Mem.Data(buf)
	d.Truncated = uint32(bytes) > d.Span.Len
	d.Span.Len = min(d.Span.Len, uint32(bytes))
	return true
}

// SendDatagrams implements engine.Backend.
func (b *Backend) SendDatagrams(c *engine.Conn, in []engine.Datagram) int {
	u, w := b.udpOf(c, "SendDatagrams"), b.w
	if e := u.err; e != 0 && w.rng.IntN(2) == 0 {
		u.err = 0
		return -int(e)
	}
	for i := range in {
		if w.chance(w.faults.Full) {
			return b.partly(i, unix.EAGAIN)
		}
		d := &in[i]
		p := packet{to: u.peer}
		if !p.to.IsValid() {
			p.to = d.Peer.AddrPort()
		}
		if p.to.Port() == 0 {
			violation(c, "a datagram for nobody on a socket that is not connected")
		}
		p.from = netip.AddrPortFrom(b.sender(c, u, d, p.to.Addr()), u.at.Port())
		if e := b.dispatch(d, p); e != 0 {
			return b.partly(i, e)
		}
	}
	return len(in)
}

// partly is what is returned after n datagrams were taken and one was not.
func (b *Backend) partly(n int, e unix.Errno) int {
	if n > 0 {
		return n
	}
	return -int(e)
}

// sender is the address that a datagram leaves from.
func (b *Backend) sender(c *engine.Conn, u *udpSocket, d *engine.Datagram, to netip.Addr) netip.Addr {
	from := u.at.Addr()
	if d.Local != (engine.IPPort{}) && !u.peer.IsValid() {
		from = d.Local.AddrPort().Addr()
	}
	switch {
	case !from.IsUnspecified():
	case to.Is4():
		from = loopback(0).Addr()
	default:
		from = netip.IPv6Loopback()
	}
	if from.Is4() != to.Is4() {
		violation(c, "a datagram from %v to %v", from, to)
	}
	return from
}

// dispatch sends the packets that d stands for.
func (b *Backend) dispatch(d *engine.Datagram, p packet) unix.Errno {
	bytes := b.env.Mem.Bytes(d.Span)
	if len(bytes) > longest {
		return unix.EMSGSIZE
	}
	for {
		n := len(bytes)
		if d.Segment != 0 {
			n = min(n, int(d.Segment))
		}
		p.data = append([]byte{}, bytes[:n]...)
		b.w.carry(p)
		if bytes = bytes[n:]; len(bytes) == 0 {
			return 0
		}
	}
}
