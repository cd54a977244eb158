package uring

import "unsafe"

// The kernel's io_uring interface, as far as it is used here: include/uapi/linux/io_uring.h. The structures
// that hold addresses are those of a 64-bit kernel, which is checked when compiling.
const _ = uint(unsafe.Sizeof(uintptr(0)) - 8)

// Operations (enum io_uring_op).
const (
	opPollAdd     = 6
	opSendmsg     = 9
	opAsyncCancel = 14
	opConnect     = 16
	opSend        = 26
	opRecv        = 27
	opSendZC      = 47 // unused; it came with multishot receive (6.0), which cannot be asked for itself
	opEpollWait   = 59
)

// Flags of io_uring_setup.
const (
	setupCQSize       = 1 << 3
	setupClamp        = 1 << 4
	setupSubmitAll    = 1 << 7
	setupCoopTaskrun  = 1 << 8
	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13
	setupNoSQArray    = 1 << 16
)

// Features reported by io_uring_setup.
const (
	featSingleMmap   = 1 << 0
	featNoDrop       = 1 << 1
	featSubmitStable = 1 << 2
	featFastPoll     = 1 << 5
	featExtArg       = 1 << 8
	featMinTimeout   = 1 << 15
	featNoIowait     = 1 << 17
)

// Flags of io_uring_enter.
const (
	enterGetEvents      = 1 << 0
	enterExtArg         = 1 << 3
	enterRegisteredRing = 1 << 4
	enterNoIowait       = 1 << 7
)

// Operations of io_uring_register.
const (
	registerProbe      = 8
	registerRingFDs    = 20
	unregisterRingFDs  = 21
	registerPbufRing   = 22
	unregisterPbufRing = 23
)

// Offsets for mmap.
const (
	offSQRing = 0
	offSQEs   = 0x10000000
)

const (
	sqeBufferSelect = 1 << 5 // sqe.flags

	recvMultishot = 1 << 1 // sqe.ioprio of opRecv

	pollAddMulti = 1 << 0 // sqe.len of opPollAdd

	cancelAll = 1 << 0 // sqe.opFlags of opAsyncCancel
	cancelAny = 1 << 2

	cqeBuffer       = 1 << 0 // cqe.flags
	cqeMore         = 1 << 1
	cqeSockNonEmpty = 1 << 2
	cqeBufferShift  = 16

	opSupported = 1 << 0 // probeOp.flags
)

// sqe is struct io_uring_sqe; unions carry the name of the member used here.
type sqe struct {
	opcode      uint8
	flags       uint8
	ioprio      uint16
	fd          int32
	off         uint64
	addr        uint64
	len         uint32
	opFlags     uint32
	userData    uint64
	bufGroup    uint16
	personality uint16
	fileIndex   int32
	addr3       uint64
	pad         uint64
}

// cqe is struct io_uring_cqe.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

// sqOffsets is struct io_sqring_offsets.
type sqOffsets struct {
	head, tail, ringMask, ringEntries, flags, dropped, array, resv1 uint32
	userAddr                                                        uint64
}

// cqOffsets is struct io_cqring_offsets.
type cqOffsets struct {
	head, tail, ringMask, ringEntries, overflow, cqes, flags, resv1 uint32
	userAddr                                                        uint64
}

// params is struct io_uring_params.
type params struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	resv                                                                   [3]uint32
	sqOff                                                                  sqOffsets
	cqOff                                                                  cqOffsets
}

// getEventsArg is struct io_uring_getevents_arg.
type getEventsArg struct {
	sigMask     uint64
	sigMaskSize uint32
	minWaitUsec uint32
	ts          uint64
}

// timespec is struct __kernel_timespec.
type timespec struct{ sec, nsec int64 }

// bufEntry is struct io_uring_buf. In the first entry of a ring tail is the ring's tail, elsewhere it is
// reserved.
type bufEntry struct {
	addr uint64
	len  uint32
	bid  uint16
	tail uint16
}

// bufReg is struct io_uring_buf_reg.
type bufReg struct {
	ringAddr    uint64
	ringEntries uint32
	bgid        uint16
	flags       uint16
	resv        [3]uint64
}

// rsrcUpdate is struct io_uring_rsrc_update.
type rsrcUpdate struct {
	offset, resv uint32
	data         uint64
}

// probeOp is struct io_uring_probe_op.
type probeOp struct {
	op, resv uint8
	flags    uint16
	resv2    uint32
}

// probeArg is struct io_uring_probe with room for every operation there can be.
type probeArg struct {
	lastOp, opsLen uint8
	resv           uint16
	resv2          [3]uint32
	ops            [256]probeOp
}

// msghdr is struct msghdr of a 64-bit kernel.
type msghdr struct {
	name       uint64
	nameLen    uint32
	_          uint32
	iov        uint64
	iovLen     uint64
	control    uint64
	controlLen uint64
	flags      uint32
	_          uint32
}

// iovec is struct iovec of a 64-bit kernel.
type iovec struct{ base, len uint64 }
