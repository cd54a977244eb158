package udp

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

const (
	// segmentsMax is how many datagrams the kernel divides one message into (UDP_MAX_SEGMENTS before Linux 6.9).
	segmentsMax = 64
	// payloadMax is the longest payload that an IPv4 packet has room for.
	payloadMax = 65535 - 20 - 8
	// gatherMax is the largest size of datagrams that are gathered to be divided again: what fits a packet of IPv6 on
	// Ethernet. The kernel does not divide a message into datagrams that would need fragments.
	gatherMax = 1500 - 40 - 8
)

// Send implements SendDatagrams.
func (x *IO) Send(fd int32, s *Socket, in []engine.Datagram) int {
	for n := 0; n < len(in); {
		taken, e := x.send(fd, s, in[n:])
		if e != 0 {
			if n > 0 {
				return n
			}
			return -int(e)
		}
		n += taken
	}
	return len(in)
}

// send makes one system call for as many entries as it has room for, and returns how many the socket has taken. A
// message that the kernel does not divide is divided here.
func (x *IO) send(fd int32, s *Socket, in []engine.Datagram) (int, unix.Errno) {
	if *s&bitWhole != 0 && in[0].Count() > 1 {
		return x.divide(fd, s, &in[0])
	}
	in = in[:min(len(in), engine.DatagramsMax)]
	var ends [engine.DatagramsMax]uint8 // entries in each message and those before it
	messages, used, bytes := 0, 0, uint32(0)
	for used < len(in) && bytes < bytesMax {
		count, segment := gather(in[used:], *s)
		if count == 0 || !x.compose(messages, used, in[used:used+count], segment, *s) {
			break
		}
		for i := range in[used : used+count] {
			bytes += in[used+i].Span.Len
		}
		used += count
		ends[messages] = uint8(used)
		messages++
	}
	if messages == 0 {
		return 0, unix.EAFNOSUPPORT
	}
	sent, e := x.call(unix.SYS_SENDMMSG, fd, messages)
	if e == 0 {
		return int(ends[sent-1]), 0
	}
	return x.apart(fd, s, in[:ends[0]], e)
}

// gather tells how many of the first entries go into one message, and the size of the datagrams that it is to be
// divided into; 0 for one that is a datagram itself. None do when the first has to be divided by us.
func gather(in []engine.Datagram, s Socket) (count int, segment uint16) {
	first := &in[0]
	size := first.Span.Len
	switch {
	case first.Count() > 1 && s&bitWhole != 0:
		return 0, 0
	case first.Count() > 1:
		return 1, first.Segment
	case s&bitWhole != 0 || size == 0 || size > gatherMax:
		return 1, 0
	}
	count = 1
	for total := size; count < min(len(in), segmentsMax); count++ {
		d := &in[count]
		total += d.Span.Len
		if d.Span.Len == 0 || d.Span.Len > size || d.Count() > 1 || total > payloadMax ||
			s&bitConnected == 0 && (d.Peer != first.Peer || d.Local != first.Local) {
			break
		}
		if d.Span.Len < size { // a shorter one is the last
			count++
			break
		}
	}
	if count == 1 {
		return 1, 0
	}
	return count, uint16(size)
}

// compose makes message number i of the entries, whose pieces are those from number at on. It reports whether the
// socket knows addresses of that kind.
func (x *IO) compose(i, at int, in []engine.Datagram, segment uint16, s Socket) bool {
	k := x.cells
	m := &k.messages[i]
	*m = message{iov: address(unsafe.Pointer(&k.pieces[at])), iovLen: uint64(len(in))}
	for j := range in {
		k.pieces[at+j] = x.piece(in[j].Span.Off, in[j].Span.Len)
	}
	beside := control{b: &k.controls[i]}
	if s&bitConnected == 0 && !x.direct(m, i, &beside, &in[0], s&bitSix != 0) {
		return false
	}
	if segment != 0 {
		beside.putSegment(segment)
	}
	if beside.used > 0 {
		m.control, m.controlLen = address(unsafe.Pointer(&k.controls[i])), beside.used
	}
	return true
}

// direct enters where message number i goes, and where it comes from.
func (x *IO) direct(m *message, i int, beside *control, d *engine.Datagram, six bool) bool {
	name := &x.cells.names[i]
	m.name = address(unsafe.Pointer(name))
	if m.nameLen = putName(name, &d.Peer, six); m.nameLen == 0 {
		return false
	}
	if d.Local.IP == [16]byte{} {
		return true
	}
	if !six && !d.Local.Is4() {
		return false
	}
	beside.putSource(&d.Local, six)
	return true
}

// apart sends, one by one, the datagrams of a message that was refused with e, if it was because they were several: the
// device cannot divide it (EIO), or they would need fragments then.
func (x *IO) apart(fd int32, s *Socket, in []engine.Datagram, e unix.Errno) (int, unix.Errno) {
	if e == unix.EIO {
		*s |= bitWhole
	} else if e != unix.EINVAL && e != unix.EMSGSIZE {
		return 0, e
	}
	whole := *s | bitWhole
	switch {
	case in[0].Count() > 1:
		return x.divide(fd, &whole, &in[0])
	case len(in) > 1:
		return x.send(fd, &whole, in)
	}
	return 0, e
}

// divide sends the datagrams that d stands for as messages of their own. When some have gone all count as taken.
func (x *IO) divide(fd int32, s *Socket, d *engine.Datagram) (int, unix.Errno) {
	var parts [engine.DatagramsMax]engine.Datagram
	for rest := d.Span; rest.Len > 0; {
		n := 0
		for ; n < len(parts) && rest.Len > 0; n++ {
			size := min(rest.Len, uint32(d.Segment))
			parts[n] = engine.Datagram{Span: mem.Span{Off: rest.Off, Len: size}, Peer: d.Peer, Local: d.Local}
			rest = mem.Span{Off: rest.Off + size, Len: rest.Len - size}
		}
		first := parts[0].Span.Off == d.Span.Off
		if sent, e := x.send(fd, s, parts[:n]); e != 0 && first {
			return 0, e
		} else if e != 0 || sent < n {
			break
		}
	}
	return 1, 0
}
