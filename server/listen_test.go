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

// A socket on which somebody listens is not taken away from them; what a dead process left is not in the way.
func TestUnixSocketIsTakenFromTheDead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if _, err := listenUnix(path); err != unix.EADDRINUSE {
		t.Errorf("taken: %v", err)
	}
	l.Close()
	fd, err := listenUnix(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Close(fd); err != nil {
		t.Error(err)
	}
}
