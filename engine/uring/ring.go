package uring

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ownRing is one pair of submission and completion queues, mapped from the kernel.
//
// Both queues are filled and emptied by one thread, the one that enters the kernel: with deferred (or
// cooperative) task work the kernel's side of them runs inside that thread's system calls only. So the tails
// that we publish are plain stores, as there is no other processor to order them for.
type ownRing struct {
	// The submission queue. Entries between khead and tail wait to be submitted.
	sqes    unsafe.Pointer
	sqMask  uint32
	sqTail  uint32
	sqHead  uint32 // khead as last read
	sqSize  uint32
	ktail   *uint32
	khead   *uint32
	scratch sqe // taken when the queue cannot be emptied; err is set then

	// The completion queue.
	cqes   unsafe.Pointer
	cqMask uint32
	cqHead uint32
	cqTail *uint32
	cqKern *uint32 // the kernel's copy of cqHead

	enterFD    uintptr // the ring's descriptor, or its registered index
	enterFlags uintptr // always passed to io_uring_enter
	arg        *getEventsArg
	ts         *timespec

	fd       int
	features uint32
	flags    uint32
	syscalls uint64
	err      error // the ring is unusable
	maps     [3][]byte
}

// sqe is the next free submission entry; the caller must set all of it. A full queue is submitted first.
func (r *ownRing) sqe() *sqe {
	if r.sqTail-r.sqHead == r.sqSize && !r.flush() {
		return &r.scratch
	}
	s := (*sqe)(unsafe.Add(r.sqes, uintptr(r.sqTail&r.sqMask)*unsafe.Sizeof(sqe{})))
	r.sqTail++
	return s
}

// flush submits a full queue without looking for completions. The kernel takes at least one entry unless it
// is out of memory for requests, which a few attempts may outlast.
func (r *ownRing) flush() bool {
	for range 64 {
		*r.ktail = r.sqTail
		_, errno := r.syscall(uintptr(r.sqTail-r.sqHead), 0, r.enterFlags, 0, 0)
		r.sqHead = atomic.LoadUint32(r.khead)
		if r.sqTail-r.sqHead < r.sqSize {
			return true
		}
		if errno != 0 && errno != unix.EAGAIN && errno != unix.EBUSY && errno != unix.EINTR {
			r.err = fmt.Errorf("submit to io_uring: %w", errno)
			return false
		}
	}
	r.err = fmt.Errorf("submit to a full io_uring: %w", unix.EBUSY)
	return false
}

// pending is the number of entries that wait to be submitted.
func (r *ownRing) pending() uint32 { return r.sqTail - r.sqHead }

// enter submits what is pending, runs the completions that are due and waits until min of them are there, for
// at most timeout nanoseconds (negative: for ever). With minWait, in microseconds, it is content with fewer
// once that time has passed. The end of the timeout and a signal are no errors.
func (r *ownRing) enter(min uint32, timeout int64, minWait uint32) error {
	*r.ktail = r.sqTail
	flags := r.enterFlags | enterGetEvents
	var arg, size uintptr
	if min > 0 && (timeout >= 0 || minWait > 0) {
		flags |= enterExtArg
		arg, size = uintptr(unsafe.Pointer(r.arg)), unsafe.Sizeof(getEventsArg{})
		r.arg.minWaitUsec = minWait
		r.arg.ts = 0
		if timeout >= 0 {
			r.ts.sec, r.ts.nsec = timeout/1e9, timeout%1e9
			r.arg.ts = uint64(uintptr(unsafe.Pointer(r.ts)))
		}
	}
	_, errno := r.syscall(uintptr(r.sqTail-r.sqHead), uintptr(min), flags, arg, size)
	r.sqHead = atomic.LoadUint32(r.khead)
	switch errno {
	case 0, unix.ETIME, unix.EINTR, unix.EAGAIN, unix.EBUSY:
		return r.err
	}
	r.err = fmt.Errorf("enter io_uring: %w", errno)
	return r.err
}

// syscall is io_uring_enter. It is never a RawSyscall: a thread that blocks there would hold up the garbage
// collector.
func (r *ownRing) syscall(submit, min, flags, arg, size uintptr) (uintptr, unix.Errno) {
	r.syscalls++
	n, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, r.enterFD, submit, min, flags, arg, size)
	return n, errno
}

// ready is the number of completions that wait to be taken.
func (r *ownRing) ready() uint32 { return atomic.LoadUint32(r.cqTail) - r.cqHead }

// cqe is the i-th completion that waits, counted from 0; i must be below ready. It is valid until advance.
func (r *ownRing) cqe(i uint32) *cqe {
	return (*cqe)(unsafe.Add(r.cqes, uintptr((r.cqHead+i)&r.cqMask)*unsafe.Sizeof(cqe{})))
}

// advance gives n completions back to the kernel.
func (r *ownRing) advance(n uint32) {
	r.cqHead += n
	atomic.StoreUint32(r.cqKern, r.cqHead)
}

// registerBuffers hands a ring of buffers to the kernel.
func (r *ownRing) registerBuffers(reg *bufReg) error {
	if errno := register(r.fd, registerPbufRing, unsafe.Pointer(reg), 1); errno != 0 {
		return errno
	}
	return nil
}

// unregisterBuffers takes it back.
func (r *ownRing) unregisterBuffers(group uint16) {
	reg := bufReg{bgid: group}
	register(r.fd, unregisterPbufRing, unsafe.Pointer(&reg), 1)
}

// register is io_uring_register(2).
func register(fd int, op uintptr, arg unsafe.Pointer, n uintptr) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), op, uintptr(arg), n, 0, 0)
	return errno
}
