package epoll

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/enginetest"
)

func TestSuite(t *testing.T) {
	enginetest.Run(t, enginetest.Kernel(func() engine.Backend { return New() }))
}

// TestSuiteOldKernel runs the suite as on a kernel before 5.11, without epoll_pwait2.
func TestSuiteOldKernel(t *testing.T) {
	enginetest.Run(t, enginetest.Kernel(func() engine.Backend { return old{New()} }))
}

type old struct{ *Backend }

func (b old) Open(env engine.Env) error {
	err := b.Backend.Open(env)
	b.pwait2 = false
	return err
}

// TestAttachFails attaches a socket that cannot be registered: its owner sees the stream end.
func TestAttachFails(t *testing.T) {
	s := newShard(t, 4)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	epfd := s.b.epfd
	s.b.epfd = -1
	c := s.env.Conns.Alloc()
	s.b.Attach(c, fds[0])
	s.b.epfd = epfd
	s.b.Recv(c, engine.RecvStream)
	n, err := s.b.Poll(-1, s.out[:])
	if err != nil || n != 1 || s.out[0].Kind != engine.EvRecv || s.out[0].Res != 0 {
		t.Fatalf("Poll = %d, %v with %+v, want the stream's end", n, err, s.out[0])
	}
	s.b.Close(c, false)
	if n, err = s.b.Poll(-1, s.out[:]); err != nil || n != 1 || s.out[0].Kind != engine.EvClosed {
		t.Fatalf("Poll = %d, %v with %+v, want EvClosed", n, err, s.out[0])
	}
	s.env.Conns.Release(c)
}

// TestShortReadSavesACall counts: a message that fits its buffer costs one receive, not a second one to see EAGAIN.
func TestShortReadSavesACall(t *testing.T) {
	const messages = 100
	s := newShard(t, 4)
	x, _ := s.tcpPair(t)
	spans, buf := s.message(100)
	defer s.env.Mem.Drop(buf)
	s.settle(t)
	before := s.env.Stats.Syscalls
	for range messages {
		s.b.Send(x, spans, false)
		s.settle(t)
	}
	// One send, one receive, and waits: one with an edge, one more that finds none.
	if n := s.env.Stats.Syscalls - before; n > 4*messages {
		t.Errorf("%d system calls for %d messages, want at most 4 each", n, messages)
	}
}

// settle polls until nothing comes any more.
func (s *shard) settle(t *testing.T) {
	t.Helper()
	for {
		n, err := s.b.Poll(0, s.out[:])
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
		for _, ev := range s.out[:n] {
			if ev.Kind == engine.EvRecv && ev.Res > 0 {
				s.env.Mem.Drop(ev.Buf)
			}
		}
	}
}
