package uring

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Tiers, in ascending order. Each contains the ones before it.
const (
	T1 = "T1" // Linux 5.19: buffer rings; from 6.0 multishot receive, from 6.1 deferred task work
	T2 = "T2" // Linux 6.12: minimum wait
	T3 = "T3" // Linux 6.15: waiting for epoll as an operation
)

// Support is what a kernel's io_uring offers, as far as a tier depends on it. It is found by asking and
// trying, never from a version.
type Support struct {
	Features uint32 // bits of io_uring_setup's answer
	Setup    uint32 // the flags that io_uring_setup took
	LastOp   uint8  // the highest operation known

	DeferTaskrun bool // completions run only when we ask for them (6.1)
	NoSQArray    bool // submission without the index array (6.6)
	BufRings     bool // provided-buffer rings (5.19)
	Multishot    bool // a receive that stays armed (6.0); without it a stream is re-armed after each event
	MinWait      bool // a wait for more than one completion that is cut short (6.12)
	EpollWait    bool // epoll_wait as an operation (6.15)

	lacks []string // operations that every tier needs
}

// Probe finds out what the kernel supports by setting up a small ring on the calling thread, which is
// released before Probe returns. The error wraps the errno and names the step: no io_uring can be had at all.
func Probe() (Support, error) {
	runtime.LockOSThread() // a ring takes calls from one thread only
	defer runtime.UnlockOSThread()
	fd, p, err := setupRing(minEntries, 2, setupChoices[:])
	if err != nil {
		return Support{}, err
	}
	defer unix.Close(fd)
	return inspect(fd, p.features, p.flags)
}

// inspect asks the ring fd for its operations and tries a buffer ring on it.
func inspect(fd int, features, flags uint32) (Support, error) {
	ops, err := supportedOps(fd)
	if err != nil {
		return Support{}, err
	}
	s := Support{
		Features:     features,
		Setup:        flags,
		LastOp:       ops.lastOp,
		DeferTaskrun: flags&setupDeferTaskrun != 0,
		NoSQArray:    flags&setupNoSQArray != 0,
		Multishot:    ops.has(opSendZC),
		MinWait:      features&featMinTimeout != 0,
		EpollWait:    ops.has(opEpollWait),
	}
	for _, need := range [...]struct {
		op   uint8
		name string
	}{
		{opPollAdd, "POLL_ADD"}, {opSendmsg, "SENDMSG"}, {opAsyncCancel, "ASYNC_CANCEL"},
		{opConnect, "CONNECT"}, {opSend, "SEND"}, {opRecv, "RECV"},
	} {
		if !ops.has(need.op) {
			s.lacks = append(s.lacks, "operation "+need.name)
		}
	}
	if err := tryBufRing(fd); err != nil {
		return s, err
	}
	s.BufRings = true
	return s, nil
}

// tryBufRing registers a page-sized buffer ring and takes it back.
func tryBufRing(fd int) error {
	const group = ^uint16(0)
	m, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return fmt.Errorf("map buffer ring: %w", err)
	}
	defer func() { _ = unix.Munmap(m) }()
	at := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(m))))
	reg := bufReg{ringAddr: at, ringEntries: minEntries, bgid: group}
	if errno := register(fd, registerPbufRing, unsafe.Pointer(&reg), 1); errno != 0 {
		return stepError("register buffer ring", errno)
	}
	reg = bufReg{bgid: group}
	register(fd, unregisterPbufRing, unsafe.Pointer(&reg), 1)
	return nil
}

// Lacks names what is missing for a tier; empty when the tier is available.
func (s *Support) Lacks(tier string) []string {
	lacks := append([]string(nil), s.lacks...)
	need := func(have bool, what string) {
		if !have {
			lacks = append(lacks, what)
		}
	}
	need(s.BufRings, "buffer rings (Linux 5.19)")
	if tier == T2 || tier == T3 {
		need(s.DeferTaskrun, "DEFER_TASKRUN (Linux 6.1)")
		need(s.MinWait, "minimum wait (Linux 6.12)")
	}
	if tier == T3 {
		need(s.EpollWait, "operation EPOLL_WAIT (Linux 6.15)")
	}
	return lacks
}

// Tier is the best tier available; empty when there is none.
func (s *Support) Tier() string {
	for _, tier := range [...]string{T3, T2, T1} {
		if len(s.Lacks(tier)) == 0 {
			return tier
		}
	}
	return ""
}
