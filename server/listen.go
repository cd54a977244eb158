package server

import (
	"errors"
	"net/netip"

	"github.com/panjf2000/gnet/v2/pkg/socket"
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/internal/unixpath"
	"github.com/uringproxy/uringproxy/plan"
)

// where is the address of l, and what tells it from another listener's with the same one.
func where(l *plan.Listener) string {
	if l.Protocol == plan.UDP {
		return addressOf(l) + "/udp"
	}
	return addressOf(l)
}

// addressOf is the address of l as the configuration has it.
func addressOf(l *plan.Listener) string {
	if l.Unix != "" {
		return "unix:" + l.Unix
	}
	return l.Addr.String()
}

// listenTCP opens a socket of one address. TCP_NODELAY is inherited by the connections: what is sent goes out at once.
func listenTCP(addr netip.AddrPort) (int, error) {
	proto := "tcp4"
	options := []socket.Option[int]{
		{SetSockOpt: socket.SetReuseAddr, Opt: 1},
		{SetSockOpt: socket.SetReuseport, Opt: 1},
		{SetSockOpt: socket.SetNoDelay, Opt: 1},
	}
	everywhere := addr.Addr() == netip.IPv6Unspecified()
	if addr.Addr().Is6() {
		proto = "tcp6"
	}
	if everywhere { // IPv4 too, whatever net.ipv6.bindv6only says
		options = append(options, socket.Option[int]{SetSockOpt: socket.SetIPv6Only, Opt: 0})
	}
	fd, _, err := socket.TCPSocket(proto, addr.String(), true, options, nil)
	if everywhere && errors.Is(err, unix.EAFNOSUPPORT) {
		return listenTCP(netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())) // a kernel without IPv6
	}
	return fd, err
}

// listenUnix opens a unix socket. A file that a process left behind when it died is replaced; one on which somebody
// listens, or which is no socket, is not.
func listenUnix(path string) (int, error) {
	if path[0] != '@' {
		if err := unixpath.RemoveStale(path); err != nil {
			return -1, err
		}
	}
	fd, _, err := socket.UnixSocket("unix", path, true, nil, nil)
	return fd, err
}

func listenAdvice(err error) string {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return "; another process listens there: stop it, or change the address"
	case errors.Is(err, unix.EACCES):
		return "; ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE: " +
			"setcap cap_net_bind_service=+ep on the program, or choose a higher port"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return "; no interface of this machine has that address"
	}
	return ""
}
