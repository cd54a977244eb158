package server

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/panjf2000/gnet/v2/pkg/socket"
	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine/udp"
	"github.com/uringproxy/uringproxy/plan"
)

// receiveBuffer is how many bytes of datagrams should find room in a socket while its shard is busy with something
// else: at 2 GB/s of them, those of two milliseconds.
const receiveBuffer = 4 << 20

// listenUDP opens a socket of one address for datagrams. What is needed to know where they came from and how many at
// once, the backend sets. SO_REUSEADDR is not set: with it any process might take the port over.
func listenUDP(addr netip.AddrPort) (int, error) {
	proto := "udp4"
	options := []socket.Option[int]{
		{SetSockOpt: socket.SetReuseport, Opt: 1},
		{SetSockOpt: setReceiveBuffer, Opt: receiveBuffer},
	}
	everywhere := addr.Addr() == netip.IPv6Unspecified()
	if addr.Addr().Is6() {
		proto = "udp6"
	}
	if everywhere { // IPv4 too, whatever net.ipv6.bindv6only says
		options = append(options, socket.Option[int]{SetSockOpt: socket.SetIPv6Only, Opt: 0})
	}
	fd, _, err := socket.UDPSocket(proto, addr.String(), false, options, nil)
	if everywhere && errors.Is(err, unix.EAFNOSUPPORT) {
		return listenUDP(netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())) // a kernel without IPv6
	}
	return fd, err
}

// setReceiveBuffer gives a socket room for so many bytes, or as near to it as we may.
func setReceiveBuffer(fd, bytes int) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bytes) == nil {
		return nil
	}
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, bytes) // at most net.core.rmem_max
}

// room is for how many bytes of datagrams a socket has room. The kernel doubles what it is told, and reckons with its
// own overhead then.
func room(fd int) int {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		return 0
	}
	return n / 2
}

// warnSmall says of which of the listeners, by their IDs, the sockets have less room for datagrams than they should.
func (s *Server) warnSmall(snap *plan.Snapshot, opened []int) {
	for _, id := range opened {
		if has := s.sockets.room(id); has < receiveBuffer {
			l := &snap.Listeners[id]
			s.log.Warn("receive buffer of a UDP listener is small, bursts of datagrams will be dropped",
				"listener", l.Name, "address", where(l), "bytes", has,
				"advice", fmt.Sprintf("sysctl -w net.core.rmem_max=%d, or give us CAP_NET_ADMIN", receiveBuffer))
		}
	}
}

// room is that of the sockets of a listener; as much as can be wanted where they are not UDP's.
func (s *sockets) room(id int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	set, least := s.open[id], receiveBuffer
	if set == nil || !set.datagrams {
		return least
	}
	for _, fd := range set.fds {
		if fd >= 0 {
			least = min(least, room(fd))
		}
	}
	return least
}

// dropped is how many datagrams the kernel has thrown away for a shard so far.
func (s *sockets) dropped(shard int) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, set := range s.open {
		s.look(set, shard)
	}
	for _, sets := range s.retired {
		for _, set := range sets {
			s.look(set, shard)
		}
	}
	return s.overruns[shard]
}

// look adds what the kernel has dropped of a set's datagrams since the last look, as long as the socket is known to be
// open: a shard says that it lets go of it before it closes it.
func (s *sockets) look(set *socketSet, shard int) {
	if !set.datagrams || set.fds[shard] < 0 {
		return
	}
	if now, ok := udp.Drops(set.fds[shard]); ok {
		s.overruns[shard] += uint64(now - set.overruns[shard])
		set.overruns[shard] = now
	}
}
