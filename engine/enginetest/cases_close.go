package enginetest

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
)

var closeCases = []testCase{
	{"Close", exact, testClose},
	{"CloseWithoutSocket", always, testCloseBare},
	{"CloseDuringConnect", exact, testCloseConnecting},
	{"CloseDeliversWhatWasSent", exact, testCloseDelivers},
	{"CloseWithDataWaiting", exact, testCloseWaiting},
	{"ResetWhenRoomComes", exact, testResetRoom},
	{"CloseAfterResetByPeer", exact, testCloseAfterReset},
	{"SlotReuse", exact, testSlotReuse},
}

// testClose closes connections in every state, in order and with a reset.
func testClose(t *testing.T, h Harness) {
	states := map[string]func(r *rig, l *link){
		"idle":   func(*rig, *link) {},
		"stream": func(_ *rig, l *link) { l.recv(engine.RecvStream) },
		"bulk":   func(_ *rig, l *link) { l.recv(engine.RecvBulk) },
		"armed before the poll": func(r *rig, l *link) {
			l.recv(engine.RecvSmall)
			r.poll(0)
		},
		"cancelled": func(r *rig, l *link) {
			l.recv(engine.RecvStream)
			r.poll(0)
			l.cancel()
		},
		"sent": func(_ *rig, l *link) { l.write([]byte("unheard")) },
		"send blocked": func(r *rig, l *link) {
			l.write(pattern(12, 16<<20))
			l.untilBlocked()
			l.recv(engine.RecvStream)
		},
	}
	for name, prepare := range states {
		for _, reset := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/reset=%v", name, reset), func(t *testing.T) {
				r := newRig(t, h, usual)
				l, p := r.tcpPair()
				prepare(r, l)
				l.close(reset)
				r.until("EvClosed", func() bool { return l.closed == 1 })
				r.quiet()
				if reset {
					r.wantReset(p)
				} else if name != "send blocked" && name != "sent" {
					r.wantEOF(p, nil)
				}
				r.end()
			})
		}
	}
}

// testResetRoom resets a connection whose send was blocked just when the peer has read all that there was: it must not
// see an end before the reset.
func testResetRoom(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	l.write(pattern(12, 16<<20))
	l.untilBlocked()
	l.recv(engine.RecvStream)
	r.poll(0)
	chunk := make([]byte, 64<<10)
	for quiet := 0; quiet < 100; quiet++ { // without a turn, in which more would be sent
		n, err := p.Read(chunk)
		switch {
		case n > 0:
			quiet = 0
		case err == ErrWait:
			runtime.Gosched()
		default:
			t.Fatal(err)
		}
	}
	l.close(true)
	r.until("EvClosed", func() bool { return l.closed == 1 })
	r.wantReset(p)
	r.end()
}

func testCloseBare(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l := r.link()
	l.close(true)
	r.until("EvClosed", func() bool { return l.closed == 1 })
	r.quiet()
	r.end()
}

func testCloseConnecting(t *testing.T, h Harness) {
	for _, reset := range []bool{false, true} {
		r := newRig(t, h, usual)
		waiting := r.connect(r.w.Unanswered())
		r.poll(pause)
		if len(waiting.dialled) != 0 {
			t.Fatalf("a connect that nobody answers ended with %v", waiting.dialled)
		}
		a := r.serve(TCP4)
		fresh := r.connect(a.Addr())
		waiting.close(reset)
		fresh.close(reset)
		r.until("EvClosed", func() bool { return waiting.closed == 1 && fresh.closed == 1 })
		if len(waiting.dialled)+len(fresh.dialled) != 0 {
			t.Error("EvConnected after Close")
		}
		r.quiet()
		r.end()
	}
}

// testCloseDelivers closes right behind a send: the peer must get every byte that EvSent counted.
func testCloseDelivers(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	l.recv(engine.RecvStream)
	spans, want, buf := r.spans(8)
	for range 8 {
		r.sendAll(l, spans, false)
	}
	l.close(false)
	r.env.Mem.Drop(buf)
	all := []byte(nil)
	for range 8 {
		all = append(all, want...)
	}
	r.wantEOF(p, all)
	r.end()
}

// testCloseWaiting closes connections whose events are ready but were not reported yet: their buffers must come back.
func testCloseWaiting(t *testing.T, h Harness) {
	with := usual
	with.out = 1
	r := newRig(t, h, with)
	_, at := r.listen(0, TCP4)
	var links []*link
	for range 16 {
		l, p := r.pair(at)
		l.recv(engine.RecvStream)
		r.push(p, pattern(13, 20_000))
		links = append(links, l)
	}
	r.poll(pause)
	for _, l := range links {
		l.close(false)
	}
	r.until("every EvClosed", func() bool { return r.env.Conns.Live() == 0 })
	r.quiet()
	r.end()
}

func testCloseAfterReset(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	_, at := r.listen(0, TCP4)
	l, p := r.pair(at)
	l.recv(engine.RecvStream)
	r.poll(0)
	p.Reset()
	l.close(false)
	r.until("EvClosed", func() bool { return l.closed == 1 })
	r.quiet()
	r.end()
}

// testSlotReuse gives one slot to a new connection at the moment its last owner is gone, while data for the old one
// was under way. A stale event fails in the rig.
func testSlotReuse(t *testing.T, h Harness) {
	with := usual
	with.conns = 1
	r := newRig(t, h, with)
	_, at := r.listen(0, TCP4)
	for i := range 200 {
		l, p := r.pair(at)
		if l.c.Slot != 0 {
			t.Fatalf("slot %d of a table of one", l.c.Slot)
		}
		l.stream()
		want := pattern(uint64(i), 1+i*20)
		r.push(p, want)
		l.expect(want)
		switch i % 4 {
		case 0:
			r.push(p, want)
		case 1:
			p.Close()
		case 2:
			l.write(want)
		case 3:
			l.cancel()
		}
		l.close(i%3 == 0)
		r.until("EvClosed", func() bool { return l.closed == 1 })
	}
	r.quiet()
	r.end()
}
