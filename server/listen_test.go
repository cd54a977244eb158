package server

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// What listens on all addresses listens on those of IPv4 as well; what listens on one of IPv6, on that one alone.
func TestAllAddressesAreOfBothKinds(t *testing.T) {
	for _, c := range []struct {
		addr       string
		ipv4, ipv6 bool
	}{{"[::]:0", true, true}, {"[::1]:0", false, true}, {"0.0.0.0:0", true, false}} {
		fd, err := listenTCP(netip.MustParseAddrPort(c.addr))
		if err != nil {
			t.Logf("%s: %v", c.addr, err) // a machine without IPv6
			continue
		}
		file := os.NewFile(uintptr(fd), "listener")
		l, err := net.FileListener(file)
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		for ip, want := range map[string]bool{"127.0.0.1": c.ipv4, "::1": c.ipv6} {
			conn, err := net.Dial("tcp", net.JoinHostPort(ip, strconv.Itoa(port)))
			if (err == nil) != want && !errors.Is(err, unix.EADDRNOTAVAIL) {
				t.Errorf("%s by %s: %v", c.addr, ip, err)
			}
			if err == nil {
				conn.Close()
			}
		}
		l.Close()
		file.Close()
	}
}

// A socket on which somebody listens who is too busy to take connections is not taken away from them.
func TestBusyUnixSocketStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for {
		c, err := net.Dial("unix", path)
		if err != nil {
			break // the queue is full
		}
		defer c.Close()
	}
	if _, err := listenUnix(path); err != unix.EADDRINUSE {
		t.Errorf("taken: %v", err)
	}
	if err := unix.Close(fd); err != nil {
		t.Fatal(err)
	}
	fd, err = listenUnix(path)
	if err != nil {
		t.Fatalf("what a dead process left is in the way: %v", err)
	}
	if err := unix.Close(fd); err != nil {
		t.Error(err)
	}
	if err := os.Remove(path); err != nil {
		t.Error(err)
	}
}
