// Package unixpath makes way for unix sockets in the file system. It imports the standard library and golang.org/x/sys
// only, and is for whoever opens listening sockets.
package unixpath

import (
	"errors"
	"io/fs"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// RemoveStale removes the file of a socket that a process left behind when it died. One on which somebody listens, or
// which is no socket, stays, and is an error.
func RemoveStale(path string) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Mode()&fs.ModeSocket == 0 {
		return errors.New("there is a file, and it is no socket")
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, unix.ECONNREFUSED) { // EAGAIN, for one, is what a full queue of somebody's connections says
		return unix.EADDRINUSE
	}
	return os.Remove(path)
}
