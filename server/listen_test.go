package server

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

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
