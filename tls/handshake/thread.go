package handshake

import (
	"fmt"
	"iter"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/internal/sched"
)

// thread is where the handshakes of a port are computed: one at a time, so that a shard on the same core has one thread
// beside it and not as many as there are peers, each of which the kernel would give its share. crypto/tls blocks where
// it waits for the peer, so each handshake has a coroutine, which gives the thread back then.
type thread struct {
	calls  atomic.Pointer[Conversation] // to be gone on with, the latest first
	asleep atomic.Bool                  // it waits for bell
	quit   atomic.Bool
	bell   int // an eventfd

	// The thread's own.
	busy int // handshakes on their way
	idle []*worker
}

// What a conversation's list of calls is told.
const (
	called = 1 << iota // it is in the list
	begun              // it is to have a worker
)

// idleWorkers is how many coroutines a thread keeps for later.
const idleWorkers = 64

func newThread() (*thread, error) {
	bell, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open eventfd for handshakes: %w", err)
	}
	return &thread{bell: bell}, nil
}

// call has the thread go on with c. Any thread may call it, and it never waits.
func (t *thread) call(c *Conversation, what uint32) {
	if c.calls.Or(called|what)&called != 0 {
		return // whoever takes it out of the list sees this too
	}
	for {
		head := t.calls.Load()
		c.follow = head
		if t.calls.CompareAndSwap(head, c) {
			break
		}
	}
	t.wake()
}

func (t *thread) wake() {
	if t.asleep.Load() && t.asleep.CompareAndSwap(true, false) {
		one := [8]byte{1}
		_, _ = unix.Write(t.bell, one[:]) // that fails only when the thread has been woken 2^64 times before
	}
}

// run is the thread's whole life: it ends when quit says so and no handshake is on its way.
func (t *thread) run() {
	runtime.LockOSThread() // for good: what it asks of the kernel is for itself, and no other has to wake it
	sched.ShortSlices()    // it yields before and behind what takes long: a handshake computes for 0.3 ms
	for {
		c := t.taken()
		switch {
		case c != nil:
			for c != nil {
				next := c.follow // another call may change it
				t.turn(c)
				c = next
			}
		case t.quit.Load() && t.busy == 0:
			for _, w := range t.idle {
				w.stop()
			}
			return
		default:
			t.sleep()
		}
	}
}

// taken is what the list of calls had, the oldest first.
func (t *thread) taken() (first *Conversation) {
	for c := t.calls.Swap(nil); c != nil; {
		next := c.follow
		c.follow, first = first, c
		c = next
	}
	return first
}

// turn goes on with a conversation until its handshake waits or is over. One that is over already is left alone: a call
// may be late.
func (t *thread) turn(c *Conversation) {
	if c.calls.Swap(0)&begun != 0 {
		t.busy++
		c.worker = t.worker()
		c.worker.c = c
	}
	w := c.worker
	if w == nil {
		return
	}
	if w.resume(); w.c != nil {
		return
	}
	t.busy--
	if len(t.idle) < idleWorkers {
		t.idle = append(t.idle, w)
		return
	}
	w.stop()
}

func (t *thread) sleep() {
	t.asleep.Store(true)
	if t.calls.Load() == nil && (!t.quit.Load() || t.busy > 0) {
		var count [8]byte
		_, _ = unix.Read(t.bell, count[:]) // a signal may end it, and nothing comes of that
	}
	t.asleep.Store(false)
}

// worker is an idle coroutine, or a new one.
func (t *thread) worker() *worker {
	if n := len(t.idle); n > 0 {
		w := t.idle[n-1]
		t.idle = t.idle[:n-1]
		return w
	}
	w := &worker{}
	w.resume, w.stop = iter.Pull(w.work)
	return w
}

// worker is a coroutine that does one handshake after another, on a stack that has grown for it.
type worker struct {
	c     *Conversation // nil: it is idle
	gate  gate
	pause func(struct{}) bool // gives the thread back

	resume func() (struct{}, bool) // has it go on until it gives the thread back
	stop   func()                  // ends one that is idle
}

// work is the coroutine.
func (w *worker) work(pause func(struct{}) bool) {
	w.pause = pause
	for {
		c := w.c
		w.gate.converse(c)
		w.c, c.worker = nil, nil // before the news: with those the conversation may begin anew
		c.post(settled | finished)
		if !pause(struct{}{}) {
			return
		}
	}
}
