package admin

import (
	"errors"
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A socket on which somebody listens who is too busy to take connections is not taken away from them.
func TestBusySocketStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
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
	if l, err := Listen(Address("unix:"+path), Options{}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("taken: %v, %v", l, err)
	}
}
