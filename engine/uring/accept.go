package uring

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

const (
	acceptsPerTurn  = 64  // of one listener, so that a flood of connections does not starve those we have
	peersPerTurn    = 256 // of all listeners
	listenersAtOnce = 64
	wakeTag         = -1 // in place of a listener's number
)

// acceptor is the shard's epoll set: its listening sockets, and the descriptor that wakes the shard. The ring
// waits on it: in tier T3 by EPOLL_WAIT, whose completion has the ready sockets in events already; below by a
// poll that stays armed, after which they are asked for.
type acceptor struct {
	epfd      int
	direct    bool  // EPOLL_WAIT is used
	armed     bool  // the ring waits on the set
	dirty     bool  // the set may have something
	got       int   // with direct: how many of events are valid
	listeners []int // descriptors by number; -1 is none
	peers     int   // how many of peer are in use in this turn

	events []unix.EpollEvent
	peer   []peerCell
	mem    []byte
}

// peerCell receives the address of an accepted socket: room for a sockaddr_in6.
type peerCell struct {
	addr [28]byte
	len  uint32
}

// open makes the set, with the wake-up descriptor in it.
func (a *acceptor) open(wakeFD int, direct bool) error {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("create epoll set: %w", err)
	}
	a.epfd, a.direct = epfd, direct
	// Edge-triggered: each write is told once, so that nobody has to read the descriptor empty.
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: wakeTag}
	if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, wakeFD, &ev); err != nil {
		return fmt.Errorf("add eventfd to epoll set: %w", err)
	}
	evBytes := listenersAtOnce * int(unsafe.Sizeof(unix.EpollEvent{}))
	peerBytes := peersPerTurn * int(unsafe.Sizeof(peerCell{}))
	m, err := unix.Mmap(-1, 0, evBytes+peerBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("map accept operands: %w", err)
	}
	base := unsafe.Pointer(unsafe.SliceData(m))
	a.mem = m
	a.peer = unsafe.Slice((*peerCell)(base), peersPerTurn)
	a.events = unsafe.Slice((*unix.EpollEvent)(unsafe.Add(base, peerBytes)), listenersAtOnce)
	return nil
}

func (a *acceptor) close() {
	if a.epfd >= 0 {
		_ = unix.Close(a.epfd)
	}
	if a.mem != nil {
		_ = unix.Munmap(a.mem)
	}
	*a = acceptor{epfd: -1}
}

// Listen starts accepting on fd.
func (b *Backend) Listen(l uint16, fd int) error {
	a := &b.accept
	for len(a.listeners) <= int(l) {
		a.listeners = append(a.listeners, -1)
	}
	if a.listeners[l] >= 0 {
		return fmt.Errorf("listen on number %d: already in use: %w", l, unix.EEXIST)
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l)}
	if err := unix.EpollCtl(a.epfd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("add listening socket to epoll set: %w", err)
	}
	b.syscalls++
	a.listeners[l] = fd
	return nil
}

// Unlisten stops accepting on l.
func (b *Backend) Unlisten(l uint16) {
	a := &b.accept
	if int(l) >= len(a.listeners) || a.listeners[l] < 0 {
		return
	}
	var unused unix.EpollEvent
	_ = unix.EpollCtl(a.epfd, unix.EPOLL_CTL_DEL, a.listeners[l], &unused)
	b.syscalls++
	a.listeners[l] = -1
}

// armEpoll queues the wait on the epoll set.
func (b *Backend) armEpoll() {
	a := &b.accept
	a.armed = true
	s := b.ring.sqe()
	if a.direct {
		*s = sqe{
			opcode: opEpollWait, fd: int32(a.epfd), addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(a.events)))),
			len: uint32(len(a.events)), userData: uint64(engine.MakeToken(0, 0, kindEpoll)),
		}
		return
	}
	*s = sqe{
		opcode: opPollAdd, fd: int32(a.epfd), len: pollAddMulti, opFlags: unix.POLLIN,
		userData: uint64(engine.MakeToken(0, 0, kindEpoll)),
	}
}

// epollReady takes note of a completion of the wait on the epoll set. What is ready is accepted at the end of
// the turn.
func (b *Backend) epollReady(e *cqe) {
	a := &b.accept
	a.armed = e.flags&cqeMore != 0
	a.dirty = true
	if a.direct {
		a.got = max(int(e.res), 0)
	}
	switch errno := unix.Errno(-min(e.res, 0)); errno {
	case 0, unix.EAGAIN, unix.EINTR, unix.ECANCELED:
	default:
		b.ring.err = fmt.Errorf("wait for listening sockets: %w", errno)
	}
}

// acceptReady accepts from the listening sockets that are ready, and waits for the set again. The set remains
// dirty while there may be more to accept than was taken now, unless the next EPOLL_WAIT will tell of it.
func (b *Backend) acceptReady(out []engine.Event, n int) int {
	a := &b.accept
	if !a.direct {
		got, err := unix.EpollWait(a.epfd, a.events, 0)
		b.syscalls++
		a.got = max(got, 0)
		a.dirty = err != nil || got == len(a.events)
	} else {
		a.dirty = false
	}
	for i := range a.events[:a.got] {
		ev, drained := &a.events[i], true
		switch {
		case ev.Fd >= 0:
			n, drained = b.acceptFrom(uint16(ev.Fd), out, n)
		case ev.Fd == wakeTag:
		default:
			n, drained = b.connCame(ev, out, n)
		}
		if !drained && !a.direct {
			a.dirty = true
		}
	}
	a.got = 0
	if !a.armed {
		b.armEpoll()
	}
	return n
}

// acceptFrom accepts from listener l until its queue is empty, a turn's share is taken or out is full. It
// reports whether the queue is empty.
func (b *Backend) acceptFrom(l uint16, out []engine.Event, n int) (int, bool) {
	a := &b.accept
	for range acceptsPerTurn {
		if a.listeners[l] < 0 {
			return n, true
		}
		if n == len(out) || a.peers == len(a.peer) {
			return n, false
		}
		peer := &a.peer[a.peers]
		peer.addr[0], peer.addr[1] = 0, 0
		peer.len = uint32(len(peer.addr))
		fd, _, errno := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(a.listeners[l]), uintptr(unsafe.Pointer(&peer.addr)),
			uintptr(unsafe.Pointer(&peer.len)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		b.syscalls++
		res := int32(fd)
		switch errno {
		case 0:
			b.count.Accepts++
		case unix.EAGAIN:
			return n, true
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			res = -int32(errno)
		default:
			continue // this one connection is gone already (accept(2) passes its errors on)
		}
		out[n] = engine.Event{Kind: engine.EvAccept, Listener: l, Res: res, Off: uint32(a.peers)}
		n++
		if res < 0 {
			return n, false
		}
		a.peers++
	}
	return n, false
}

// Peer is the remote address of an accepted socket.
func (b *Backend) Peer(ev *engine.Event) netip.AddrPort {
	if ev.Res < 0 || int(ev.Off) >= b.accept.peers {
		return netip.AddrPort{}
	}
	var addr engine.Addr
	copy(addr.Raw[:], b.accept.peer[ev.Off].addr[:])
	return addr.AddrPort()
}
