package uring

import (
	"fmt"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// BenchmarkDatagrams compares the two ways of receiving datagrams: as the backend does, told by the epoll set and then
// by recvmmsg, and by a multishot RECVMSG that stays armed. Each turn a burst of 100 bytes each comes to every socket;
// one iteration is one datagram, with its sending, which "sent" measures alone.
func BenchmarkDatagrams(b *testing.B) {
	for _, shape := range []struct{ sockets, burst int }{{1, 1}, {1, 8}, {1, 64}, {8, 1}, {64, 1}, {64, 8}} {
		for name, way := range map[string]func(*harness) receiver{
			"sent": func(*harness) receiver { return discard{} }, "readiness": byReadiness, "multishot": byMultishot,
		} {
			b.Run(fmt.Sprintf("%dx%d/%s", shape.sockets, shape.burst, name), func(b *testing.B) {
				benchDatagrams(b, shape.sockets, shape.burst, way)
			})
		}
	}
}

// receiver is one way of receiving. A turn returns how many datagrams came.
type receiver interface {
	add(c *engine.Conn, fd int)
	turn() int
}

func benchDatagrams(b *testing.B, sockets, burst int, way func(*harness) receiver) {
	sizes := mem.Sizes{Small: 4096, Bulk: 256, Head: 1, BulkBytes: 65536}
	h := newHarness(b, Options{PostedSmall: 1024}, sizes, sockets)
	r := way(h)
	var peers []int
	for range sockets {
		pair := udpPair(b)
		defer unix.Close(pair[0])
		peers = append(peers, pair[0])
		r.add(h.conns.Alloc(), pair[1])
	}
	data := make([]byte, 100)
	report := h.measure(b)
	for done := 0; done < b.N; {
		for _, fd := range peers {
			for range burst {
				unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&data[0])), 100, 0, 0, 0)
			}
		}
		for left := sockets * burst; left > 0; {
			n := r.turn()
			if n < 0 {
				n = left
			}
			left -= n
			done += n
		}
	}
	report()
}

type discard struct{}

func (discard) add(_ *engine.Conn, fd int) { unix.Close(fd) }
func (discard) turn() int                  { return -1 }

type readiness struct {
	*harness
	datagrams []engine.Datagram
}

func byReadiness(h *harness) receiver {
	return &readiness{h, make([]engine.Datagram, engine.DatagramsMax)}
}

func (r *readiness) add(c *engine.Conn, fd int) { r.b.AttachDatagrams(c, fd) }

func (r *readiness) turn() int {
	got := 0
	for _, ev := range r.poll(-1) {
		n := r.b.RecvDatagrams(r.conns.At(ev.Slot), r.datagrams)
		for i := range max(n, 0) {
			r.mem.Drop(r.datagrams[i].Buf)
		}
		got += n
	}
	return got
}

// multishot drives the backend's ring itself.
type multishot struct {
	*harness
	msg *msghdr // what every operation has in common: room for a name and control messages
}

func byMultishot(h *harness) receiver {
	cell := h.b.cells.take()
	cell.msg = msghdr{nameLen: 28, controlLen: 64}
	return &multishot{h, &cell.msg}
}

func (m *multishot) add(c *engine.Conn, fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	m.b.Attach(c, fd)
	c.Ops++
	m.arm(c)
}

func (m *multishot) arm(c *engine.Conn) {
	const opRecvmsg = 10
	*m.b.ring.sqe() = sqe{
		opcode: opRecvmsg, flags: sqeBufferSelect, ioprio: recvMultishot, fd: c.FD, len: 1,
		addr: uint64(uintptr(unsafe.Pointer(m.msg))), bufGroup: bufferGroup, userData: token(c, kindRecv),
	}
}

func (m *multishot) turn() int {
	r, n := &m.b.ring, 0
	m.b.small.topUp()
	if err := r.enter(1, -1, 0); err != nil {
		m.Fatal(err)
	}
	ready := r.ready()
	for i := range ready {
		e := r.cqe(i)
		tok := engine.Token(e.userData)
		if tok.Kind() != kindRecv {
			continue
		}
		if e.flags&cqeBuffer != 0 {
			buf, off := m.b.small.consume(e.flags >> cqeBufferShift)
			head := m.mem.Bytes(mem.Span{Off: off, Len: 16}) // struct io_uring_recvmsg_out
			if head[8] == 100 {
				n++
			}
			m.mem.Drop(buf)
		}
		if e.flags&cqeMore == 0 {
			m.arm(m.conns.At(tok.Slot()))
		}
	}
	r.advance(ready)
	m.b.publish(int(ready))
	return n
}

// udpPair is two UDP sockets on loopback, the first connected to the second; the first is blocking.
func udpPair(t testing.TB) [2]int {
	t.Helper()
	var fds [2]int
	for i := range fds {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK*i, 0)
		if err == nil {
			err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
		}
		if err != nil {
			t.Fatal(err)
		}
		fds[i] = fd
	}
	to, err := unix.Getsockname(fds[1])
	if err == nil {
		err = unix.Connect(fds[0], to)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fds
}
