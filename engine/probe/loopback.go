package probe

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// listenLocally opens a listening socket that only this machine can reach: on loopback, or where there is none,
// an abstract unix socket.
func listenLocally() (int, engine.Addr, error) {
	var firstErr error
	for _, at := range []struct {
		family int
		name   unix.Sockaddr
	}{
		{unix.AF_INET, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}},
		{unix.AF_INET6, &unix.SockaddrInet6{Addr: [16]byte{15: 1}}},
		{unix.AF_UNIX, &unix.SockaddrUnix{}},
	} {
		fd, addr, err := listenAt(at.family, at.name)
		if err == nil {
			return fd, addr, nil
		}
		if firstErr == nil {
			firstErr = err
		}
	}
	return -1, engine.Addr{}, firstErr
}

func listenAt(family int, name unix.Sockaddr) (_ int, _ engine.Addr, err error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, engine.Addr{}, fmt.Errorf("create listening socket: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if err := unix.Bind(fd, name); err != nil {
		return -1, engine.Addr{}, fmt.Errorf("bind to loopback: %w", err)
	}
	if err := unix.Listen(fd, 1); err != nil {
		return -1, engine.Addr{}, fmt.Errorf("listen on loopback: %w", err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return -1, engine.Addr{}, fmt.Errorf("read socket name: %w", err)
	}
	addr, err := addrOf(bound)
	return fd, addr, err
}

func addrOf(sa unix.Sockaddr) (engine.Addr, error) {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return engine.IPAddr(netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))), nil
	case *unix.SockaddrInet6:
		return engine.IPAddr(netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))), nil
	case *unix.SockaddrUnix:
		return engine.UnixAddr(sa.Name)
	}
	return engine.Addr{}, fmt.Errorf("socket address of type %T", sa)
}
