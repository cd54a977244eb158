package uring

import (
	"bytes"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// TestBufferStorm lets many connections have data at once while few buffers are posted. The arena has enough
// for all, so that no receive may end for want of a buffer.
func TestBufferStorm(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		for _, mode := range []engine.RecvMode{engine.RecvStream, engine.RecvSmall, engine.RecvBulk} {
			sizes := mem.Sizes{Small: 256, Bulk: 128, Head: 1, BulkBytes: 4096}
			h := newHarness(t, Options{Tier: tier, PostedSmall: 2}, sizes, 128)
			var peers [100]int
			for i := range peers {
				p := unixPair(t)
				peers[i] = p[0]
				h.b.Recv(h.attach(p[1]), mode)
			}
			h.poll(0)
			for _, fd := range peers {
				write(t, fd, "storm")
			}
			for got := 0; got < len(peers); {
				for _, ev := range h.poll(1e9) {
					if s := h.text(ev); s != "storm" {
						t.Fatalf("mode %d: received %q", mode, s)
					}
					got++
				}
			}
			for slot := range peers {
				h.close(h.conns.At(uint32(slot)), false)
				unix.Close(peers[slot])
			}
			if h.stats.NoBufs != 0 {
				t.Errorf("mode %d: %d receives were told that there is no buffer", mode, h.stats.NoBufs)
			}
			if mode == engine.RecvStream && h.b.small.target == 2 {
				t.Error("the target of posted buffers did not grow")
			}
			h.checkIdle()
		}
	})
}

// TestNoBuffers holds every buffer, then gives them back: the receive ends with ENOBUFS and loses nothing.
func TestNoBuffers(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, mem.Sizes{Small: 4, Bulk: 1, Head: 1, BulkBytes: 4096}, 8)
		p := tcpPair(t)
		defer unix.Close(p[0])
		c := h.attach(p[1])
		h.b.Recv(c, engine.RecvStream)
		sent := bytes.Repeat([]byte("0123456789abcdef"), 4096)
		write(t, p[0], string(sent))
		var got []byte
		for len(got) < len(sent) {
			var held []mem.Buf
			for c.RecvArmed() {
				for _, ev := range h.poll(1e9) {
					if ev.Res > 0 {
						got = append(got, h.mem.Bytes(ev.Data())...)
						held = append(held, ev.Buf)
					} else if ev.Res != -int32(unix.ENOBUFS) || ev.Flags != 0 {
						t.Fatalf("got %+v", ev)
					}
				}
				if len(got) == len(sent) {
					break
				}
			}
			for _, buf := range held {
				h.mem.Drop(buf)
			}
			if !c.RecvArmed() {
				h.b.Recv(c, engine.RecvStream)
			}
		}
		if !bytes.Equal(got, sent) {
			t.Error("the bytes received are not the ones sent")
		}
		if h.stats.NoBufs == 0 {
			t.Error("no receive ran out of buffers")
		}
		h.close(c, false)
		h.checkIdle()
	})
}

// TestCompletionOverflow has more completions at once than the queue holds, and takes them one by one.
func TestCompletionOverflow(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier, Entries: 4, CQFactor: 1}, smallSizes, 128)
		var peers [100]int
		for i := range peers {
			p := unixPair(t)
			peers[i] = p[0]
			c := h.attach(p[1])
			if i%2 == 0 {
				h.b.Recv(c, engine.RecvStream)
			} else {
				h.b.Recv(c, engine.RecvSmall)
			}
		}
		for _, fd := range peers {
			write(t, fd, "overflow")
		}
		for got := 0; got < len(peers); {
			n, err := h.b.Poll(1e9, h.out[:1])
			if err != nil {
				t.Fatal(err)
			}
			if n == 1 {
				if s := h.text(h.out[0]); s != "overflow" {
					t.Fatalf("received %q", s)
				}
				got++
			}
		}
		for slot, fd := range peers {
			h.close(h.conns.At(uint32(slot)), false)
			unix.Close(fd)
		}
		h.checkIdle()
	})
}

// TestBulkTurns checks that what many connections have for Bulk buffers is received a share at a time, all of it in
// the end.
func TestBulkTurns(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		const conns, each = 24, 32 << 10
		h := newHarness(t, Options{Tier: tier}, mem.Sizes{Small: 4, Bulk: 64, Head: 1, BulkBytes: each}, 64)
		var peers [conns]int
		for i := range peers {
			p := unixPair(t)
			peers[i] = p[0]
			write(t, p[0], string(bytes.Repeat([]byte{byte(i + 1)}, each)))
			h.b.Recv(h.attach(p[1]), engine.RecvBulk)
		}
		most := 0
		for got := 0; got < conns*each; {
			turn := 0
			for _, ev := range h.poll(1e9) {
				for _, v := range h.mem.Bytes(ev.Data()) {
					if v != byte(ev.Slot+1) {
						t.Fatalf("connection %d got a byte of %d", ev.Slot, v-1)
					}
				}
				turn += int(ev.Res)
				h.mem.Drop(ev.Buf)
			}
			got, most = got+turn, max(most, turn)
		}
		if most >= bulkPerTurn+each {
			t.Errorf("%d bytes in one turn", most)
		}
		for slot, fd := range peers {
			h.close(h.conns.At(uint32(slot)), false)
			unix.Close(fd)
		}
		h.checkIdle()
	})
}

// TestSignals interrupts the shard's thread without pause while messages go to and fro.
func TestSignals(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 8)
		pid, tid := unix.Getpid(), unix.Gettid()
		var stop atomic.Bool
		stopped := make(chan int)
		go func() {
			n := 0
			for ; !stop.Load(); n++ {
				if err := unix.Tgkill(pid, tid, unix.SIGURG); err != nil && !errors.Is(err, unix.EAGAIN) {
					t.Error(err)
					break
				}
				runtime.Gosched()
			}
			stopped <- n
		}()
		bounce(h, 5000)
		stop.Store(true)
		if <-stopped == 0 {
			t.Error("no signal was sent")
		}
	})
}

// bounce sends messages to and fro over one pair of sockets until n have arrived, waiting for each.
func bounce(h *harness, n int) {
	p := unixPair(h)
	c, peer := h.attach(p[0]), h.attach(p[1])
	h.b.Recv(c, engine.RecvStream)
	h.b.Recv(peer, engine.RecvStream)
	buf, span := h.buffer("ball")
	h.b.Send(c, []mem.Span{span}, false)
	ball := [1]mem.Span{span}
	for n > 0 {
		for _, ev := range h.poll(-1) {
			switch ev.Kind {
			case engine.EvRecv:
				if s := h.mem.Bytes(ev.Data()); string(s) != "ball" {
					h.Fatalf("received %q", s)
				}
				h.mem.Drop(ev.Buf)
				n--
			case engine.EvSent:
				h.b.Send(h.conns.At(ev.Slot^1), ball[:], false)
			}
		}
	}
	for c.SendBusy() || peer.SendBusy() {
		h.poll(1e9)
	}
	h.mem.Drop(buf)
	h.b.Close(c, false)
	h.b.Close(peer, false)
	for h.conns.Live() > 0 {
		for _, ev := range h.poll(1e9) {
			if ev.Kind != engine.EvClosed {
				h.Fatalf("got %+v of a closed connection", ev)
			}
			h.conns.Release(h.conns.At(ev.Slot))
		}
	}
}

// TestWake wakes the shard from another goroutine, each time while it waits or is about to. A lost wake-up
// hangs.
func TestWake(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 8)
		const rounds = 20_000
		var asked, seen atomic.Int64
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range int64(rounds) {
				asked.Store(i + 1)
				h.b.Wake()
				for seen.Load() <= i {
					runtime.Gosched()
				}
			}
		}()
		for seen.Load() < rounds {
			if len(h.poll(-1)) != 0 {
				t.Fatal("a wake-up is no event")
			}
			seen.Store(asked.Load())
		}
		<-done
		h.b.Wake()
		if len(h.poll(-1)) != 0 { // a wake-up that came before the wait
			t.Fatal("a wake-up is no event")
		}
	})
}

// TestTurnsDoNotAllocate counts allocations of turns with traffic.
func TestTurnsDoNotAllocate(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 8)
		p := unixPair(t)
		c, peer := h.attach(p[0]), h.attach(p[1])
		buf, span := h.buffer("message")
		spans := [2]mem.Span{span, span}
		h.b.Recv(peer, engine.RecvStream)
		wait := func(kind engine.Kind) {
			for {
				for _, ev := range h.poll(1e9) {
					if ev.Kind == engine.EvRecv {
						h.mem.Drop(ev.Buf)
					}
					if ev.Kind == kind {
						return
					}
				}
			}
		}
		n := testing.AllocsPerRun(200, func() {
			h.b.Send(c, spans[:], false)
			wait(engine.EvRecv)
			for c.SendBusy() {
				h.poll(0)
			}
			h.b.Recv(c, engine.RecvBulk)
			h.b.RecvCancel(c)
			wait(engine.EvRecv)
			h.b.Wake()
			h.poll(-1)
			h.poll(1000)
		})
		if n != 0 {
			t.Errorf("%v allocations a turn", n)
		}
		h.mem.Drop(buf)
	})
}

// TestConnectionsDoNotAllocate counts allocations of a connection's life, from both sides.
func TestConnectionsDoNotAllocate(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 8)
		l, at := listenTCP(t)
		defer unix.Close(l)
		if err := h.b.Listen(0, l); err != nil {
			t.Fatal(err)
		}
		to := loopback(at)
		round := func(reset bool) {
			c, peer := h.conns.Alloc(), h.conns.Alloc()
			h.b.Connect(c, &to)
			for connected, accepted := false, false; !connected || !accepted; {
				for i := range h.poll(1e9) {
					switch ev := &h.out[i]; ev.Kind {
					case engine.EvAccept:
						accepted = h.b.Peer(ev).IsValid()
						h.b.Attach(peer, int(ev.Res))
						h.b.Recv(peer, engine.RecvStream)
					case engine.EvConnected:
						connected = ev.Res == 0
					}
				}
			}
			h.b.Close(peer, reset)
			h.b.Close(c, false)
			for closed := 0; closed < 2; {
				closed += len(h.poll(1e9))
			}
			h.conns.Release(c)
			h.conns.Release(peer)
		}
		for range 10 {
			round(true) // the table's free list grows to its size
		}
		if n := testing.AllocsPerRun(100, func() { round(false); round(true) }); n != 0 {
			t.Errorf("%v allocations for two connections", n)
		}
	})
}

// TestBulkCancelEmpty cancels a receive of one piece whose socket has been reported as ready and turns out to be empty,
// as with urgent data alone: it ends as any that was cancelled.
func TestBulkCancelEmpty(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, mem.Sizes{Small: 4, Bulk: 4, Head: 1, BulkBytes: 4096}, 8)
		p := tcpPair(t)
		defer unix.Close(p[0])
		c := h.attach(p[1])
		h.b.Recv(c, engine.RecvBulk)
		h.poll(0)
		write(t, p[0], "x")
		if _, err := h.b.Poll(0, h.out[:0]); err != nil { // it is told, and there is no room for what comes of it
			t.Fatal(err)
		}
		if _, err := unix.Read(p[1], make([]byte, 2)); err != nil {
			t.Fatal(err)
		}
		h.b.RecvCancel(c)
		if ev := h.await(engine.EvRecv, c.Slot, nil); ev.Res != -int32(unix.ECANCELED) {
			t.Errorf("the receive ended with %d", ev.Res)
		}
		h.close(c, false)
		h.checkIdle()
	})
}
