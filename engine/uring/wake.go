package uring

import (
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// States of the shard as a waker sees it.
const (
	wakeAwake  = iota // the shard runs, and will look here before it sleeps
	wakeAsleep        // the shard waits, or is about to
	wakeCalled        // Wake was called since the shard last looked
)

// waker brings the shard's thread back from its wait. A wake-up costs a system call only when the shard may
// be asleep.
//
// No wake-up is lost: the shard passes from awake to asleep by a compare-and-swap, which fails when Wake came
// before; when Wake comes after, it finds the shard asleep and writes to the descriptor, which ends the wait
// even if that has not begun.
type waker struct {
	state  atomic.Uint32
	inside atomic.Int32 // calls of Wake that are under way
	fd     int
}

var wakeValue = [8]byte{1}

func (w *waker) open() error {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("open eventfd: %w", err)
	}
	w.fd = fd
	return nil
}

// Wake makes the current or the next Poll return.
func (b *Backend) Wake() {
	w := &b.wake
	w.inside.Add(1)
	if w.state.Swap(wakeCalled) == wakeAsleep {
		// The counter is never read: the epoll set is told of each write. It cannot overflow in practice.
		_, _ = unix.Write(w.fd, wakeValue[:])
	}
	w.inside.Add(-1)
}

// sleep announces a wait. It fails when Wake was called since the last turn.
func (w *waker) sleep() bool { return w.state.CompareAndSwap(wakeAwake, wakeAsleep) }

// rise ends a wait. A swap, so that what the waker did before Wake is visible from here on.
func (w *waker) rise() { w.state.Swap(wakeAwake) }

// consume takes note of a Wake in a turn that does not wait.
func (w *waker) consume() {
	if w.state.Load() == wakeCalled {
		w.state.Swap(wakeAwake)
	}
}

// close waits until nobody is about to write, and releases the descriptor.
func (w *waker) close() {
	if w.fd < 0 {
		return
	}
	w.state.Store(wakeCalled)
	for w.inside.Load() != 0 {
		runtime.Gosched()
	}
	_ = unix.Close(w.fd)
	w.fd = -1
}
