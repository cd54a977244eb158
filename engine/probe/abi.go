package probe

// The part of the io_uring ABI that the probes need (include/uapi/linux/io_uring.h). It is stated here a second
// time, apart from engine/uring, so that a wrong constant there cannot hide from the probe.

const (
	setupCQSize       = 1 << 3
	setupClamp        = 1 << 4
	setupSubmitAll    = 1 << 7
	setupCoopTaskrun  = 1 << 8
	setupSingleIssuer = 1 << 12
	setupDeferTaskrun = 1 << 13
	setupNoSQArray    = 1 << 16

	featSingleMmap   = 1 << 0
	featNoDrop       = 1 << 1
	featSubmitStable = 1 << 2
	featFastPoll     = 1 << 5
	featExtArg       = 1 << 8
	featMinTimeout   = 1 << 15

	enterGetEvents = 1 << 0

	offSQRing = 0
	offSQEs   = 0x10000000

	registerProbe    = 8
	registerRingFDs  = 20
	registerPbufRing = 22

	opPollAdd     = 6
	opSendMsg     = 9
	opAsyncCancel = 14
	opConnect     = 16
	opSend        = 26
	opRecv        = 27
	opEpollWait   = 59

	opSupported = 1 << 0

	sqeBufferSelect = 1 << 5
	pollAddMulti    = 1 << 0
	recvMultishot   = 1 << 1
	cqeMore         = 1 << 1
)

// params is struct io_uring_params.
type params struct {
	sqEntries, cqEntries, flags, sqThreadCPU, sqThreadIdle, features, wqFD uint32
	_                                                                      [3]uint32
	sq                                                                     sqOffsets
	cq                                                                     cqOffsets
}

type sqOffsets struct {
	head, tail, mask, entries, flags, dropped, array, _ uint32
	_                                                   uint64
}

type cqOffsets struct {
	head, tail, mask, entries, overflow, cqes, flags, _ uint32
	_                                                   uint64
}

// sqe is struct io_uring_sqe; of its unions only what the probes write has a name.
type sqe struct {
	opcode, flags uint8
	ioprio        uint16
	fd            int32
	off, addr     uint64
	len, opFlags  uint32
	userData      uint64
	bufGroup      uint16
	_             uint16
	optLen        int32
	_             [16]byte
}

// cqe is struct io_uring_cqe.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

// opTable is struct io_uring_probe with room for every opcode.
type opTable struct {
	lastOp, opsLen uint8
	_              [14]byte
	ops            [256]struct {
		op, _ uint8
		flags uint16
		_     uint32
	}
}

// bufReg is struct io_uring_buf_reg.
type bufReg struct {
	ringAddr    uint64
	ringEntries uint32
	bgid, flags uint16
	_           [3]uint64
}

// bufEntry is struct io_uring_buf; in the first entry tail is the ring's tail.
type bufEntry struct {
	addr      uint64
	len       uint32
	bid, tail uint16
}

// ringUpdate is struct io_uring_rsrc_update as IORING_REGISTER_RING_FDS takes it.
type ringUpdate struct {
	offset, _ uint32
	data      uint64
}
