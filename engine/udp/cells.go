package udp

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// The kernel's structures as far as they are used here, those of a 64-bit kernel, which is checked when compiling.
const _ = uint(unsafe.Sizeof(uintptr(0)) - 8)

// message is struct mmsghdr.
type message struct {
	name       uint64
	nameLen    uint32
	_          uint32
	iov        uint64
	iovLen     uint64
	control    uint64
	controlLen uint64
	flags      uint32
	_          uint32
	n          uint32 // bytes received or sent
	_          uint32
}

// piece is struct iovec.
type piece struct{ base, len uint64 }

// controlHeader is struct cmsghdr: the data follow it, and the next one begins at a multiple of eight.
type controlHeader struct {
	len   uint64
	level int32
	kind  int32
}

const (
	headerBytes = uint64(unsafe.Sizeof(controlHeader{}))
	nameBytes   = 32 // room for a sockaddr_in6
	// controlBytes is room for an address with its interface, twice on a socket for both kinds of addresses, and the
	// size of what was gathered.
	controlBytes = 104
)

// cells is the memory outside the arena that the system calls read and write.
type cells struct {
	messages [engine.DatagramsMax]message
	pieces   [2 * engine.DatagramsMax]piece
	names    [engine.DatagramsMax][nameBytes]byte
	controls [engine.DatagramsMax][controlBytes]byte
	address  [110]byte
}

func address(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }

// putName writes p as a socket address of the family and returns its length; 0 when it has no such form.
func putName(b *[nameBytes]byte, p *engine.IPPort, six bool) uint32 {
	*b = [nameBytes]byte{}
	binary.BigEndian.PutUint16(b[2:], p.Port)
	if six {
		binary.NativeEndian.PutUint16(b[0:], unix.AF_INET6)
		*(*[16]byte)(b[8:]) = p.IP
		binary.NativeEndian.PutUint32(b[24:], p.Zone)
		return unix.SizeofSockaddrInet6
	}
	if !p.Is4() {
		return 0
	}
	binary.NativeEndian.PutUint16(b[0:], unix.AF_INET)
	*(*[4]byte)(b[4:]) = [4]byte(p.IP[12:])
	return unix.SizeofSockaddrInet4
}

// name reads a socket address of the family.
func name(b *[nameBytes]byte, six bool) engine.IPPort {
	p := engine.IPPort{Port: binary.BigEndian.Uint16(b[2:])}
	if six {
		p.IP = [16]byte(b[8:])
		p.Zone = binary.NativeEndian.Uint32(b[24:])
		return p
	}
	p.IP[10], p.IP[11] = 0xff, 0xff
	*(*[4]byte)(p.IP[12:]) = [4]byte(b[4:])
	return p
}

// control is a buffer of control messages while it is written or read.
type control struct {
	b    *[controlBytes]byte
	used uint64
}

// next is the place for the next message, and for its data of so many bytes.
func (k *control) next(level, kind int32, bytes uint64) []byte {
	h := (*controlHeader)(unsafe.Pointer(&k.b[k.used]))
	*h = controlHeader{len: headerBytes + bytes, level: level, kind: kind}
	data := k.b[k.used+headerBytes:][:bytes]
	k.used += headerBytes + (bytes+7)&^7
	return data
}

// putSource has a datagram leave from the address of p (ip(7) IP_PKTINFO, ipv6(7) IPV6_PKTINFO).
func (k *control) putSource(p *engine.IPPort, six bool) {
	if six {
		info := k.next(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
		*(*[16]byte)(info) = p.IP
		binary.NativeEndian.PutUint32(info[16:], p.Zone)
		return
	}
	info := k.next(unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
	*(*[4]byte)(info) = [4]byte{} // any interface
	*(*[4]byte)(info[4:]) = [4]byte(p.IP[12:])
	*(*[4]byte)(info[8:]) = [4]byte{}
}

// putSegment has the kernel divide what is sent.
func (k *control) putSegment(size uint16) {
	binary.NativeEndian.PutUint16(k.next(unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2), size)
}

// read takes what was received beside a datagram: the address it was sent to, and the size of gathered ones. Of an IPv4
// datagram on a socket for both kinds of addresses both are there. The IPv4 one counts, which for a broadcast is an
// address that can answer it.
func (k *control) read(d *engine.Datagram) {
	for at := uint64(0); at+headerBytes <= k.used; {
		h := (*controlHeader)(unsafe.Pointer(&k.b[at]))
		if h.len < headerBytes || h.len > k.used-at {
			return // cut off
		}
		data := k.b[at+headerBytes : at+h.len]
		switch {
		case h.level == unix.IPPROTO_IP && h.kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			d.Local.IP[10], d.Local.IP[11] = 0xff, 0xff
			*(*[4]byte)(d.Local.IP[12:]) = [4]byte(data[4:])
		case h.level == unix.IPPROTO_IPV6 && h.kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			if d.Local.Is4() {
				break
			}
			d.Local = source([16]byte(data), binary.NativeEndian.Uint32(data[16:]))
		case h.level == unix.IPPROTO_UDP && h.kind == unix.UDP_GRO && len(data) >= 4:
			d.Segment = uint16(binary.NativeEndian.Uint32(data))
		}
		at += (h.len + 7) &^ 7
	}
}

// source is the address from which an IPv6 datagram is answered that was sent to ip: none for a multicast address, and
// with its interface for one that needs it.
func source(ip [16]byte, device uint32) engine.IPPort {
	switch {
	case ip[0] == 0xff:
		return engine.IPPort{}
	case ip[0] == 0xfe && ip[1]&0xc0 == 0x80:
		return engine.IPPort{IP: ip, Zone: device}
	}
	return engine.IPPort{IP: ip}
}
