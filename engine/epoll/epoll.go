// Package epoll is the backend for kernels without a usable io_uring: completions made out of readiness.
//
// Every socket is registered once, edge-triggered, for both directions. An edge sets ready bits in the
// connection; whoever has work and is ready stands on the run list, and Poll works that list: it performs
// the system call and reports the result as if the kernel had. Sends are tried at once, inside Send, and only
// what would block waits.
//
// Invariants: a connection stands on the run list at most once; a ready bit is cleared only by a system call that
// proves the socket drained (or full), so that the next edge is certain to come; nothing is ever in flight in
// the kernel, so Close releases at once; a buffer is taken when there is data to read, and an idle connection
// costs nothing beyond its engine.Conn. What the kernel reads or writes lies in the arena or in the mapped cells.
//
// It may import engine, engine/mem, engine/udp and internal/*. Only server (which chooses a backend) and tests import
// it.
package epoll

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/udp"
)

// Backend implements engine.Backend on epoll.
type Backend struct {
	env    engine.Env
	base   unsafe.Pointer // the arena's first byte
	cells  *cells
	epfd   int32
	pwait2 bool // epoll_pwait2 is there: timeouts in nanoseconds

	run     runList
	starved runList // UDP sockets that found no buffer
	waited  bool    // the last Poll asked the kernel for edges

	listeners []int32  // socket by listener number; -1 for none
	ready     []uint16 // listeners with connections waiting, in this Poll
	peers     uint32   // peer cells used in this Poll

	blocked blockedSends
	udp     udp.IO
	high    uint32 // slots from here on were never used
	count   engine.Stats

	wake waker
}

var _ engine.Backend = (*Backend)(nil)

// New is a backend that still has to be opened.
func New() *Backend { return &Backend{epfd: -1, wake: waker{fd: -1}} }

// Open implements engine.Backend.
func (b *Backend) Open(env engine.Env) error {
	b.env = env
	b.base = unsafe.Pointer(unsafe.SliceData(env.Mem.All()))
	if err := b.open(); err != nil {
		b.Shutdown()
		return err
	}
	return nil
}

func (b *Backend) open() error {
	var err error
	if b.cells, err = mapCells(); err != nil {
		return err
	}
	if err = b.blocked.open(b.env.Conns.Len()); err != nil {
		return err
	}
	if err = b.udp.Open(b.env.Mem, b.watchDatagrams); err != nil {
		return err
	}
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("create epoll instance: %w", err)
	}
	b.epfd = int32(epfd)
	if err = b.wake.open(); err != nil {
		return err
	}
	token := engine.MakeToken(0, 0, kindWake)
	if e := b.control(unix.EPOLL_CTL_ADD, b.wake.fd, unix.EPOLLIN|edgeTriggered, token); e != 0 {
		return fmt.Errorf("watch wake-up eventfd: %w", e)
	}
	_, e := b.waitNano(0)
	b.pwait2 = e == 0
	return nil
}

// Info implements engine.Backend.
func (b *Backend) Info() engine.Info {
	info := engine.Info{Name: "epoll", Tier: "T0"}
	if b.pwait2 {
		info.Features = []string{"epoll_pwait2"}
	}
	return info
}

// Shutdown implements engine.Backend.
func (b *Backend) Shutdown() {
	for slot := range b.high {
		if c := b.env.Conns.At(slot); c.State&engine.StateLive != 0 && c.FD >= 0 {
			unix.Close(int(c.FD))
			c.FD = -1
		}
	}
	b.high = 0
	b.wake.close()
	if b.epfd >= 0 {
		unix.Close(int(b.epfd))
		b.epfd = -1
	}
	b.blocked.close()
	b.udp.Close()
	b.cells.unmap()
	b.cells = nil
}

// publish makes the counters visible to other threads: once per Poll, because an atomic store is not free.
func (b *Backend) publish() {
	s := b.env.Stats
	atomic.StoreUint64(&s.Syscalls, b.count.Syscalls+b.udp.Syscalls)
	atomic.StoreUint64(&s.Polls, b.count.Polls)
	atomic.StoreUint64(&s.Events, b.count.Events)
	if s.Accepts != b.count.Accepts {
		atomic.StoreUint64(&s.Accepts, b.count.Accepts)
	}
	if n := b.count.NoBufs + b.udp.NoBufs; s.NoBufs != n {
		atomic.StoreUint64(&s.NoBufs, n)
	}
	if s.Stale != b.count.Stale {
		atomic.StoreUint64(&s.Stale, b.count.Stale)
	}
}
