package server

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"

	"github.com/panjf2000/gnet/v2/pkg/socket"
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/plan"
)

// sockets are the listening sockets: fds[shard][listener]. Each shard has its own of every TCP listener (SO_REUSEPORT),
// so that the kernel spreads the connections; a unix socket is one, shared by all.
type sockets struct {
	fds   [][]int
	paths []string // of unix sockets, to be removed at the end
}

// listen opens every listener for every shard, or none.
func listen(listeners []plan.Listener, shards int) (*sockets, error) {
	s := &sockets{fds: make([][]int, shards)}
	for i := range listeners {
		l := &listeners[i]
		for shard := range shards {
			fd, err := s.open(l, shard, i)
			if err != nil {
				s.close()
				return nil, fmt.Errorf("listener %s: listen on %s: %w%s", l.Name, where(l), err, listenAdvice(err))
			}
			s.fds[shard] = append(s.fds[shard], fd)
		}
	}
	return s, nil
}

func (s *sockets) open(l *plan.Listener, shard, index int) (int, error) {
	if l.Unix == "" {
		return listenTCP(l.Addr)
	}
	if shard > 0 {
		return unix.FcntlInt(uintptr(s.fds[0][index]), unix.F_DUPFD_CLOEXEC, 0)
	}
	fd, err := listenUnix(l.Unix)
	if err == nil && l.Unix[0] != '@' {
		s.paths = append(s.paths, l.Unix)
	}
	return fd, err
}

func where(l *plan.Listener) string {
	if l.Unix != "" {
		return "unix:" + l.Unix
	}
	return l.Addr.String()
}

// listenTCP opens a socket of one address. TCP_NODELAY is inherited by the connections: what is sent goes out at once.
func listenTCP(addr netip.AddrPort) (int, error) {
	proto := "tcp4"
	if addr.Addr().Is6() {
		proto = "tcp"
		if addr.Addr() != netip.IPv6Unspecified() {
			proto = "tcp6"
		}
	}
	fd, _, err := socket.TCPSocket(proto, addr.String(), true,
		[]socket.Option[int]{
			{SetSockOpt: socket.SetReuseAddr, Opt: 1},
			{SetSockOpt: socket.SetReuseport, Opt: 1},
			{SetSockOpt: socket.SetNoDelay, Opt: 1},
		}, nil)
	if errors.Is(err, unix.EAFNOSUPPORT) && addr.Addr() == netip.IPv6Unspecified() {
		return listenTCP(netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())) // a kernel without IPv6
	}
	return fd, err
}

// listenUnix opens a unix socket. A file that a process left behind when it died is replaced; one on which somebody
// listens, or which is no socket, is not.
func listenUnix(path string) (int, error) {
	if path[0] != '@' {
		if err := removeStale(path); err != nil {
			return -1, err
		}
	}
	fd, _, err := socket.UnixSocket("unix", path, true, nil, nil)
	return fd, err
}

func removeStale(path string) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s exists and is no socket", path)
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return unix.EADDRINUSE
	}
	return os.Remove(path)
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

// close removes the paths first: once nobody listens any more, another process may put its own socket there.
func (s *sockets) close() {
	for _, path := range s.paths {
		_ = os.Remove(path) // somebody else may have removed it
	}
	for _, fds := range s.fds {
		for _, fd := range fds {
			_ = unix.Close(fd) // a listening socket holds nothing that could be lost
		}
	}
	s.fds, s.paths = nil, nil
}
