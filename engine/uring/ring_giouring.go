//go:build giouring

package uring

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"github.com/pawelgaczynski/giouring"
	"golang.org/x/sys/unix"
)

// With the build tag giouring the same backend stands on that library's queues instead of ours, as a
// cross-check of both. It links with -ldflags=-checklinkname=0 only.
type ring = foreignRing

const ringName = "uring on giouring"

// foreignRing is a ring of giouring, driven through what of it is sound: the queues. Entries are written
// whole by ourselves, and buffers registered with our own structures, as the library's preparing functions
// leave fields of an earlier use behind. It can neither size the completion queue nor do without the index
// array nor pass a minimum wait.
type foreignRing struct {
	ring     *giouring.Ring
	sqSize   uint32
	syscalls uint64
	err      error
	scratch  sqe
	batch    []*giouring.CompletionQueueEvent
	ts       syscall.Timespec // of this struct, which lies in the heap and so does not move
}

var foreignChoices = [...]uint32{
	giouring.SetupSubmitAll | giouring.SetupSingleIssuer | giouring.SetupDeferTaskrun,
	giouring.SetupSubmitAll | giouring.SetupCoopTaskrun,
}

func (r *foreignRing) open(entries, _ uint32, oldest bool) error {
	choices := foreignChoices[:]
	if oldest {
		choices = choices[len(choices)-1:]
	}
	for {
		err := r.init(entries, choices)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.ENOMEM) || entries/2 < minEntries {
			return stepError(fmt.Sprintf("set up io_uring with %d entries", entries), err)
		}
		entries /= 2
	}
}

func (r *foreignRing) init(entries uint32, choices []uint32) (err error) {
	for _, flags := range choices {
		queues := giouring.NewRing()
		if err = queues.QueueInit(entries, flags); err == nil {
			*r = foreignRing{ring: queues, sqSize: queues.SQSpaceLeft()}
			r.batch = make([]*giouring.CompletionQueueEvent, 2*r.sqSize)
			return nil
		}
		if !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
	return err
}

func (r *foreignRing) close() {
	r.ring.QueueExit()
	r.ring = nil
}

func (r *foreignRing) support() (Support, error) { return Probe() }

func (r *foreignRing) registered() bool { return false }

func (r *foreignRing) registerBuffers(reg *bufReg) error {
	_, err := r.ring.RegisterBufferRing((*giouring.BufReg)(unsafe.Pointer(reg)), 0)
	return err
}

func (r *foreignRing) unregisterBuffers(group uint16) { _, _ = r.ring.UnregisterBufferRing(int(group)) }

func (r *foreignRing) sqe() *sqe {
	entry := r.ring.GetSQE()
	for range 64 {
		if entry != nil {
			return (*sqe)(unsafe.Pointer(entry))
		}
		r.syscalls++
		_, _ = r.ring.Submit()
		entry = r.ring.GetSQE()
	}
	r.err = fmt.Errorf("submit to a full io_uring: %w", unix.EBUSY)
	return &r.scratch
}

func (r *foreignRing) pending() uint32 { return r.ring.SQReady() }

func (r *foreignRing) enter(min uint32, timeout int64, _ uint32) error {
	r.syscalls++
	var err error
	switch {
	case min == 0:
		_, err = r.ring.SubmitAndGetEvents()
	case timeout < 0:
		_, err = r.ring.SubmitAndWait(1)
	default:
		r.ts = syscall.NsecToTimespec(timeout)
		_, err = r.ring.SubmitAndWaitTimeout(1, &r.ts, nil)
	}
	switch err {
	case nil, unix.ETIME, unix.EINTR, unix.EAGAIN, unix.EBUSY:
		return r.err
	}
	r.err = fmt.Errorf("enter io_uring: %w", err)
	return r.err
}

func (r *foreignRing) ready() uint32 { return r.ring.CQReady() }

// cqe fills the batch when the first one is asked for: the library hands pointers out, not the queue.
func (r *foreignRing) cqe(i uint32) *cqe {
	if i == 0 {
		r.ring.PeekBatchCQE(r.batch[:r.ring.CQReady()])
	}
	return (*cqe)(unsafe.Pointer(r.batch[i]))
}

func (r *foreignRing) advance(n uint32) { r.ring.CQAdvance(n) }
