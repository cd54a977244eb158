package sim

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// queueMax is how many datagrams a socket of the backend's keeps; what comes beyond is lost, as in a kernel.
const queueMax = 256

// packet is a datagram on its way.
type packet struct {
	from, to netip.AddrPort
	data     []byte
}

// udpSocket is a UDP socket of the backend's.
type udpSocket struct {
	at    netip.AddrPort // bound to; the address may be the unspecified one
	peer  netip.AddrPort // connected to, if it is valid
	queue []packet
	err   unix.Errno // from the network, to be told

	ready   bool // something came since the queue was last found empty
	told    bool // EvReadable was reported, and nobody has received since
	starved bool // the last receive found no buffer
}

// takes reports whether a packet is for the socket.
func (u *udpSocket) takes(p *packet) bool {
	if u.at.Port() != p.to.Port() || u.peer.IsValid() && u.peer != p.from {
		return false
	}
	if !u.at.Addr().IsUnspecified() {
		return u.at.Addr() == p.to.Addr()
	}
	return u.at.Addr().Is6() || p.to.Addr().Is4()
}

// Correspondent is a UDP socket at the other end of the world.
type Correspondent struct {
	w      *World
	at     netip.AddrPort
	queue  []packet
	handle func(from, to netip.AddrPort, data []byte)
	closed bool
}

// BindUDP makes a UDP socket for the backend and returns its descriptor, to be handed to Backend.AttachDatagrams. The
// address may be an unspecified one: then it gets what is sent to its port at any address of the family, and :: what is
// sent to IPv4 addresses too.
func (w *World) BindUDP(at netip.AddrPort) int {
	w.nextFD++
	w.bound[w.nextFD] = &udpSocket{at: at}
	return w.nextFD
}

// Correspond makes a UDP socket of the world's own at an address, which must be a specified one. What arrives is kept
// for Receive.
func (w *World) Correspond(at netip.AddrPort) *Correspondent {
	c := &Correspondent{w: w, at: at}
	w.correspondents = append(w.correspondents, c)
	return c
}

// Addr is where the correspondent is.
func (c *Correspondent) Addr() netip.AddrPort { return c.at }

// Handle has f called with each datagram that arrives, in the middle of a Poll or of SendDatagrams, instead of keeping
// it. f may send, and must not call the backend.
func (c *Correspondent) Handle(f func(from, to netip.AddrPort, data []byte)) { c.handle = f }

// Send sends a datagram.
func (c *Correspondent) Send(to netip.AddrPort, data []byte) {
	c.w.carry(packet{from: c.at, to: to, data: append([]byte(nil), data...)})
}

// Receive takes the next datagram that has arrived; data is nil when there is none.
func (c *Correspondent) Receive() (from netip.AddrPort, data []byte) {
	if len(c.queue) == 0 {
		return netip.AddrPort{}, nil
	}
	p := c.queue[0]
	c.queue = c.queue[1:]
	return p.from, p.data
}

// Close leaves nobody at the address: what is sent there is answered with an ICMP error.
func (c *Correspondent) Close() {
	c.closed = true
	for i, other := range c.w.correspondents {
		if other == c {
			c.w.correspondents = append(c.w.correspondents[:i], c.w.correspondents[i+1:]...)
			return
		}
	}
}

// carry takes a packet to where it is sent to, unless a fault has it lost, late, or there twice.
func (w *World) carry(p packet) {
	if w.chance(w.faults.Lose) {
		return
	}
	copies := 1
	if w.chance(w.faults.Duplicate) {
		copies++
	}
	for range copies {
		if w.chance(w.faults.Late) {
			w.After(1+w.rng.Int64N(w.faults.DelayMax), func() { w.arrive(p) })
		} else {
			w.arrive(p)
		}
	}
}

// arrive puts a packet into the queue of the socket that it is for: a connected one before one that is not, and one at
// its address before one at all.
func (w *World) arrive(p packet) {
	for _, c := range w.correspondents {
		if c.at == p.to {
			if c.handle != nil {
				c.handle(p.from, p.to, p.data)
			} else {
				c.queue = append(c.queue, p)
			}
			return
		}
	}
	if u := w.socketFor(&p); u != nil {
		if len(u.queue) < queueMax {
			u.queue = append(u.queue, p)
			u.ready = true
		}
		return
	}
	w.refuse(&p)
}

func (w *World) socketFor(p *packet) *udpSocket {
	var found *udpSocket
	rank := func(u *udpSocket) int {
		switch {
		case u == nil:
			return 0
		case u.peer.IsValid():
			return 3
		case !u.at.Addr().IsUnspecified():
			return 2
		}
		return 1
	}
	for _, u := range w.udp {
		if u.takes(p) && rank(u) > rank(found) {
			found = u
		}
	}
	return found
}

// TooBig tells the connected socket that sent from an address to c that a packet did not fit the way (RFC 1191).
func (c *Correspondent) TooBig(from netip.AddrPort) {
	c.w.inform(&packet{from: from, to: c.at}, unix.EMSGSIZE)
}

// refuse tells who sent a packet that nobody is there. Only a connected socket learns of it (ip(7), IP_RECVERR).
func (w *World) refuse(p *packet) { w.inform(p, unix.ECONNREFUSED) }

// inform tells the connected socket that p came from what has become of it.
func (w *World) inform(p *packet, e unix.Errno) {
	for _, u := range w.udp {
		if u.peer == p.to && u.at.Port() == p.from.Port() {
			u.err, u.ready = e, true
		}
	}
}

// plug makes a socket one that packets reach.
func (w *World) plug(u *udpSocket) { w.udp = append(w.udp, u) }

func (w *World) unplug(u *udpSocket) {
	for i, other := range w.udp {
		if other == u {
			w.udp = append(w.udp[:i], w.udp[i+1:]...)
			return
		}
	}
}

// ephemeral is a fresh address to reach to from.
func (w *World) ephemeral(to netip.AddrPort) netip.AddrPort {
	w.port++
	if to.Addr().Is4() {
		return loopback(w.port)
	}
	return netip.AddrPortFrom(netip.IPv6Loopback(), w.port)
}

// noPort is an address as Datagram.Local has it.
func noPort(a netip.Addr) engine.IPPort { return engine.MakeIPPort(netip.AddrPortFrom(a, 0)) }
