package proxyproto

import (
	"encoding/binary"
	"net/netip"
)

// Of version 2 (section 2.2): bytes in front of the addresses, and what stands in the two behind the signature.
const (
	fixedBytes = 16

	version2     = 0x20
	commandLocal = 0
	commandProxy = 1

	familyNone = 0
	familyIPv4 = 1
	familyIPv6 = 2
	familyUnix = 3

	transportNone   = 0
	transportStream = 1
	transportMax    = 2
)

// addressBytes is how long the addresses of a family are, ports included.
var addressBytes = [...]int{familyNone: 0, familyIPv4: 2*4 + 2*2, familyIPv6: 2*16 + 2*2, familyUnix: 2 * 108}

// parse2 is Parse for the binary header of version 2. Its fixed part is judged byte by byte, the rest when it is there.
func (h *Header) parse2(b []byte) (n int, code Code) {
	at := len(signature2)
	if len(b) == at {
		return 0, NeedMore
	}
	local := b[at] == version2|commandLocal
	switch {
	case b[at]&0xf0 != version2:
		return 0, BadVersion
	case !local && b[at] != version2|commandProxy:
		return 0, BadCommand
	case len(b) == at+1:
		return 0, NeedMore
	}
	family, transport := b[at+1]>>4, b[at+1]&0xf
	switch {
	case !local && (family > familyUnix || transport > transportMax):
		return 0, BadFamily
	case len(b) < fixedBytes:
		return 0, NeedMore
	}
	if local || transport == transportNone { // what follows is to be ignored
		family = familyNone
	}
	n = fixedBytes + int(binary.BigEndian.Uint16(b[at+2:]))
	vectors := fixedBytes + addressBytes[family]
	switch {
	case n > MaxLen:
		return 0, TooLong
	case n < vectors:
		return 0, TooShort
	case len(b) < n:
		return 0, NeedMore
	}
	h.Local = local
	if family == familyNone {
		return n, OK
	}
	h.addresses(family, b[fixedBytes:vectors])
	return n, checkVectors(b[:n], vectors)
}

// addresses reads a block of addresses of that family.
func (h *Header) addresses(family byte, b []byte) {
	var from, to netip.Addr
	switch family {
	case familyIPv4:
		from, to = netip.AddrFrom4([4]byte(b)), netip.AddrFrom4([4]byte(b[4:]))
	case familyIPv6:
		from, to = netip.AddrFrom16([16]byte(b)), netip.AddrFrom16([16]byte(b[16:]))
	default:
		return
	}
	ports := b[len(b)-4:]
	h.Source = netip.AddrPortFrom(from, binary.BigEndian.Uint16(ports))
	h.Destination = netip.AddrPortFrom(to, binary.BigEndian.Uint16(ports[2:]))
}

// appendAddresses appends the fixed part and the addresses of h, which is not local. The length is still to be written.
func (h *Header) appendAddresses(b []byte) []byte {
	from, to, family := pair(h.Source, h.Destination)
	switch family {
	case familyIPv4:
		a, z := from.As4(), to.As4()
		b = append(append(append(b, family<<4|transportStream, 0, 0), a[:]...), z[:]...)
	case familyIPv6:
		a, z := from.As16(), to.As16()
		b = append(append(append(b, family<<4|transportStream, 0, 0), a[:]...), z[:]...)
	default:
		return append(b, familyNone<<4|transportNone, 0, 0)
	}
	b = binary.BigEndian.AppendUint16(b, h.Source.Port())
	return binary.BigEndian.AppendUint16(b, h.Destination.Port())
}

// pair brings two addresses to one family, without zones; familyNone: one of them is missing.
func pair(src, dst netip.AddrPort) (from, to netip.Addr, family byte) {
	from, to = src.Addr().WithZone(""), dst.Addr().WithZone("")
	switch {
	case !from.IsValid() || !to.IsValid():
		return from, to, familyNone
	case from.Is4() && to.Is4():
		return from, to, familyIPv4
	}
	return netip.AddrFrom16(from.As16()), netip.AddrFrom16(to.As16()), familyIPv6
}
