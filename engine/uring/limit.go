package uring

import "golang.org/x/sys/unix"

// streamBytes is after how many bytes a stream ends, so that whoever armed it is asked whether there is room for more.
// Without a limit a peer that sends as fast as we receive fills all that is posted, in one turn.
const streamBytes = 64 << 10

// limitStreams finds out whether the kernel ends a multishot receive after so many bytes (sqe.optlen, Linux 6.17). One
// that names no descriptor fails for that where it can, and earlier, for the limit, where it cannot.
func (b *Backend) limitStreams() error {
	if b.stream == 0 {
		return nil
	}
	*b.ring.sqe() = sqe{opcode: opRecv, flags: sqeBufferSelect, ioprio: b.stream, fd: -1, fileIndex: streamBytes}
	for b.ring.ready() == 0 {
		if err := b.ring.enter(1, -1, 0); err != nil {
			return err
		}
	}
	if b.ring.cqe(0).res == -int32(unix.EBADF) {
		b.streamMost = streamBytes
	}
	b.ring.advance(1)
	return nil
}
