package uring

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// pusher sends on one connection without end, and counts what is taken.
type pusher struct {
	*harness
	c     *engine.Conn
	span  mem.Span
	sent  int
	again int // sends to be asked for again
}

func (p *pusher) event(ev engine.Event) {
	p.Helper()
	switch {
	case ev.Kind == engine.EvRecv && ev.Res == 0:
		return
	case ev.Kind == engine.EvSent && ev.Res > 0:
		p.sent += int(ev.Res)
	case ev.Kind == engine.EvSent && ev.Res == -int32(unix.EAGAIN):
		p.again++
	default:
		p.Fatalf("got %+v", ev)
	}
	p.b.Send(p.c, []mem.Span{p.span}, false)
}

// fill polls until nothing has happened for some turns: the socket is full.
func (p *pusher) fill() {
	p.Helper()
	for quiet := 0; quiet < 5; quiet++ {
		for _, ev := range p.poll(20e6) {
			p.event(ev)
			quiet = 0
		}
	}
}

// A peer that has ended its own side and does not read is waited for without a worker thread and without spinning.
func TestSendToHalfClosedPeer(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 4)
		fds := tcpPair(t)
		defer unix.Close(fds[0])
		c := h.attach(fds[1])
		h.b.Recv(c, engine.RecvStream)
		if err := unix.Shutdown(fds[0], unix.SHUT_WR); err != nil {
			t.Fatal(err)
		}
		buf, span := h.buffer(string(make([]byte, 4096)))
		p := &pusher{harness: h, c: c, span: span}
		p.event(h.await(engine.EvRecv, c.Slot, nil))
		h.b.Send(c, []mem.Span{span}, false)
		p.fill()
		room := make([]byte, 1<<20)
		read := 0
		for round := range 3 {
			full := p.sent
			for read < full {
				n, err := unix.Read(fds[0], room)
				if err != nil || n == 0 {
					t.Fatalf("read %d, %v", n, err)
				}
				read += n
				for _, ev := range h.poll(0) {
					p.event(ev)
				}
			}
			if p.fill(); p.sent == full {
				t.Fatalf("round %d: nothing is sent although the peer reads", round)
			}
		}
		if p.again > 100 { // once each time the socket was full; who spins tries thousands of times
			t.Errorf("%d sends had to be asked for again", p.again)
		}
		h.close(c, false)
		h.mem.Drop(buf)
		h.checkIdle()
	})
}

// The same when the peer ends its side while sends wait already.
func TestHalfCloseWhileSendsWait(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 4)
		buf, span := h.buffer(string(make([]byte, 4096)))
		var peers []*pusher
		fill := func() {
			for quiet := 0; quiet < 5; quiet++ {
				for _, ev := range h.poll(20e6) {
					peers[ev.Slot].event(ev)
					quiet = 0
				}
			}
		}
		var ends []int
		for range h.conns.Len() {
			fds := tcpPair(t)
			defer unix.Close(fds[0])
			p := &pusher{harness: h, c: h.attach(fds[1]), span: span}
			peers, ends = append(peers, p), append(ends, fds[0])
			h.b.Send(p.c, []mem.Span{span}, false)
		}
		fill()
		for _, fd := range ends {
			if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
				t.Fatal(err)
			}
		}
		fill()
		if n := workers(t); n != 0 {
			t.Errorf("%d worker threads wait for room", n)
		}
		for _, p := range peers {
			if p.sent == 0 || p.again > 100 {
				t.Errorf("%d bytes sent, %d times asked for again", p.sent, p.again)
			}
			h.close(p.c, false)
		}
		h.mem.Drop(buf)
	})
}

// A connection that waits for room can be closed, and its slot used again.
func TestCloseWaitingForRoom(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 1)
		for _, reset := range []bool{false, true, false} {
			fds := tcpPair(t)
			c := h.attach(fds[1])
			h.b.Recv(c, engine.RecvStream)
			if err := unix.Shutdown(fds[0], unix.SHUT_WR); err != nil {
				t.Fatal(err)
			}
			buf, span := h.buffer(string(make([]byte, 4096)))
			p := &pusher{harness: h, c: c, span: span}
			p.event(h.await(engine.EvRecv, c.Slot, nil))
			h.b.Send(c, []mem.Span{span}, false)
			p.fill()
			unix.Close(fds[0])
			h.close(c, reset)
			h.mem.Drop(buf)
		}
		h.checkIdle()
	})
}
