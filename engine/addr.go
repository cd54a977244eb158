package engine

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// UnixPathMax is the longest path of a unix socket, in bytes (sun_path less its NUL, unix(7)).
const UnixPathMax = 107

// IPAddr is ap as a kernel socket address. An IPv4-mapped address becomes IPv4.
func IPAddr(ap netip.AddrPort) Addr {
	var a Addr
	ip := ap.Addr().Unmap()
	if ip.Is4() {
		binary.NativeEndian.PutUint16(a.Raw[0:], unix.AF_INET)
		binary.BigEndian.PutUint16(a.Raw[2:], ap.Port())
		v := ip.As4()
		copy(a.Raw[4:], v[:])
		a.Len = unix.SizeofSockaddrInet4
		return a
	}
	binary.NativeEndian.PutUint16(a.Raw[0:], unix.AF_INET6)
	binary.BigEndian.PutUint16(a.Raw[2:], ap.Port())
	v := ip.As16()
	copy(a.Raw[8:], v[:])
	a.Len = unix.SizeofSockaddrInet6
	return a
}

// UnixAddr is the socket address of a unix socket; a path that begins with '@' is an abstract one.
func UnixAddr(path string) (Addr, error) {
	var a Addr
	if path == "" || len(path) > UnixPathMax {
		return a, fmt.Errorf("unix socket path of %d bytes: must have between 1 and %d", len(path), UnixPathMax)
	}
	binary.NativeEndian.PutUint16(a.Raw[0:], unix.AF_UNIX)
	copy(a.Raw[2:], path)
	a.Len = uint32(2 + len(path))
	if path[0] == '@' {
		a.Raw[2] = 0
	} else {
		a.Len++ // the NUL counts for a path, not for an abstract name
	}
	return a, nil
}

// Family is the address family of a (AF_INET, AF_INET6, AF_UNIX).
func (a *Addr) Family() int { return int(binary.NativeEndian.Uint16(a.Raw[:])) }

// AddrPort reads an IP socket address back; the zero value for other families.
func (a *Addr) AddrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(a.Raw[2:])
	switch a.Family() {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a.Raw[4:8])), port)
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(a.Raw[8:24])).Unmap(), port)
	}
	return netip.AddrPort{}
}
