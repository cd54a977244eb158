package epoll

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// The states of a shard as Wake sees it.
const (
	running  = iota // it looks at its mailbox before it next sleeps
	asleep          // it may be waiting in the kernel: only the eventfd rouses it
	notified        // somebody called Wake since
)

// waker rouses the shard from other threads. The eventfd is written only by the one Wake that finds the shard asleep.
// It is registered edge-triggered and never read until the end: each write is an edge, and the counter is the number
// of writes, which lets close wait for a writer that is still on its way.
type waker struct {
	state  atomic.Uint32
	fd     int32
	writes uint64 // made or under way; like slept, the shard's thread only
	slept  bool   // the wait under way was announced
}

func (w *waker) open() error {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("create wake-up eventfd: %w", err)
	}
	w.fd = int32(fd)
	return nil
}

// one is what Wake adds to the eventfd.
var one = binary.NativeEndian.AppendUint64(nil, 1)

// Wake implements engine.Backend.
func (b *Backend) Wake() {
	if b.wake.state.Swap(notified) == asleep {
		unix.Write(int(b.wake.fd), one)
	}
}

// beforeWait returns the timeout to wait with: 0 when Wake was called since the last wait.
func (w *waker) beforeWait(timeout int64) int64 {
	w.slept = timeout != 0 && w.state.CompareAndSwap(running, asleep)
	if w.slept {
		return timeout
	}
	if w.state.Load() == notified {
		w.state.Store(running)
	}
	return 0
}

// afterWait notes that the shard is awake, and whether it was roused by a write.
func (w *waker) afterWait() {
	if w.slept && w.state.Swap(running) == notified {
		w.writes++
	}
}

// close waits for every write that was begun, so that none hits a descriptor with the same number later.
func (w *waker) close() {
	if w.fd < 0 {
		return
	}
	var count [8]byte
	for w.writes > 0 {
		n, err := unix.Read(int(w.fd), count[:])
		if n == len(count) {
			w.writes -= binary.NativeEndian.Uint64(count[:])
		} else if err != unix.EINTR {
			break
		}
	}
	unix.Close(int(w.fd))
	w.fd = -1
}

// Expect implements engine.Backend; what is ready is always taken together here.
func (b *Backend) Expect(int) {}
