package uring

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// harness is a shard's view of a backend, on the test's own thread.
type harness struct {
	testing.TB
	b     *Backend
	conns *engine.Table
	mem   *mem.Arena
	stats engine.Stats
	out   [256]engine.Event
}

var smallSizes = mem.Sizes{Small: 512, Bulk: 8, Head: 1, BulkBytes: 65536}

// newHarness opens a backend; it is shut down, and its memory checked, at the end of the test.
func newHarness(t testing.TB, opt Options, sizes mem.Sizes, conns int) *harness {
	t.Helper()
	h := newClosedHarness(t, sizes, conns)
	h.b = New(opt)
	if err := h.b.Open(engine.Env{Conns: h.conns, Mem: h.mem, Stats: &h.stats}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if n := workers(t); n != 0 {
			t.Errorf("the kernel runs %d worker threads for the ring", n)
		}
		h.b.Shutdown()
	})
	return h
}

// newClosedHarness makes what a backend works on. The thread stays locked until the test's end.
func newClosedHarness(t testing.TB, sizes mem.Sizes, conns int) *harness {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	h := &harness{TB: t}
	var err error
	if h.conns, err = engine.NewTable(conns); err != nil {
		t.Fatal(err)
	}
	if h.mem, err = mem.NewArena(sizes); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(h.mem.Close(), h.conns.Close()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// attach gives fd to a new connection.
func (h *harness) attach(fd int) *engine.Conn {
	h.Helper()
	c := h.conns.Alloc()
	if c == nil {
		h.Fatal("connection table is full")
	}
	h.b.Attach(c, fd)
	return c
}

// poll is one turn that must not fail.
func (h *harness) poll(timeout int64) []engine.Event {
	h.Helper()
	n, err := h.b.Poll(timeout, h.out[:])
	if err != nil {
		h.Fatal(err)
	}
	return h.out[:n]
}

// await polls until an event of the kind comes for the slot, and returns it. Other events are handed to
// other, which may be nil.
func (h *harness) await(kind engine.Kind, slot uint32, other func(engine.Event)) engine.Event {
	h.Helper()
	for range 10000 {
		events := h.poll(1e9)
		for i, ev := range events {
			if ev.Kind == kind && ev.Slot == slot {
				if i+1 < len(events) && other != nil {
					for _, rest := range events[i+1:] {
						other(rest)
					}
				} else if i+1 < len(events) {
					h.Fatalf("events behind the awaited one: %+v", events[i+1:])
				}
				return ev
			}
			if other == nil {
				h.Fatalf("got %+v while waiting for %v of slot %d", ev, kind, slot)
			}
			other(ev)
		}
	}
	h.Fatalf("no %v of slot %d", kind, slot)
	return engine.Event{}
}

// text is the data of a receive, which is dropped.
func (h *harness) text(ev engine.Event) string {
	h.Helper()
	if ev.Kind != engine.EvRecv || ev.Res <= 0 {
		h.Fatalf("no data in %+v", ev)
	}
	s := string(h.mem.Bytes(ev.Data()))
	h.mem.Drop(ev.Buf)
	return s
}

// buffer is a Small buffer holding s.
func (h *harness) buffer(s string) (mem.Buf, mem.Span) {
	h.Helper()
	buf, ok := h.mem.Take(mem.Small)
	if !ok {
		h.Fatal("no buffer")
	}
	span := h.mem.Data(buf)
	span.Len = uint32(copy(h.mem.Bytes(span), s))
	return buf, span
}

// close closes c and waits for its end; data that still comes is an error.
func (h *harness) close(c *engine.Conn, reset bool) {
	h.Helper()
	h.b.Close(c, reset)
	h.await(engine.EvClosed, c.Slot, nil)
	h.conns.Release(c)
}

// checkIdle tells whether every buffer but the posted ones is free.
func (h *harness) checkIdle() {
	h.Helper()
	if used := h.mem.InUse(mem.Small); used != int(h.b.small.posted) {
		h.Errorf("%d small buffers in use, %d of them posted", used, h.b.small.posted)
	}
	if used := h.mem.InUse(mem.Bulk); used != 0 {
		h.Errorf("%d bulk buffers in use", used)
	}
}

// tiers runs f for each tier that this kernel has.
func tiers(t *testing.T, f func(t *testing.T, tier string)) {
	s, err := Probe()
	if err != nil {
		t.Skipf("no io_uring here: %v", err)
	}
	for _, tier := range []string{T1, T2, T3} {
		if len(s.Lacks(tier)) == 0 {
			t.Run(tier, func(t *testing.T) { f(t, tier) })
		}
	}
}

func unixPair(t testing.TB) [2]int {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds
}

// listenTCP is a listening socket on loopback.
func listenTCP(t testing.TB) (int, *unix.SockaddrInet4) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		err = unix.Listen(fd, 4096)
	}
	if err != nil {
		t.Fatal(err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, at.(*unix.SockaddrInet4)
}

func dialTCP(t testing.TB, to unix.Sockaddr) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(fd, to)
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func loopback(at *unix.SockaddrInet4) engine.Addr {
	return engine.IPAddr(netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port)))
}

// tcpPair is a connection over loopback; the first end is blocking, the second is not.
func tcpPair(t testing.TB) [2]int {
	t.Helper()
	l, at := listenTCP(t)
	defer unix.Close(l)
	a := dialTCP(t, at)
	b, _, err := unix.Accept4(l, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err == nil {
		err = unix.SetsockoptInt(b, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	return [2]int{a, b}
}

// openFDs counts this process's descriptors.
func openFDs(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// workers counts the kernel threads that io_uring has started for this process.
func workers(t testing.TB) int {
	t.Helper()
	n := 0
	comms, _ := filepath.Glob("/proc/self/task/*/comm")
	for _, name := range comms {
		if comm, err := os.ReadFile(name); err == nil && strings.HasPrefix(string(comm), "iou-wrk") {
			n++
		}
	}
	return n
}
