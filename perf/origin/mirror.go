package origin

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// mirrorCount is how many datagrams are taken with a system call, and sent back with another one.
	mirrorCount = 64
	// datagramBytes is the longest datagram that is sent back whole.
	datagramBytes = 2 << 10
)

// mirror sends datagrams back to whom they come from. Its headers have the form that the kernel wants (recvmmsg(2)).
type mirror struct {
	headers [mirrorCount]messageHeader
	names   [mirrorCount]unix.RawSockaddrInet4
	parts   [mirrorCount]unix.Iovec
	buffers [mirrorCount][datagramBytes]byte
}

// messageHeader is struct mmsghdr.
type messageHeader struct {
	message unix.Msghdr
	length  uint32
	_       [4]byte
}

func newMirror() *mirror {
	m := new(mirror)
	for i := range m.headers {
		m.parts[i].Base = &m.buffers[i][0]
		h := &m.headers[i].message
		h.Name, h.Iov = (*byte)(unsafe.Pointer(&m.names[i])), &m.parts[i]
		h.SetIovlen(1)
	}
	return m
}

// sendBack takes the datagrams that wait at a socket and sends them back. What the kernel has no room for is lost, as
// UDP may.
func (m *mirror) sendBack(fd int) error {
	for {
		for i := range m.headers {
			m.parts[i].SetLen(datagramBytes)
			m.headers[i].message.Namelen = unix.SizeofSockaddrInet4
		}
		n, errno := m.call(unix.SYS_RECVMMSG, fd, mirrorCount)
		switch errno {
		case 0:
		case unix.EAGAIN, unix.EINTR, unix.ECONNREFUSED:
			return nil
		default:
			return fmt.Errorf("receive datagrams: %w", errno)
		}
		for i := range n {
			m.parts[i].SetLen(int(m.headers[i].length))
		}
		_, _ = m.call(unix.SYS_SENDMMSG, fd, n)
		if n < mirrorCount {
			return nil // it is told as long as there are more
		}
	}
}

// call hands the first n headers to the kernel, and returns for how many of them it did what is asked.
func (m *mirror) call(number uintptr, fd, n int) (int, unix.Errno) {
	done, _, errno := unix.Syscall6(number, uintptr(fd), uintptr(unsafe.Pointer(&m.headers[0])), uintptr(n), 0, 0, 0)
	return int(done), errno
}
