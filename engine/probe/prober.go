package probe

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// prober carries what the probes share: one plain ring and the kernel's table of operations, or why there are none.
type prober struct {
	ring    *ring
	ringErr error
	ops     opTable
	opsErr  error
}

func newProber() *prober {
	p := &prober{}
	p.ring, p.ringErr = openRing()
	if p.ringErr == nil {
		p.opsErr = register(p.ring.fd, registerProbe, unsafe.Pointer(&p.ops), uintptr(len(p.ops.ops)))
	}
	return p
}

func (p *prober) close() {
	if p.ringErr == nil {
		p.ring.close()
	}
}

func probeRing(p *prober) error { return absentIf(p.ringErr, unix.ENOSYS) }

// reports probes a feature bit that io_uring_setup reported.
func reports(mask uint32) func(*prober) error {
	return func(p *prober) error {
		if p.ringErr != nil {
			return p.ringErr
		}
		if p.ring.p.features&mask == 0 {
			return absent{errors.New("the kernel does not report it")}
		}
		return nil
	}
}

// knows probes an operation by the kernel's own table (IORING_REGISTER_PROBE, Linux 5.6).
func knows(code uint8) func(*prober) error {
	return func(p *prober) error {
		if err := errors.Join(p.ringErr, p.opsErr); err != nil {
			return err
		}
		if p.ops.ops[code].flags&opSupported == 0 {
			return absent{fmt.Errorf("operation %d is not in the kernel's table", code)}
		}
		return nil
	}
}

// accepts probes set-up flags with a ring of their own: an unknown one is refused with EINVAL.
func accepts(flags uint32) func(*prober) error {
	return func(p *prober) error {
		if p.ringErr != nil {
			return p.ringErr
		}
		arg := params{flags: flags, cqEntries: 16}
		fd, err := setup(4, &arg)
		if err != nil {
			return absentIf(err, unix.EINVAL)
		}
		return unix.Close(fd)
	}
}

func probeRingFD(p *prober) error {
	if p.ringErr != nil {
		return p.ringErr
	}
	arg := params{}
	fd, err := setup(4, &arg)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	up := ringUpdate{offset: ^uint32(0), data: uint64(fd)}
	if err := register(fd, registerRingFDs, unsafe.Pointer(&up), 1); err != nil {
		return absentIf(err, unix.EINVAL)
	}
	// The thread has sixteen such places in all; this one is needed no more.
	const unregisterRingFDs = registerRingFDs + 1
	up = ringUpdate{offset: up.offset}
	return register(fd, unregisterRingFDs, unsafe.Pointer(&up), 1)
}

func probeBufRing(p *prober) error {
	if p.ringErr != nil {
		return p.ringErr
	}
	r, err := openRing()
	if err != nil {
		return err
	}
	defer r.close()
	return absentIf(r.addBufRing(1), unix.EINVAL)
}

// probePollMulti arms a multishot poll on a readable descriptor: the completion says that more may follow.
func probePollMulti(p *prober) error {
	fd, err := unix.Eventfd(1, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("create eventfd: %w", err)
	}
	defer unix.Close(fd)
	return tryMultishot(p, nil, sqe{opcode: opPollAdd, fd: int32(fd), len: pollAddMulti, opFlags: unix.POLLIN})
}

// probeRecvMulti arms a multishot receive on a socket with a byte waiting, which may bring so many; 0: no limit is set.
func probeRecvMulti(limit int32) func(*prober) error {
	return func(p *prober) error {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("create socket pair: %w", err)
		}
		defer unix.Close(pair[0])
		defer unix.Close(pair[1])
		if _, err := unix.Write(pair[1], []byte{1}); err != nil {
			return fmt.Errorf("write to socket pair: %w", err)
		}
		const group = 1
		prepare := func(r *ring) error { return r.addBufRing(group) }
		return tryMultishot(p, prepare, sqe{
			opcode: opRecv, flags: sqeBufferSelect, ioprio: recvMultishot, fd: int32(pair[0]), bufGroup: group,
			optLen: limit,
		})
	}
}

func tryMultishot(p *prober, prepare func(*ring) error, op sqe) error {
	if p.ringErr != nil {
		return p.ringErr
	}
	r, err := openRing() // its own: closing it is what ends the operation
	if err != nil {
		return err
	}
	defer r.close()
	if prepare != nil {
		if err := prepare(r); err != nil {
			return absentIf(err, unix.EINVAL)
		}
	}
	c, err := r.run(op)
	switch {
	case err != nil:
		return err
	case c.res < 0:
		return absentIf(unix.Errno(-c.res), unix.EINVAL)
	case c.flags&cqeMore == 0:
		return absent{errors.New("the operation ended after its first completion")}
	}
	return nil
}
