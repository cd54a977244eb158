package probe

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errSilent says that the kernel took an operation and never completed it, though its outcome was certain.
var errSilent = errors.New("the kernel did not complete the operation")

// insist repeats a call that ends with ENOMEM until that has lasted for a tenth of a second. A closed ring gives its
// locked memory back only when a kernel thread gets round to it, and nothing tells when: where the limit is
// tight, the ring before this one may still be charged.
func insist(call func() error) error {
	const tries, pause = 20, 5 * time.Millisecond
	for try := 1; ; try++ {
		err := call()
		if !errors.Is(err, unix.ENOMEM) || try == tries {
			return err
		}
		time.Sleep(pause)
	}
}

// setup is io_uring_setup(2); the caller closes the descriptor.
func setup(entries uint32, p *params) (fd int, err error) {
	err = insist(func() error {
		n, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(p)), 0)
		if errno != 0 {
			return fmt.Errorf("io_uring_setup: %w", errno)
		}
		fd = int(n)
		return nil
	})
	return fd, err
}

// register is io_uring_register(2).
func register(fd int, op uintptr, arg unsafe.Pointer, n uintptr) error {
	return insist(func() error {
		_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(fd), op, uintptr(arg), n, 0, 0)
		if errno != 0 {
			return fmt.Errorf("io_uring_register: %w", errno)
		}
		return nil
	})
}

// ring is the smallest ring that can run one operation at a time. It is created and used on one locked thread.
type ring struct {
	fd       int
	p        params
	rings    []byte // the submission and completion rings, one mapping
	sqes     []byte
	scratch  []byte // a page for buffers: kernel memory must not be Go's
	bufRing  []byte // a page for a buffer ring
	entries  uint32
	mappings [][]byte
}

// openRing makes a ring of four entries without any optional flag.
func openRing() (*ring, error) {
	r := &ring{entries: 4}
	fd, err := setup(r.entries, &r.p)
	if err != nil {
		return nil, err
	}
	r.fd = fd
	if err := r.mapAll(); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *ring) mapAll() error {
	if r.p.features&featSingleMmap == 0 {
		return errors.New("map ring: IORING_FEAT_SINGLE_MMAP is missing (Linux 5.4)")
	}
	size := max(r.p.sq.array+r.p.sqEntries*4, r.p.cq.cqes+r.p.cqEntries*uint32(unsafe.Sizeof(cqe{})))
	const shared, private = unix.MAP_SHARED | unix.MAP_POPULATE, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	for _, m := range []struct {
		to     *[]byte
		size   int
		fd     int
		flags  int
		offset int64
		name   string
	}{
		{&r.rings, int(size), r.fd, shared, offSQRing, "ring"},
		{&r.sqes, int(r.p.sqEntries) * int(unsafe.Sizeof(sqe{})), r.fd, shared, offSQEs, "ring entries"},
		{&r.scratch, 4096, -1, private, 0, "scratch page"},
		{&r.bufRing, 4096, -1, private, 0, "buffer ring"},
	} {
		b, err := unix.Mmap(m.fd, m.offset, m.size, unix.PROT_READ|unix.PROT_WRITE, m.flags)
		if err != nil {
			return fmt.Errorf("map %s: %w", m.name, err)
		}
		*m.to = b
		r.mappings = append(r.mappings, b)
	}
	return nil
}

// close ends what is in flight and unmaps everything.
func (r *ring) close() {
	unix.Close(r.fd)
	for _, m := range r.mappings {
		unix.Munmap(m)
	}
}

func (r *ring) word(off uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.rings[off])) }

// run submits one operation whose result is already certain (data waits, the socket is ready) and returns its
// first completion. It never blocks: a completion may need the thread to enter the kernel once more, hence the loop.
func (r *ring) run(op sqe) (cqe, error) {
	tail := atomic.LoadUint32(r.word(r.p.sq.tail))
	at := tail & *r.word(r.p.sq.mask)
	*(*sqe)(unsafe.Pointer(&r.sqes[at*uint32(unsafe.Sizeof(op))])) = op
	*r.word(r.p.sq.array + at*4) = at
	atomic.StoreUint32(r.word(r.p.sq.tail), tail+1)
	submit := uintptr(1)
	for range 64 {
		n, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.fd), submit, 0, enterGetEvents, 0, 0)
		if errno != 0 && errno != unix.EINTR {
			return cqe{}, fmt.Errorf("io_uring_enter: %w", errno)
		}
		if errno == 0 {
			submit -= min(n, submit)
		}
		if c, ok := r.reap(); ok {
			return c, nil
		}
	}
	return cqe{}, errSilent
}

func (r *ring) reap() (cqe, bool) {
	head := *r.word(r.p.cq.head)
	if head == atomic.LoadUint32(r.word(r.p.cq.tail)) {
		return cqe{}, false
	}
	at := r.p.cq.cqes + (head&*r.word(r.p.cq.mask))*uint32(unsafe.Sizeof(cqe{}))
	c := *(*cqe)(unsafe.Pointer(&r.rings[at]))
	atomic.StoreUint32(r.word(r.p.cq.head), head+1)
	return c, true
}

// addBufRing registers a ring of eight buffers under group; the scratch page is its first buffer.
func (r *ring) addBufRing(group uint16) error {
	reg := bufReg{ringAddr: address(r.bufRing), ringEntries: 8, bgid: group}
	if err := register(r.fd, registerPbufRing, unsafe.Pointer(&reg), 1); err != nil {
		return err
	}
	e := (*bufEntry)(unsafe.Pointer(&r.bufRing[0]))
	e.addr, e.len, e.bid = address(r.scratch), uint32(len(r.scratch)), 0
	// The tail is the upper half of the entry's last word, whose lower half is the buffer's id, 0.
	atomic.StoreUint32((*uint32)(unsafe.Pointer(&r.bufRing[12])), tailWord(1))
	return nil
}

// tailWord is {bid: 0, tail: n} as one word in memory order.
func tailWord(n uint16) uint32 {
	e := bufEntry{tail: n}
	return *(*uint32)(unsafe.Pointer(&e.bid))
}

func address(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }
