package sim_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/engine/sim"
)

// shard opens a backend in a world.
type shard struct {
	*sim.Backend
	w     *sim.World
	conns *engine.Table
	mem   *mem.Arena
	stats engine.Stats
	out   [16]engine.Event
}

func open(t *testing.T, seed uint64, faults sim.Faults) *shard {
	t.Helper()
	s := &shard{w: sim.NewWorld(seed, faults)}
	s.Backend = sim.New(s.w)
	var err error
	if s.conns, err = engine.NewTable(16); err != nil {
		t.Fatal(err)
	}
	if s.mem, err = mem.NewArena(mem.Sizes{Small: 16, Bulk: 4, BulkBytes: 4096, Head: 2}); err != nil {
		t.Fatal(err)
	}
	if err = s.Open(engine.Env{Conns: s.conns, Mem: s.mem, Stats: &s.stats}); err != nil {
		t.Fatal(err)
	}
	if err = s.Listen(0, 3); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.mem.Close()
		s.conns.Close()
	})
	return s
}

func (s *shard) poll(t *testing.T, timeout int64) []engine.Event {
	t.Helper()
	n, err := s.Poll(timeout, s.out[:])
	if err != nil {
		t.Fatal(err)
	}
	return s.out[:n]
}

// accept dials and attaches.
func (s *shard) accept(t *testing.T) (*engine.Conn, *sim.Peer) {
	t.Helper()
	p := s.w.Dial(0, netip.AddrPort{})
	ev := s.poll(t, 1e9)
	if len(ev) != 1 || ev[0].Kind != engine.EvAccept || s.Peer(&ev[0]) != p.Addr() {
		t.Fatalf("events %+v, want an accept of %v", ev, p.Addr())
	}
	c := s.conns.Alloc()
	s.Attach(c, int(ev[0].Res))
	return c, p
}

// history plays a fixed scene and writes down every event.
func history(t *testing.T, seed uint64) string {
	s := open(t, seed, hostile)
	var log strings.Builder
	var peers []*sim.Peer
	for range 6 {
		peers = append(peers, s.w.Dial(0, netip.AddrPort{}))
	}
	for range 300 {
		for _, ev := range s.poll(t, 200_000) {
			fmt.Fprintln(&log, s.w.Now(), ev)
			switch {
			case ev.Kind == engine.EvAccept && ev.Res > 0:
				c := s.conns.Alloc()
				s.Attach(c, int(ev.Res))
				s.Recv(c, engine.RecvStream)
			case ev.Kind == engine.EvRecv:
				s.mem.Drop(ev.Buf)
				if c := s.conns.At(ev.Slot); !c.RecvArmed() && (ev.Res > 0 || ev.Res == -int32(unix.ENOBUFS)) {
					s.Recv(c, engine.RecvStream)
				}
			}
		}
		for _, p := range peers {
			p.Write(make([]byte, 700))
		}
	}
	return log.String()
}

func TestSameSeedSameEvents(t *testing.T) {
	first := history(t, 5)
	if again := history(t, 5); again != first {
		t.Error("the same seed gave different events")
	}
	if other := history(t, 6); other == first {
		t.Error("another seed gave the same events")
	}
	if strings.Count(first, "\n") < 300 {
		t.Errorf("the scene has only %d events", strings.Count(first, "\n"))
	}
}

func TestTimeIsVirtual(t *testing.T) {
	s := open(t, 1, sim.Faults{})
	called := int64(-1)
	s.w.After(3e9, func() { called = s.w.Now() })
	if n := len(s.poll(t, 1e9)); n != 0 || s.w.Now() != 1e9 || called != -1 {
		t.Fatalf("%d events, now %d, timer at %d", n, s.w.Now(), called)
	}
	if s.poll(t, 5e9); called != 3e9 || s.w.Now() != 6e9 {
		t.Fatalf("the timer of 3 s came at %d; now %d, want 6 s", called, s.w.Now())
	}
	silent := engine.IPAddr(netip.MustParseAddrPort("192.0.2.1:80"))
	s.w.Silence(silent)
	c := s.conns.Alloc()
	s.Connect(c, &silent)
	ev := s.poll(t, -1)
	if len(ev) != 1 || ev[0].Res != -int32(unix.ETIMEDOUT) || s.w.Now() != 6e9+127e9 {
		t.Fatalf("a connect that nobody answers: %+v at %d", ev, s.w.Now())
	}
}

// TestViolations checks that each way to break the contract panics with a message that names it.
func TestViolations(t *testing.T) {
	spans := func(s *shard) []mem.Span {
		buf, _ := s.mem.Take(mem.Head)
		span := s.mem.Data(buf)
		span.Len = 10
		return []mem.Span{span}
	}
	violations := map[string]func(s *shard, c *engine.Conn, p *sim.Peer){
		"Recv while a receive is armed": func(s *shard, c *engine.Conn, _ *sim.Peer) {
			s.Recv(c, engine.RecvStream)
			s.Recv(c, engine.RecvStream)
		},
		"Send while a send is in flight": func(s *shard, c *engine.Conn, _ *sim.Peer) {
			s.Send(c, spans(s), false)
			s.Send(c, spans(s), false)
		},
		"Send after CloseWrite": func(s *shard, c *engine.Conn, _ *sim.Peer) {
			s.CloseWrite(c)
			s.Send(c, spans(s), false)
		},
		"CloseWrite while a send is in flight": func(s *shard, c *engine.Conn, _ *sim.Peer) {
			s.Send(c, spans(s), false)
			s.CloseWrite(c)
		},
		"Send of an empty span": func(s *shard, c *engine.Conn, _ *sim.Peer) { s.Send(c, make([]mem.Span, 1), false) },
		"Send of 0 spans":       func(s *shard, c *engine.Conn, _ *sim.Peer) { s.Send(c, nil, false) },
		"Recv after Close": func(s *shard, c *engine.Conn, _ *sim.Peer) {
			s.Close(c, false)
			s.Recv(c, engine.RecvStream)
		},
		"closed twice": func(s *shard, c *engine.Conn, _ *sim.Peer) {
			s.Close(c, false)
			s.Close(c, false)
		},
		"attach of descriptor 99": func(s *shard, _ *engine.Conn, _ *sim.Peer) { s.Attach(s.conns.Alloc(), 99) },
		"Recv without a socket": func(s *shard, _ *engine.Conn, _ *sim.Peer) {
			s.Recv(s.conns.Alloc(), engine.RecvBulk)
		},
		"the bytes of a send changed": func(s *shard, c *engine.Conn, _ *sim.Peer) {
			sent := spans(s)
			s.Send(c, sent, false)
			s.mem.Bytes(sent[0])[3] ^= 1
			s.Poll(1e9, s.out[:])
		},
	}
	for want, commit := range violations {
		t.Run(want, func(t *testing.T) {
			s := open(t, 1, sim.Faults{})
			c, p := s.accept(t)
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("panic %q, want %q", got, want)
				}
			}()
			commit(s, c, p)
		})
	}
}

// TestPeer checks what a peer can do and see.
func TestPeer(t *testing.T) {
	s := open(t, 1, sim.Faults{Window: 100})
	c, p := s.accept(t)
	if n, err := p.Write(make([]byte, 150)); n != 100 || err != nil {
		t.Errorf("Write = %d, %v, want the window", n, err)
	}
	if n, err := p.Write([]byte{1}); n != 0 || err != sim.ErrWait {
		t.Errorf("Write into a full window = %d, %v", n, err)
	}
	p.SetWindow(4)
	buf, _ := s.mem.Take(mem.Head)
	defer s.mem.Drop(buf)
	span := s.mem.Data(buf)
	copy(s.mem.Bytes(span), "abcdefghij")
	span.Len = 10
	s.Send(c, []mem.Span{span}, false)
	if ev := s.poll(t, 1e9); len(ev) != 1 || ev[0].Res != 4 {
		t.Fatalf("send into a window of 4: %+v", ev)
	}
	if s.Unacked(c) != 4 {
		t.Errorf("Unacked = %d, want 4", s.Unacked(c))
	}
	span.Off, span.Len = span.Off+4, 6
	s.Send(c, []mem.Span{span}, false)
	if ev := s.poll(t, 1e9); len(ev) != 0 {
		t.Fatalf("send to a peer that does not read: %+v", ev)
	}
	if got := string(p.Arrived()); got != "abcd" {
		t.Errorf("arrived %q", got)
	}
	s.poll(t, 1e9)
	s.Close(c, true)
	p.Arrived()
	if ended, reset := p.Ended(); !ended || !reset {
		t.Errorf("after a reset: ended %v, reset %v", ended, reset)
	}
}
