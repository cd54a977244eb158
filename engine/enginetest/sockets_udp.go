package enginetest

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// udpSocket makes a socket that is bound to a port of its own.
func (w *sockets) udpSocket(at netip.Addr) (fd int, addr netip.AddrPort, err error) {
	family := unix.AF_INET
	if at.Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, addr, ErrNoFamily
	}
	if err = unix.Bind(fd, sockaddr(netip.AddrPortFrom(at, 0))); err != nil {
		unix.Close(fd)
		return -1, addr, ErrNoFamily
	}
	// As much room as the suite's bursts need, whatever the system's default is.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
	bound, err := unix.Getsockname(fd)
	if err != nil {
		unix.Close(fd)
		return -1, addr, err
	}
	return fd, addrPort(bound), nil
}

func (w *sockets) BindUDP(at netip.Addr) (int, netip.AddrPort, error) {
	return w.udpSocket(at)
}

func (w *sockets) Correspond(at netip.Addr) (Correspondent, error) {
	fd, addr, err := w.udpSocket(at)
	if err != nil {
		return nil, err
	}
	w.open[fd] = true
	return &udpPeer{w: w, fd: fd, at: addr}, nil
}

// udpPeer is a correspondent in the kernel.
type udpPeer struct {
	w  *sockets
	fd int
	at netip.AddrPort
}

func (p *udpPeer) Addr() netip.AddrPort { return p.at }

func (p *udpPeer) Send(to netip.AddrPort, data []byte, size int) {
	for whole := data; ; {
		n := len(whole)
		if size > 0 { // as much as the kernel divides at once
			n = min(n, 60*size, 60_000/size*size)
			if err := unix.SetsockoptInt(p.fd, unix.SOL_UDP, unix.UDP_SEGMENT, size); err != nil {
				panic(err)
			}
		}
		if err := unix.Sendto(p.fd, whole[:n], 0, sockaddr(to)); err != nil {
			panic(err)
		}
		if whole = whole[n:]; len(whole) == 0 {
			break
		}
	}
	if size > 0 {
		unix.SetsockoptInt(p.fd, unix.SOL_UDP, unix.UDP_SEGMENT, 0)
	}
}

func (p *udpPeer) Receive() (netip.AddrPort, []byte) {
	buf := make([]byte, 65536)
	n, from, err := unix.Recvfrom(p.fd, buf, unix.MSG_DONTWAIT)
	if err != nil {
		return netip.AddrPort{}, nil
	}
	return addrPort(from), buf[:n]
}

func (p *udpPeer) Close() {
	delete(p.w.open, p.fd)
	unix.Close(p.fd)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}
