package epoll

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// acceptsPerTurn is one listener's share of a turn.
const acceptsPerTurn = 64

// Listen implements engine.Backend. Listeners are level-triggered: what a turn leaves in a queue is reported again by
// the next wait.
func (b *Backend) Listen(l uint16, fd int) error {
	for int(l) >= len(b.listeners) {
		b.listeners = append(b.listeners, -1)
	}
	if b.listeners[l] >= 0 {
		return fmt.Errorf("listen on number %d: it is in use", l)
	}
	token := engine.MakeToken(uint32(l), 0, kindListener)
	if e := b.control(unix.EPOLL_CTL_ADD, int32(fd), unix.EPOLLIN, token); e != 0 {
		return fmt.Errorf("watch listening socket %d: %w", fd, e)
	}
	b.listeners[l] = int32(fd)
	b.ready = append(make([]uint16, 0, len(b.listeners)), b.ready...)
	return nil
}

// Unlisten implements engine.Backend.
func (b *Backend) Unlisten(l uint16) {
	if int(l) < len(b.listeners) && b.listeners[l] >= 0 {
		b.control(unix.EPOLL_CTL_DEL, b.listeners[l], 0, 0)
		b.listeners[l] = -1
	}
}

// acceptReady takes connections from the listeners that have some. It leaves half of out to the connections that
// exist already.
func (b *Backend) acceptReady(out []engine.Event) int {
	n := 0
	for _, l := range b.ready {
		for range acceptsPerTurn {
			if n > len(out)/2 || n == len(out) || b.peers == peersMax {
				return n
			}
			res := b.accept(b.listeners[l])
			if res == -int32(unix.EAGAIN) {
				break
			}
			if gone(res) {
				continue
			}
			out[n] = engine.Event{Kind: engine.EvAccept, Listener: l, Res: res, Off: b.peers}
			n++
			if res < 0 {
				break
			}
			b.peers++
			b.count.Accepts++
		}
	}
	return n
}

// accept takes one connection and notes its peer's address in the next cell.
func (b *Backend) accept(fd int32) int32 {
	k := b.cells
	peer := &k.peers[b.peers]
	k.size = uint32(len(peer))
	return result(b.call(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(peer)), uintptr(unsafe.Pointer(&k.size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0))
}

// gone reports whether an accept failed because of the connection that it would have returned (accept(2), "Error
// handling"): the next one may be well.
func gone(res int32) bool {
	switch unix.Errno(-res) {
	case unix.ECONNABORTED, unix.EPROTO, unix.EPERM, unix.ENETDOWN, unix.ENOPROTOOPT, unix.EHOSTDOWN, unix.ENONET,
		unix.EHOSTUNREACH, unix.EOPNOTSUPP, unix.ENETUNREACH, unix.ETIMEDOUT:
		return true
	}
	return false
}

// Peer implements engine.Backend.
func (b *Backend) Peer(ev *engine.Event) netip.AddrPort {
	if ev.Res < 0 {
		return netip.AddrPort{}
	}
	var a engine.Addr
	copy(a.Raw[:], b.cells.peers[ev.Off][:])
	return a.AddrPort()
}
