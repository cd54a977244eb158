package uring

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// mappings counts this process's mapped rings, and all mappings.
func mappings(t testing.TB) (rings, all int) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(maps), "[io_uring]"), strings.Count(string(maps), "\n")
}

// TestNothingIsLeft opens and shuts down with everything in flight, many times.
func TestNothingIsLeft(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newClosedHarness(t, smallSizes, 16)
		l, at := listenTCP(t)
		defer unix.Close(l)
		to := loopback(at)
		once := func() {
			h.b = New(Options{Tier: tier})
			if err := h.b.Open(engine.Env{Conns: h.conns, Mem: h.mem, Stats: &h.stats}); err != nil {
				t.Fatal(err)
			}
			if err := h.b.Listen(0, l); err != nil {
				t.Fatal(err)
			}
			p := tcpPair(t)
			defer unix.Close(p[0])
			reader, bulk, dialer := h.attach(p[1]), h.attach(unixPair2(t)), h.conns.Alloc()
			h.b.Recv(reader, engine.RecvStream)
			h.b.Recv(bulk, engine.RecvBulk)
			h.b.Connect(dialer, &to)
			buf, span := h.buffer("unheard")
			h.b.Send(reader, []mem.Span{span}, false)
			write(t, p[0], "unread")
			settle := func(evs []engine.Event) {
				for _, ev := range evs {
					if ev.Kind == engine.EvAccept {
						unix.Close(int(ev.Res))
					}
					if ev.Kind == engine.EvRecv {
						h.mem.Drop(ev.Buf)
					}
				}
			}
			settle(h.poll(0))
			h.b.Close(bulk, true)
			settle(h.poll(0))
			h.b.Shutdown()
			h.mem.Drop(buf)
			for _, c := range []*engine.Conn{reader, bulk, dialer} {
				h.conns.Release(c)
			}
		}
		once()
		if h.mem.InUse(mem.Small)+h.mem.InUse(mem.Bulk) > 0 {
			t.Fatalf("%d and %d buffers are in use after Shutdown", h.mem.InUse(mem.Small), h.mem.InUse(mem.Bulk))
		}
		files := openFDs(t)
		_, all := mappings(t)
		for range 100 {
			once()
			for {
				fd, _, err := unix.Accept(l) // what the dialers left in the queue
				if err != nil {
					break
				}
				unix.Close(fd)
			}
		}
		rings, now := mappings(t)
		if rings != 0 || now > all+50 {
			t.Errorf("%d rings are mapped; %d mappings, %d before", rings, now, all)
		}
		if n := openFDs(t); n != files {
			t.Errorf("%d descriptors are open, %d before", n, files)
		}
	})
}

// TestShutdownOfMany shuts down with more connections than one batch of completions.
func TestShutdownOfMany(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newClosedHarness(t, smallSizes, 2000)
		files := openFDs(t)
		h.b = New(Options{Tier: tier, Entries: 64, CQFactor: 1})
		if err := h.b.Open(engine.Env{Conns: h.conns, Mem: h.mem, Stats: &h.stats}); err != nil {
			t.Fatal(err)
		}
		for range h.conns.Len() / 2 {
			p := unixPair(t)
			h.b.Recv(h.attach(p[0]), engine.RecvStream)
			h.b.Recv(h.attach(p[1]), engine.RecvBulk)
		}
		h.poll(0)
		h.b.Shutdown()
		if n := openFDs(t); n != files {
			t.Errorf("%d descriptors are open, %d before", n, files)
		}
		if h.mem.InUse(mem.Small) != 0 || h.mem.InUse(mem.Bulk) != 0 {
			t.Error("buffers are in use after Shutdown")
		}
	})
}

// unixPair2 is one end of a pair whose other end is closed at the test's end.
func unixPair2(t testing.TB) int {
	p := unixPair(t)
	unix.Close(p[0])
	return p[1]
}

// TestOpenFails checks that an Open that fails says why and leaves nothing.
func TestOpenFails(t *testing.T) {
	h := newClosedHarness(t, mem.Sizes{Small: 0, Bulk: 4, Head: 1, BulkBytes: 4096}, 4)
	env := engine.Env{Conns: h.conns, Mem: h.mem, Stats: &h.stats}
	files := openFDs(t)
	for _, c := range []struct {
		opt  Options
		want string
	}{
		{Options{Tier: "T9"}, `tier "T9" is unknown`},
		{Options{Tier: T1}, "buffer class 0 of 0 buffers"},
	} {
		err := New(c.opt).Open(env)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.opt, err, c.want)
		}
	}
	if rings, _ := mappings(t); rings != 0 || openFDs(t) != files {
		t.Errorf("%d rings are mapped, %d descriptors open, %d before", rings, openFDs(t), files)
	}
}

func TestLacks(t *testing.T) {
	old := Support{BufRings: true}
	if old.Tier() != T1 || len(old.Lacks(T3)) != 3 {
		t.Errorf("tier %q; T3 lacks %q", old.Tier(), old.Lacks(T3))
	}
	none := Support{}
	if none.Tier() != "" {
		t.Errorf("tier %q without buffer rings", none.Tier())
	}
}

// TestStepErrors checks that an error wraps its errno and says what to do.
func TestStepErrors(t *testing.T) {
	for _, errno := range []unix.Errno{unix.EPERM, unix.ENOSYS, unix.ENOMEM, unix.EINVAL, unix.EIO} {
		err := stepError("set up io_uring", errno)
		if !errors.Is(err, errno) || !strings.HasPrefix(err.Error(), "set up io_uring: ") {
			t.Errorf("got %v", err)
		}
	}
}

// TestMemlock opens as a user whose locked memory is limited: with fewer entries when that helps, else with
// ENOMEM.
func TestMemlock(t *testing.T) {
	if unix.Geteuid() != 0 {
		t.Skip("needs root, to become somebody else for a moment")
	}
	if _, err := Probe(); err != nil {
		t.Skipf("no io_uring here: %v", err)
	}
	h := newClosedHarness(t, smallSizes, 4)
	env := engine.Env{Conns: h.conns, Mem: h.mem, Stats: &h.stats}
	withMemlock(t, 0, func() {
		err := New(Options{}).Open(env)
		if err == nil {
			t.Skip("this kernel does not charge rings to RLIMIT_MEMLOCK")
		}
		if !errors.Is(err, unix.ENOMEM) || !strings.Contains(err.Error(), "RLIMIT_MEMLOCK") {
			t.Errorf("got %v", err)
		}
	})
	withMemlock(t, 256<<10, func() {
		b := New(Options{Entries: 4096})
		if err := b.Open(env); err != nil {
			t.Fatal(err)
		}
		if b.ring.sqSize >= 4096 {
			t.Errorf("opened with %d entries", b.ring.sqSize)
		}
		h.b = b
		bounce(h, 10)
		b.Shutdown()
	})
}

// withMemlock runs f on a thread that has no capabilities in effect, under a limit of locked memory.
func withMemlock(t *testing.T, limit uint64, f func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: limit, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old)
	// The raw call changes this thread alone, unlike the library's.
	setEUID := func(id uintptr) {
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), id, ^uintptr(0)); errno != 0 {
			t.Fatal(errno)
		}
	}
	setEUID(65534)
	defer setEUID(0)
	f()
}
