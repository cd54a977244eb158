package uring

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// minEntries is the smallest submission queue that is tried when memory is short.
const minEntries = 64

// setupChoices are the sets of flags to try, best first; a kernel that lacks one answers EINVAL.
var setupChoices = [...]uint32{
	setupSubmitAll | setupSingleIssuer | setupDeferTaskrun | setupNoSQArray, // 6.6
	setupSubmitAll | setupSingleIssuer | setupDeferTaskrun,                  // 6.1
	setupSubmitAll | setupCoopTaskrun,                                       // 5.19
}

// requiredFeatures are the bits without which there is no tier at all; every kernel with buffer rings has them.
const requiredFeatures = featSingleMmap | featNoDrop | featSubmitStable | featFastPoll | featExtArg

// stepError says which step of the set-up failed and what to do about it; errors.Is finds the errno in it.
func stepError(step string, err error) error {
	return fmt.Errorf("%s: %w%s", step, err, advice(err))
}

// advice is what to do about an errno of the set-up; empty when the errno says enough itself.
func advice(err error) string {
	switch err {
	case unix.EPERM:
		return " (sysctl kernel.io_uring_disabled, a seccomp filter or a container's policy forbids it)"
	case unix.ENOSYS:
		return " (this kernel was built without io_uring, or a sandbox hides it)"
	case unix.ENOMEM:
		return " (memory is short, or RLIMIT_MEMLOCK is too small: see ulimit -l)"
	case unix.EINVAL:
		return " (this kernel is too old: Linux 5.19 is the least)"
	}
	return ""
}

// patience is how often a set-up is tried again for want of memory before fewer entries are asked for, each time
// after 10 ms: a ring that was closed, such as the one of a self-test, gives its locked memory back a moment later.
const patience = 10

// setupRing is io_uring_setup with the first choice of flags that the kernel takes and, when memory is short,
// fewer entries.
func setupRing(entries, cqFactor uint32, choices []uint32) (int, params, error) {
	for tries := 0; ; tries++ {
		fd, p, errno := setupOnce(entries, entries*cqFactor, choices)
		if errno == 0 {
			return fd, p, nil
		}
		if errno == unix.ENOMEM && tries < patience {
			_ = unix.Nanosleep(&unix.Timespec{Nsec: 10e6}, nil) // waking early does no harm
			continue
		}
		if errno != unix.ENOMEM || entries/2 < minEntries {
			return -1, p, stepError(fmt.Sprintf("set up io_uring with %d entries", entries), errno)
		}
		entries /= 2
	}
}

func setupOnce(entries, cqEntries uint32, choices []uint32) (fd int, p params, errno unix.Errno) {
	for _, flags := range choices {
		p = params{flags: flags | setupCQSize | setupClamp, cqEntries: cqEntries}
		n, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(&p)), 0)
		if errno == 0 {
			return int(n), p, 0
		}
		if errno != unix.EINVAL {
			return -1, p, errno
		}
	}
	return -1, p, unix.EINVAL
}

// open sets the ring up on the calling thread; with oldest as a kernel would that knows the least.
func (r *ownRing) open(entries, cqFactor uint32, oldest bool) error {
	choices := setupChoices[:]
	if oldest {
		choices = choices[len(choices)-1:]
	}
	fd, p, err := setupRing(entries, cqFactor, choices)
	if err != nil {
		return err
	}
	*r = ownRing{fd: fd, features: p.features, flags: p.flags}
	if lack := requiredFeatures &^ p.features; lack != 0 {
		r.close()
		return stepError(fmt.Sprintf("set up io_uring: features %#x are missing", lack), unix.EOPNOTSUPP)
	}
	if err := r.mapQueues(&p); err != nil {
		r.close()
		return err
	}
	r.enterFD = uintptr(fd)
	if p.features&featNoIowait != 0 {
		r.enterFlags = enterNoIowait // an idle proxy is not waiting for a disk, and should not look like it
	}
	r.registerFD()
	return nil
}

func (r *ownRing) mapQueues(p *params) error {
	ringBytes := max(p.cqOff.cqes+p.cqEntries*uint32(unsafe.Sizeof(cqe{})), p.sqOff.array+p.sqEntries*4)
	for i, m := range [len(r.maps)]struct {
		fd    int
		off   int64
		bytes int
	}{
		{r.fd, offSQRing, int(ringBytes)},
		{r.fd, offSQEs, int(p.sqEntries) * int(unsafe.Sizeof(sqe{}))},
		{-1, 0, int(unsafe.Sizeof(getEventsArg{}) + unsafe.Sizeof(timespec{}))},
	} {
		flags := unix.MAP_SHARED | unix.MAP_POPULATE
		if m.fd < 0 {
			flags = unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
		}
		mem, err := unix.Mmap(m.fd, m.off, m.bytes, unix.PROT_READ|unix.PROT_WRITE, flags)
		if err != nil {
			return fmt.Errorf("map io_uring queues: %w", err)
		}
		r.maps[i] = mem
	}
	base := unsafe.Pointer(unsafe.SliceData(r.maps[0]))
	word := func(off uint32) *uint32 { return (*uint32)(unsafe.Add(base, off)) }
	r.sqes = unsafe.Pointer(unsafe.SliceData(r.maps[1]))
	r.sqMask, r.sqSize = p.sqEntries-1, p.sqEntries
	r.ktail, r.khead = word(p.sqOff.tail), word(p.sqOff.head)
	r.cqes = unsafe.Add(base, p.cqOff.cqes)
	r.cqMask = p.cqEntries - 1
	r.cqTail, r.cqKern = word(p.cqOff.tail), word(p.cqOff.head)
	if p.flags&setupNoSQArray == 0 {
		array := unsafe.Slice(word(p.sqOff.array), p.sqEntries)
		for i := range array {
			array[i] = uint32(i)
		}
	}
	own := unsafe.Pointer(unsafe.SliceData(r.maps[2]))
	r.arg, r.ts = (*getEventsArg)(own), (*timespec)(unsafe.Add(own, unsafe.Sizeof(getEventsArg{})))
	return nil
}

// registerFD spares each io_uring_enter the look-up of the descriptor. It is an optimisation: a thread has 16
// places for it, and without one the descriptor itself is used.
func (r *ownRing) registerFD() {
	u := rsrcUpdate{offset: ^uint32(0), data: uint64(r.fd)}
	if register(r.fd, registerRingFDs, unsafe.Pointer(&u), 1) == 0 {
		r.enterFD = uintptr(u.offset)
		r.enterFlags |= enterRegisteredRing
	}
}

// support is what this ring's kernel offers.
func (r *ownRing) support() (Support, error) { return inspect(r.fd, r.features, r.flags) }

// registered tells whether the ring's descriptor is registered with its thread.
func (r *ownRing) registered() bool { return r.enterFlags&enterRegisteredRing != 0 }

// close releases the ring. It runs on the thread that opened it, where the registered descriptor lives.
func (r *ownRing) close() {
	if r.registered() {
		u := rsrcUpdate{offset: uint32(r.enterFD)}
		register(r.fd, unregisterRingFDs, unsafe.Pointer(&u), 1)
	}
	for i, m := range r.maps {
		if m != nil {
			_ = unix.Munmap(m)
			r.maps[i] = nil
		}
	}
	_ = unix.Close(r.fd)
	*r = ownRing{fd: -1}
}

// supportedOps asks the kernel which operations it knows.
func supportedOps(fd int) (probeArg, error) {
	var p probeArg
	if errno := register(fd, registerProbe, unsafe.Pointer(&p), uintptr(len(p.ops))); errno != 0 {
		return p, stepError("ask io_uring for its operations", errno)
	}
	return p, nil
}

// has tells whether the kernel supports op.
func (p *probeArg) has(op uint8) bool { return op <= p.lastOp && p.ops[op].flags&opSupported != 0 }
