package udp

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// TestBroadcast answers what was sent to all, which comes to sockets for IPv4 and for both kinds of addresses: from an
// address that can be answered from.
func TestBroadcast(t *testing.T) {
	for name, bind := range map[string]struct {
		family int
		at     unix.Sockaddr
	}{
		"IPv4": {unix.AF_INET, &unix.SockaddrInet4{}}, "both": {unix.AF_INET6, &unix.SockaddrInet6{}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			fd, err := unix.Socket(bind.family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if bind.family == unix.AF_INET6 {
				_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 0)
			}
			if err := unix.Bind(fd, bind.at); err != nil {
				t.Skip(err)
			}
			s, err := r.adopt(int32(fd))
			if err != nil {
				t.Fatal(err)
			}
			name, _ := unix.Getsockname(fd)
			port := 0
			switch a := name.(type) {
			case *unix.SockaddrInet4:
				port = a.Port
			case *unix.SockaddrInet6:
				port = a.Port
			}
			for _, ip := range [][4]byte{{127, 0, 0, 7}, {127, 255, 255, 255}} {
				if err := unix.SetsockoptInt(r.peer, unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err != nil {
					t.Fatal(err)
				}
				r.throw([]byte("who is there"), &unix.SockaddrInet4{Addr: ip, Port: port})
				s.Edge(unix.EPOLLIN)
				out := make([]engine.Datagram, 4)
				n := r.Receive(int32(fd), &s, out)
				if n != 1 {
					t.Fatalf("Receive = %d", n)
				}
				if sent := r.Send(int32(fd), &s, out[:1]); sent != 1 {
					t.Errorf("to %v: the answer from %v: %v", ip, out[0].Local.AddrPort(), unix.Errno(-sent))
				}
				r.arena.Drop(out[0].Buf)
			}
		})
	}
}
