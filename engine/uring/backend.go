// Package uring is the io_uring backend: engine.Backend on a ring of the kernel's completions.
//
// It owns the ring, the ring of receive buffers, an epoll set with the listening sockets, the UDP sockets and the
// wake-up descriptor, and the sockets from Attach or Connect to EvClosed. One io_uring_enter per Poll submits
// everything that was asked for, runs what the kernel has finished and waits. The epoll set is waited on through the
// ring, so there is one wait.
//
// Invariants: every address that the kernel is given lies in mapped memory, never in the Go heap or on a
// stack; user data is an engine.Token, never a pointer; a slot's Ops counts the operations from their request
// to their last completion, and only at zero is the descriptor closed and the slot given back; no operation
// is used that the kernel runs on a worker thread (SPLICE, SHUTDOWN, regular files): shutdown(2) and close(2)
// are called directly.
//
// It imports engine, engine/mem, engine/udp and golang.org/x/sys/unix. It is imported by server and engine/probe.
package uring

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/engine/udp"
)

// Options choose how a Backend works. The zero value is the product's default.
type Options struct {
	// Tier forces T1, T2 or T3; Open fails when it is not available. Empty chooses the best.
	Tier string
	// Entries is the size of the submission queue, a power of two; 0 means 512. When memory is short fewer
	// are used, down to 64.
	Entries int
	// CQFactor is how many times larger the completion queue is; 0 means 8.
	CQFactor int
	// PostedSmall is how many Small buffers the kernel holds for receives; 0 means 128. They become more by
	// themselves when a burst needs it.
	PostedSmall int
	// MinWait is how long Poll may wait for more than one completion when many connections are busy, see
	// Expect. 0 means 30 µs, negative is off, and so is every value in tier T1. The resolution is a microsecond.
	MinWait time.Duration

	// oldest does without multishot receive, deferred task work and the like, as on Linux 5.19; for tests.
	oldest bool
}

// Kinds of completion, in the token.
const (
	kindRecv = iota
	kindSend
	kindConnect
	kindCancel // and the two after it: the cancellation of kindRecv, kindSend and kindConnect
	_
	_
	kindEpoll     // the epoll set has something; of the backend, not of a connection
	kindCancelAll // of Shutdown
)

// Backend is one shard's ring. Use New.
type Backend struct {
	ring  ring
	conns *engine.Table
	arena *mem.Arena
	small bufRing
	cells cells

	done       slotList // connections with an event that needs no completion
	starved    slotList // UDP sockets that found no buffer
	moved      slotList // those whose send out of a pipe has ended: reported before a completion can end one of them
	highSlot   uint32   // slots from here on never had a socket
	minWait    uint32   // microseconds; 0: off
	gather     uint32   // completions worth that wait, see Expect; 0: none
	sends      uint32   // sends queued since the last enter
	bulked     uint32   // bytes received into Bulk buffers in this turn
	stream     uint16   // sqe.ioprio of a stream's receive
	streamMost int32    // how many bytes it ends after; 0: the kernel has no such limit
	tier       string
	support    Support

	accept acceptor
	udp    udp.IO
	wake   waker

	stats    *engine.Stats
	count    engine.Stats // what stats shows, of this thread alone
	syscalls uint64       // made outside the ring
	opt      Options
}

var _ engine.Backend = (*Backend)(nil)

// New is a backend that is not yet open.
func New(opt Options) *Backend {
	if opt.Entries == 0 {
		opt.Entries = 512
	}
	if opt.CQFactor == 0 {
		opt.CQFactor = 8
	}
	if opt.PostedSmall == 0 {
		opt.PostedSmall = 128
	}
	return &Backend{opt: opt, accept: acceptor{epfd: -1}, wake: waker{fd: -1}}
}

// Open sets the ring up on the calling thread. Its errors name the step that failed and wrap the errno.
func (b *Backend) Open(env engine.Env) error {
	b.conns, b.arena, b.stats = env.Conns, env.Mem, env.Stats
	if err := b.ring.open(uint32(b.opt.Entries), uint32(b.opt.CQFactor), b.opt.oldest); err != nil {
		return err
	}
	if err := b.setUp(); err != nil {
		b.release()
		return err
	}
	return nil
}

func (b *Backend) setUp() error {
	var err error
	if b.support, err = b.ring.support(); err != nil {
		return err
	}
	if err = b.chooseTier(); err != nil {
		return err
	}
	if err = b.limitStreams(); err != nil {
		return err
	}
	if err = b.small.open(&b.ring, b.arena, mem.Small, b.opt.PostedSmall); err != nil {
		return err
	}
	if err = b.cells.open(b.ring.sqSize, b.arena); err != nil {
		return err
	}
	if err = b.udp.Open(b.arena, b.watchDatagrams); err != nil {
		return err
	}
	if err = b.wake.open(); err != nil {
		return err
	}
	if err = b.accept.open(b.wake.fd, b.tier == T3); err != nil {
		return err
	}
	b.armEpoll()
	b.wake.state.Store(wakeAwake)
	return nil
}

func (b *Backend) chooseTier() error {
	best := b.support.Tier()
	b.tier = b.opt.Tier
	switch b.tier {
	case T1, T2, T3, "":
	default:
		return fmt.Errorf("open io_uring: tier %q is unknown: use T1, T2 or T3", b.tier)
	}
	if b.tier == "" {
		b.tier = best
	}
	if best == "" || b.tier > best {
		want := max(b.tier, T1)
		return fmt.Errorf("open io_uring tier %s: the kernel lacks %s: %w",
			want, strings.Join(b.support.Lacks(want), ", "), unix.EOPNOTSUPP)
	}
	if b.support.Multishot && !b.opt.oldest {
		b.stream = recvMultishot
	}
	if b.opt.MinWait == 0 {
		b.opt.MinWait = defaultMinWait
	}
	if b.tier != T1 && b.opt.MinWait > 0 {
		b.minWait = uint32(max(b.opt.MinWait.Microseconds(), 1))
	}
	return nil
}

// Info names the tier and the optional features in use.
func (b *Backend) Info() engine.Info {
	info := engine.Info{Name: ringName, Tier: b.tier}
	add := func(have bool, name string) {
		if have {
			info.Features = append(info.Features, name)
		}
	}
	add(b.support.DeferTaskrun, "deferred task work")
	add(b.support.NoSQArray, "no index array")
	add(b.ring.registered(), "registered ring")
	add(b.support.Multishot, "multishot receive")
	add(b.streamMost > 0, "limited multishot receive")
	add(b.minWait > 0, "minimum wait")
	add(b.tier == T3, "epoll wait")
	return info
}

// publish makes the counters visible to other threads.
func (b *Backend) publish(events int) {
	c := &b.count
	c.Polls++
	c.Events += uint64(events)
	c.Syscalls = b.ring.syscalls + b.syscalls + b.udp.Syscalls
	atomic.StoreUint64(&b.stats.Syscalls, c.Syscalls)
	atomic.StoreUint64(&b.stats.Polls, c.Polls)
	if n := c.NoBufs + b.udp.NoBufs; n != b.stats.NoBufs {
		atomic.StoreUint64(&b.stats.NoBufs, n)
	}
	if events == 0 {
		return
	}
	atomic.StoreUint64(&b.stats.Events, c.Events)
	if c.Accepts != b.stats.Accepts {
		atomic.StoreUint64(&b.stats.Accepts, c.Accepts)
	}
	if c.Stale != b.stats.Stale {
		atomic.StoreUint64(&b.stats.Stale, c.Stale)
	}
}
