package engine

import (
	"net/netip"

	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/internal/invariant"
)

// DatagramsMax is the most that one RecvDatagrams takes and one SendDatagrams hands to the kernel at once. Longer
// slices are allowed; beyond it they gain nothing.
const DatagramsMax = 64

// IPPort is an IP address and a port without pointers, so that it may lie in a slab and serve as a key. The zero value
// is none.
type IPPort struct {
	IP   [16]byte // an IPv4 address as an IPv4-mapped one (RFC 4291, section 2.5.5.2)
	Zone uint32   // the index of the interface for a link-local IPv6 address (RFC 4007), else 0
	Port uint16   // in the host's byte order
}

// MakeIPPort is ap without pointers. Its zone, a name there, is left out.
func MakeIPPort(ap netip.AddrPort) IPPort {
	return IPPort{IP: ap.Addr().As16(), Port: ap.Port()}
}

// AddrPort is p for everyone else: unmapped, and without its zone.
func (p IPPort) AddrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(p.IP).Unmap(), p.Port)
}

// Is4 reports whether the address is an IPv4 one.
func (p IPPort) Is4() bool { return [12]byte(p.IP[:12]) == mapped }

// mapped is what an IPv4-mapped address begins with.
var mapped = [12]byte{10: 0xff, 11: 0xff}

// Datagram is one datagram, or with Segment several of equal size that stand behind one another, as the kernel can
// gather and divide them (udp(7), UDP_GRO and UDP_SEGMENT).
type Datagram struct {
	Span mem.Span // its bytes; an empty datagram has none
	Buf  mem.Buf  // of a received one: the buffer to drop, NoBuf for an empty one. Ignored when sending

	// Segment, when it is not 0, is the size of each of several datagrams in Span; the last one may be shorter.
	Segment uint16
	// Truncated tells that what was received did not fit its buffer. One datagram lacks its end then. Of several, those
	// in Span are whole, and others are lost.
	Truncated bool

	// Peer is who sent it. When sending, who is to get it, except on a connected socket, which has no use for this nor
	// for the next.
	Peer IPPort
	// Local is the address it was sent to, without a port, or none when that cannot answer (multicast). When sending,
	// the address to send from; none leaves the choice to the kernel.
	Local IPPort
}

// Count is the number of datagrams that d stands for.
func (d *Datagram) Count() int {
	if d.Segment == 0 || d.Span.Len == 0 {
		return 1
	}
	return (int(d.Span.Len) + int(d.Segment) - 1) / int(d.Segment)
}

// CheckDatagrams fails under the invariant tag when datagrams are asked of something else than a UDP socket that is not
// being closed.
func CheckDatagrams(c *Conn) {
	if invariant.Enabled && c.State != StateLive|StateDatagrams {
		invariant.Fail("datagrams on slot %d in state %#x", c.Slot, c.State)
	}
}
