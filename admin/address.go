package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/internal/unixpath"
)

// DefaultAddress is where a process answers if nothing else is configured.
const DefaultAddress = "127.0.0.1:9901"

// Address is where a process answers: "127.0.0.1:9901", "[::1]:9901" or "unix:/run/admin.sock".
type Address string

// AddressOf is where l listens.
func AddressOf(l net.Listener) Address {
	if l.Addr().Network() == "unix" {
		return Address("unix:" + l.Addr().String())
	}
	return Address(l.Addr().String())
}

// ParseAddress reads an address; a port alone means the loopback.
func ParseAddress(s string) (Address, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		if path == "" {
			return "", errors.New(`a unix socket needs its path, as in "unix:/run/uringproxy/admin.sock"`)
		}
		return Address(s), nil
	}
	host, port, err := net.SplitHostPort(s)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 {
		return "", fmt.Errorf("%q is no address such as %q or \"unix:/run/uringproxy/admin.sock\"", s, DefaultAddress)
	}
	if host == "" || strings.EqualFold(host, "localhost") {
		host = "127.0.0.1"
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return "", fmt.Errorf("%q has no IP address in it, as %q has", s, DefaultAddress)
	}
	return Address(net.JoinHostPort(host, port)), nil
}

func (a Address) split() (network, address string) {
	if path, ok := strings.CutPrefix(string(a), "unix:"); ok {
		return "unix", path
	}
	return "tcp", string(a)
}

// Listen opens a. Without a token it refuses what others than this machine's could reach: TCP beyond the loopback, and
// unix sockets without a file. The file of a socket is for its owner alone from the beginning.
func Listen(a Address, o Options) (net.Listener, error) {
	network, address := a.split()
	config := net.ListenConfig{}
	if network == "unix" {
		if strings.HasPrefix(address, "@") {
			return nil, fmt.Errorf("listen on %s: an abstract socket has no mode that keeps others out; use a path", a)
		}
		if err := unixpath.RemoveStale(address); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", a, err)
		}
		config.Control = ownerOnly
	} else if at, err := netip.ParseAddrPort(address); err != nil || !at.Addr().Unmap().IsLoopback() && o.Token == "" {
		return nil, fmt.Errorf("listen on %s: not an address of the loopback, and nobody is asked for a token", a)
	}
	l, err := config.Listen(context.Background(), network, address)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("listen on %s: %w", a, err)
	}
	return l, nil
}

// ownerOnly sets the mode that the file of a socket will have when it is bound.
func ownerOnly(_, _ string, c syscall.RawConn) error {
	var err error
	if cerr := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) }); cerr != nil {
		return cerr
	}
	return err
}
