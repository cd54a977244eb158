package epoll

import (
	"net"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// shard is the smallest owner that a backend can have.
type shard struct {
	b   *Backend
	env engine.Env
	out [256]engine.Event
}

func newShard(tb testing.TB, conns int) *shard {
	tb.Helper()
	runtime.LockOSThread()
	tb.Cleanup(runtime.UnlockOSThread)
	table, err := engine.NewTable(conns)
	if err != nil {
		tb.Fatal(err)
	}
	arena, err := mem.NewArena(mem.Sizes{Small: conns + 64, Bulk: 16, BulkBytes: 64 << 10, Head: 1})
	if err != nil {
		tb.Fatal(err)
	}
	s := &shard{b: New(), env: engine.Env{Conns: table, Mem: arena, Stats: new(engine.Stats)}}
	if err := s.b.Open(s.env); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		s.b.Shutdown()
		table.Close()
		arena.Close()
	})
	return s
}

// tcpPair attaches both ends of a loopback connection.
func (s *shard) tcpPair(tb testing.TB) (x, y *engine.Conn) {
	tb.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().(*net.TCPAddr)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		tb.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	peer, _, err := unix.Accept4(int(f.Fd()), unix.SOCK_CLOEXEC)
	if err != nil {
		tb.Fatal(err)
	}
	return s.adopt(tb, fd), s.adopt(tb, peer)
}

func (s *shard) adopt(tb testing.TB, fd int) *engine.Conn {
	tb.Helper()
	unix.SetNonblock(fd, true)
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	c := s.env.Conns.Alloc()
	s.b.Attach(c, fd)
	s.b.Recv(c, engine.RecvStream)
	return c
}

// turn echoes what arrived, one Poll's worth, and counts the messages.
func (s *shard) turn(tb testing.TB) (messages int) {
	n, err := s.b.Poll(1e9, s.out[:])
	if err != nil {
		tb.Fatal(err)
	}
	for i := range s.out[:n] {
		ev := &s.out[i]
		if ev.Kind != engine.EvRecv || ev.Res <= 0 {
			continue
		}
		messages++
		span := [1]mem.Span{ev.Data()}
		s.b.Send(s.env.Conns.At(ev.Slot), span[:], false)
		s.env.Mem.Drop(ev.Buf) // sent at once: 100 bytes always fit
	}
	return messages
}

// message is n bytes to send, and the buffer they lie in.
func (s *shard) message(n uint32) ([]mem.Span, mem.Buf) {
	buf, _ := s.env.Mem.Take(mem.Small)
	span := s.env.Mem.Data(buf)
	span.Len = n
	return []mem.Span{span}, buf
}

// start lets the pairs play a while, so that pages are touched and pools filled.
func (s *shard) start(tb testing.TB, pairs int) {
	spans, _ := s.message(100)
	for range pairs {
		x, _ := s.tcpPair(tb)
		s.b.Send(x, spans, false)
	}
	for range 1000 {
		s.turn(tb)
	}
}

func benchmarkPingPong(b *testing.B, pairs int) {
	s := newShard(b, 2*pairs)
	s.start(b, pairs)
	before := *s.env.Stats
	b.ResetTimer()
	messages := 0
	for messages < b.N {
		messages += s.turn(b)
	}
	b.StopTimer()
	after := *s.env.Stats
	b.ReportMetric(float64(after.Syscalls-before.Syscalls)/float64(messages), "syscalls/msg")
	b.ReportMetric(float64(messages)/float64(after.Polls-before.Polls), "msgs/poll")
}

func BenchmarkPingPong1(b *testing.B)   { benchmarkPingPong(b, 1) }
func BenchmarkPingPong64(b *testing.B)  { benchmarkPingPong(b, 64) }
func BenchmarkPingPong512(b *testing.B) { benchmarkPingPong(b, 512) }

func TestTurnAllocatesNothing(t *testing.T) {
	s := newShard(t, 32)
	s.start(t, 16)
	if n := testing.AllocsPerRun(1000, func() { s.turn(t) }); n != 0 {
		t.Errorf("%v allocations in a turn with traffic, want 0", n)
	}
}
