package engine

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/internal/invariant"
)

// Both ends of a splice are non-blocking, and the kernel is told so once more: some sockets ask their file, some ask
// the call (splice(2)).
const moving = unix.SPLICE_F_MOVE | unix.SPLICE_F_NONBLOCK

// RecvSpliced is how a backend on real sockets ends a receive into a pipe: it moves there what c's socket has, and
// notes in ev which pipe. It returns what the event reports as result; -EAGAIN: there is nothing, and ev is as it was.
// The system calls that it makes are added to calls.
func RecvSpliced(c *Conn, arena *mem.Arena, ev *Event, calls *uint64) int32 {
	buf, ok := arena.Take(mem.Pipe)
	if !ok {
		return -int32(unix.ENOBUFS)
	}
	p := arena.Pipe(buf)
	if p == nil {
		arena.Drop(buf)
		return -int32(unix.ENOBUFS)
	}
	n, _, errno := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(c.FD), 0, uintptr(p.Write), 0, uintptr(c.Most), moving)
	*calls++
	if errno != 0 || n == 0 {
		arena.Drop(buf)
		if (errno == 0 || errno == unix.EAGAIN) && atMark(c, calls) {
			return recvBehindMark(c, arena, ev, calls)
		}
		return -int32(errno)
	}
	arena.Moved(buf, int32(n))
	*ev = Event{Kind: EvRecv, Flags: FlagNonEmpty, Slot: c.Slot, Gen: c.Gen, Res: int32(n), Buf: buf}
	return int32(n)
}

// atMark reports whether urgent data comes next on c's socket (RFC 9293, section 3.8.5). A splice does not get past it:
// it finds nothing, or the end of the stream if that has come, whatever lies behind.
func atMark(c *Conn, calls *uint64) bool {
	*calls++
	at, err := unix.IoctlGetInt(int(c.FD), unix.SIOCATMARK)
	return err == nil && at != 0
}

// recvBehindMark leaves urgent data out, as every other receive does, and receives what is behind it into a Small
// buffer. It returns what RecvSpliced does.
func recvBehindMark(c *Conn, arena *mem.Arena, ev *Event, calls *uint64) int32 {
	buf, ok := arena.TakeToReceive(mem.Small)
	if !ok {
		return -int32(unix.ENOBUFS)
	}
	data := arena.Data(buf)
	data.Len = min(data.Len, c.Most)
	to := unsafe.Pointer(unsafe.SliceData(arena.Bytes(data)))
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(c.FD), uintptr(to), uintptr(data.Len),
		unix.MSG_DONTWAIT, 0, 0)
	*calls++
	if errno != 0 || n == 0 {
		arena.Drop(buf)
		return -int32(errno)
	}
	*ev = Event{Kind: EvRecv, Flags: FlagNonEmpty, Slot: c.Slot, Gen: c.Gen, Res: int32(n), Off: data.Off, Buf: buf}
	return int32(n)
}

// SpliceOut is how such a backend moves the first n bytes of a pipe to c's peer.
func SpliceOut(c *Conn, arena *mem.Arena, pipe mem.Buf, n uint32) int32 {
	from := uintptr(arena.Pipe(pipe).Read)
	k, _, errno := unix.RawSyscall6(unix.SYS_SPLICE, from, 0, uintptr(c.FD), 0, uintptr(n), moving)
	if errno != 0 {
		return -int32(errno)
	}
	arena.Moved(pipe, -int32(k))
	return int32(k)
}

// CheckSendPipe fails under the invariant tag when a caller of SendPipe breaks the contract.
func CheckSendPipe(c *Conn, n uint32) {
	if invariant.Enabled && (c.State&(StateSend|StateClosing) != 0 || n == 0) {
		invariant.Fail("SendPipe of %d bytes on slot %d in state %#x", n, c.Slot, c.State)
	}
}
