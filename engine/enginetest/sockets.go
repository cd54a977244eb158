package enginetest

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// sockets is the World of the kernel: loopback and unix sockets.
type sockets struct {
	dir   string
	names int
	open  map[int]bool // descriptors that are still ours
}

func newSockets(t testing.TB) *sockets {
	dir, err := os.MkdirTemp("", "enginetest")
	if err != nil {
		t.Fatal(err)
	}
	return &sockets{dir: dir, open: map[int]bool{}}
}

func (w *sockets) Close() {
	for fd := range w.open {
		unix.Close(fd)
	}
	w.open = nil
	os.RemoveAll(w.dir)
}

func (w *sockets) path() string {
	w.names++
	return filepath.Join(w.dir, fmt.Sprint("s", w.names))
}

// bind makes a bound stream socket that does not listen yet.
func (w *sockets) bind(f Family) (fd int, at engine.Addr, err error) {
	switch f {
	case TCP4:
		at = engine.IPAddr(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0))
	case TCP6:
		at = engine.IPAddr(netip.AddrPortFrom(netip.IPv6Loopback(), 0))
	case Unix:
		if at, err = engine.UnixAddr(w.path()); err != nil {
			return -1, at, err
		}
	}
	fd, err = unix.Socket(at.Family(), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, at, ErrNoFamily
	}
	if err = rawAddr(unix.SYS_BIND, fd, &at); err != nil {
		unix.Close(fd)
		return -1, at, ErrNoFamily
	}
	w.open[fd] = true
	if f != Unix {
		at.Len = uint32(len(at.Raw))
		_, _, e := unix.Syscall(unix.SYS_GETSOCKNAME, uintptr(fd),
			uintptr(unsafe.Pointer(&at.Raw)), uintptr(unsafe.Pointer(&at.Len)))
		if e != 0 {
			return fd, at, e
		}
	}
	return fd, at, nil
}

// rawAddr makes bind(2) or connect(2).
func rawAddr(nr uintptr, fd int, at *engine.Addr) error {
	if _, _, e := unix.Syscall(nr, uintptr(fd), uintptr(unsafe.Pointer(&at.Raw)), uintptr(at.Len)); e != 0 {
		return e
	}
	return nil
}

func (w *sockets) Listen(f Family) (int, engine.Addr, error) {
	fd, at, err := w.bind(f)
	if err != nil {
		return fd, at, err
	}
	return fd, at, unix.Listen(fd, 4096)
}

func (w *sockets) Dial(at engine.Addr) (Peer, error) {
	fd, err := unix.Socket(at.Family(), unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	w.open[fd] = true
	p := &socketPeer{w: w, fd: fd}
	if err = rawAddr(unix.SYS_CONNECT, fd, &at); err != nil {
		p.Close()
		return nil, err
	}
	p.ready()
	return p, nil
}

func (w *sockets) Serve(f Family) (Acceptor, error) {
	fd, at, err := w.Listen(f)
	if err != nil {
		return nil, err
	}
	return &socketAcceptor{w: w, fd: fd, at: at}, nil
}

// Nobody is the address of a socket that is bound and does not listen, so that nobody else gets it; for Unix a path
// that does not exist.
func (w *sockets) Nobody(f Family) engine.Addr {
	if f == Unix {
		at, _ := engine.UnixAddr(w.path())
		return at
	}
	_, at, _ := w.bind(f)
	return at
}

// Unanswered is a listening socket whose queue is full: the kernel drops what would be one connection more.
func (w *sockets) Unanswered() engine.Addr {
	fd, at, err := w.bind(TCP4)
	if err == nil {
		err = unix.Listen(fd, 0)
	}
	if err == nil {
		_, err = w.Dial(at)
	}
	if err != nil {
		panic(err)
	}
	return at
}

type socketAcceptor struct {
	w  *sockets
	fd int
	at engine.Addr
}

func (a *socketAcceptor) Addr() engine.Addr { return a.at }

func (a *socketAcceptor) Accept() Peer {
	fd, _, err := unix.Accept4(a.fd, unix.SOCK_CLOEXEC)
	if err != nil {
		return nil
	}
	a.w.open[fd] = true
	p := &socketPeer{w: a.w, fd: fd}
	p.ready()
	return p
}

type socketPeer struct {
	w  *sockets
	fd int
}

// ready makes a connected socket behave: nothing blocks, nothing is held back.
func (p *socketPeer) ready() {
	unix.SetNonblock(p.fd, true)
	unix.SetsockoptInt(p.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // fails on a unix socket, which does not need it
}

func (p *socketPeer) Write(b []byte) (int, error) {
	n, err := unix.SendmsgN(p.fd, b, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	if err == unix.EAGAIN {
		return 0, ErrWait
	}
	return n, err
}

func (p *socketPeer) Read(b []byte) (int, error) {
	for {
		n, err := unix.Read(p.fd, b)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return 0, ErrWait
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

func (p *socketPeer) CloseWrite() { unix.Shutdown(p.fd, unix.SHUT_WR) }

func (p *socketPeer) Close() {
	if p.w.open[p.fd] {
		delete(p.w.open, p.fd)
		unix.Close(p.fd)
	}
}

func (p *socketPeer) Reset() {
	unix.SetsockoptLinger(p.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	p.Close()
}

func (p *socketPeer) Addr() netip.AddrPort {
	sa, err := unix.Getsockname(p.fd)
	if err != nil {
		return netip.AddrPort{}
	}
	return addrPort(sa)
}
