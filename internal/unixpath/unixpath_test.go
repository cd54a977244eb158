package unixpath

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What a dead process left goes; what somebody listens on stays, however busy they are, and so does what is no socket.
func TestRemoveStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if err := RemoveStale(path); err != nil {
		t.Errorf("nothing is there: %v", err)
	}
	fd := listen(t, path)
	if err := RemoveStale(path); err != unix.EADDRINUSE {
		t.Errorf("somebody listens: %v", err)
	}
	for {
		c, err := net.Dial("unix", path)
		if err != nil {
			break // the queue is full
		}
		defer c.Close()
	}
	if err := RemoveStale(path); err != unix.EADDRINUSE {
		t.Errorf("somebody listens and is busy: %v", err)
	}
	if err := unix.Close(fd); err != nil {
		t.Fatal(err)
	}
	if err := RemoveStale(path); err != nil {
		t.Errorf("nobody listens any more: %v", err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := RemoveStale(path); err == nil {
		t.Error("no error for a file")
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("a file that is no socket: %v", err)
	}
}

// listen makes a socket whose file stays when it is closed, and with room for one connection.
func listen(t *testing.T, path string) (fd int) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: path})
	}
	if err == nil {
		err = unix.Listen(fd, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}
