package server

import (
	"net"
	"net/netip"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/plan"
)

// portOf is the port of a socket.
func portOf(t *testing.T, fd int) int {
	t.Helper()
	addr, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	switch a := addr.(type) {
	case *unix.SockaddrInet4:
		return a.Port
	case *unix.SockaddrInet6:
		return a.Port
	}
	t.Fatalf("%T", addr)
	return 0
}

// send sends n datagrams to a port of ip.
func send(t *testing.T, ip string, port, n int) {
	t.Helper()
	conn, err := net.Dial("udp", net.JoinHostPort(ip, strconv.Itoa(port)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range n {
		_, _ = conn.Write(make([]byte, 1000)) // where nobody is there, the second one learns of it
	}
}

// What receives on all addresses receives on those of IPv4 as well, and no socket is blocking.
func TestDatagramsOfBothKinds(t *testing.T) {
	for _, c := range []struct {
		addr       string
		ipv4, ipv6 bool
	}{{"[::]:0", true, true}, {"[::1]:0", false, true}, {"0.0.0.0:0", true, false}} {
		fd, err := listenUDP(netip.MustParseAddrPort(c.addr))
		if err != nil {
			t.Logf("%s: %v", c.addr, err) // a machine without IPv6
			continue
		}
		for ip, want := range map[string]bool{"127.0.0.1": c.ipv4, "::1": c.ipv6} {
			send(t, ip, portOf(t, fd), 1)
			n, _, err := unix.Recvfrom(fd, make([]byte, 2000), 0)
			if (err == nil) != want || err != nil && err != unix.EAGAIN {
				t.Errorf("%s by %s: %d bytes, %v", c.addr, ip, n, err)
			}
		}
		if room(fd) < 100<<10 {
			t.Errorf("%s: room for %d bytes", c.addr, room(fd))
		}
		_ = unix.Close(fd)
	}
}

// The socket of a UDP listener is its shard's, which is given it once; what no shard has taken is closed with the set.
func TestDatagramSocketsAreGivenAway(t *testing.T) {
	s := newSockets(2)
	snap := &plan.Snapshot{Listeners: []plan.Listener{udpListener(free(t))}}
	if err := s.prepare(snap); err != nil {
		t.Fatal(err)
	}
	s.publish(snap)
	if has := s.room(0); has <= 0 || has > receiveBuffer {
		t.Errorf("room for %d bytes", has)
	}
	mine, others := s.take(0, 0), s.open[0].fds[1]
	if again := s.take(0, 0); again != mine {
		t.Errorf("socket %d, then %d", mine, again)
	}
	s.letGo(0, 0, mine)
	if fd := s.take(0, 0); fd >= 0 {
		t.Errorf("what was given away is there once more: %d", fd)
	}
	s.close()
	if got := listensOn(mine); got != where(&snap.Listeners[0]) {
		t.Errorf("the shard's socket: %s", got)
	}
	if got := listensOn(others); got == where(&snap.Listeners[0]) {
		t.Error("the other one is still open")
	}
	_ = unix.Close(mine)
}

// What the kernel drops for want of room is counted as long as the socket is there, and is not forgotten with it.
func TestOverruns(t *testing.T) {
	s := newSockets(1)
	snap := &plan.Snapshot{Listeners: []plan.Listener{udpListener(free(t))}}
	if err := s.prepare(snap); err != nil {
		t.Fatal(err)
	}
	s.publish(snap)
	fd := s.take(0, 0)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10); err != nil {
		t.Fatal(err)
	}
	if has := s.room(0); has >= receiveBuffer || has == 0 {
		t.Errorf("room for %d bytes", has)
	}
	port := int(snap.Listeners[0].Addr.Port())
	send(t, "127.0.0.1", port, 50)
	first := s.dropped(0)
	if first == 0 || first >= 50 {
		t.Errorf("%d of 50 dropped", first)
	}
	send(t, "127.0.0.1", port, 10)
	s.letGo(0, 0, fd)
	_ = unix.Close(fd)
	if n := s.dropped(0); n != first+10 {
		t.Errorf("%d dropped in all, %d at first", n, first)
	}
	if fd := s.take(0, 0); fd >= 0 {
		t.Errorf("what was given away is there once more: %d", fd)
	}
	s.close()
}
