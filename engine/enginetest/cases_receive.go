package enginetest

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

var receiveCases = []testCase{
	{"ReceiveStream", exact, testStream},
	{"ReceiveBurst", exact, testBurst},
	{"HalfClose", exact, testHalfClose},
	{"HalfCloseGone", exact, testHalfCloseGone},
	{"EndWithData", exact, testEndWithData},
	{"DataBeforeReceive", exact, testDataBefore},
	{"EndWhileUnarmed", exact, testEndWhileUnarmed},
	{"ReceiveReset", exact, testReceiveReset},
	{"ReceiveSmallOnce", exact, func(t *testing.T, h Harness) { testOnce(t, h, engine.RecvSmall, mem.SmallBytes) }},
	{"ReceiveBulkOnce", exact, func(t *testing.T, h Harness) {
		testOnce(t, h, engine.RecvBulk, usual.sizes.BulkBytes)
	}},
	{"ReceiveBulkMuch", exact, testBulkMuch},
	{"CancelIdle", exact, testCancelIdle},
	{"CancelNothing", exact, testCancelNothing},
	{"CancelRace", exact, testCancelRace},
	{"BackPressure", exact, testBackPressure},
}

// testStream sends many messages, one at a time, to one armed receive.
func testStream(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	l.recv(engine.RecvStream)
	var want []byte
	for i := range 300 {
		message := fmt.Appendf(nil, "message %d;", i)
		r.push(p, message)
		want = append(want, message...)
		l.expect(want)
		if !l.armed {
			t.Fatalf("the receive ended by itself with message %d", i)
		}
	}
	r.quiet()
	r.end()
}

func testBurst(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	l.stream()
	want := pattern(1, 3<<20)
	r.push(p, want)
	p.CloseWrite()
	l.expect(want)
	r.until("the end", l.ended)
	if l.last() != 0 {
		t.Errorf("the stream ended with %d, want 0", l.last())
	}
	r.end()
}

func testHalfClose(t *testing.T, h Harness) {
	for _, f := range []Family{TCP4, Unix} {
		r := newRig(t, h, usual)
		_, at := r.listen(0, f)
		l, p := r.pair(at)
		l.stream()
		r.push(p, []byte("question"))
		p.CloseWrite()
		r.until("the end", l.ended)
		l.expect([]byte("question"))
		if l.last() != 0 || l.armed {
			t.Errorf("%v: the stream ended with %d, armed %v", f, l.last(), l.armed)
		}
		r.quiet()
		answer := pattern(2, 100_000)
		l.write(answer)
		r.until("the answer to be sent", func() bool {
			chunk := make([]byte, 4096)
			n, err := p.Read(chunk)
			if err == nil && string(chunk[:n]) != string(answer[:n]) {
				t.Fatalf("%v: the peer read something else", f)
			}
			answer = answer[n:]
			return len(answer) == 0
		})
		l.close(false)
		r.wantEOF(p, nil)
		r.end()
	}
}

// testHalfCloseGone breaks a connection of which only one direction was left: no event says so, but who asks is told.
func testHalfCloseGone(t *testing.T, h Harness) {
	for _, f := range []Family{TCP4, Unix} {
		r := newRig(t, h, usual)
		_, at := r.listen(0, f)
		l, p := r.pair(at)
		if r.b.Gone(l.c) {
			t.Errorf("%v: gone from the beginning", f)
		}
		if got := r.b.Local(l.c); got != at.AddrPort() {
			t.Errorf("%v: its own end is at %v, not %v", f, got, at.AddrPort())
		}
		l.stream()
		p.CloseWrite()
		r.until("the end", l.ended)
		if r.b.Gone(l.c) {
			t.Errorf("%v: gone, though it has only ended its stream", f)
		}
		p.Reset()
		r.until("the break", func() bool { return r.b.Gone(l.c) })
		r.quiet()
		r.end()
	}
}

// testEndWithData has the data and the end waiting before anything is armed.
func testEndWithData(t *testing.T, h Harness) {
	for _, size := range []int{1, mem.SmallBytes, 3*mem.SmallBytes + 1, 200_000} {
		r := newRig(t, h, usual)
		l, p := r.tcpPair()
		want := pattern(uint64(size), size)
		r.push(p, want)
		p.CloseWrite()
		r.poll(0)
		l.stream()
		r.until("the end", l.ended)
		l.expect(want)
		if l.last() != 0 {
			t.Errorf("%d bytes: the stream ended with %d", size, l.last())
		}
		r.end()
	}
}

func testDataBefore(t *testing.T, h Harness) {
	for _, f := range []Family{TCP4, Unix} {
		for mode := engine.RecvStream; mode <= engine.RecvBulk; mode++ {
			for _, fin := range []bool{false, true} {
				early(t, h, f, mode, fin)
			}
		}
	}
}

// early arms the first receive of a connection, of either origin, when data and perhaps the end are there already.
func early(t *testing.T, h Harness, f Family, mode engine.RecvMode, fin bool) {
	t.Helper()
	r := newRig(t, h, usual)
	_, at := r.listen(0, f)
	a := r.serve(f)
	in, p := r.pair(at)
	out := r.connect(a.Addr())
	out.wantConnected(0)
	q := r.acceptPeer(a)
	for _, peer := range []Peer{p, q} {
		r.push(peer, []byte("early"))
		if fin {
			peer.CloseWrite()
		}
	}
	for i, l := range []*link{in, out} {
		l.keep = true
		l.recv(mode)
		what := fmt.Sprintf("early data over %v, mode %d, end %v, connection %d", f, mode, fin, i)
		r.until(what, func() bool { return len(l.got) == 5 && l.ended() == fin })
	}
	r.end()
}

func testEndWhileUnarmed(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	l.recv(engine.RecvSmall)
	r.push(p, []byte("x"))
	l.expect([]byte("x"))
	p.CloseWrite()
	r.quiet()
	l.recv(engine.RecvSmall)
	r.until("the end", l.ended)
	if l.last() != 0 {
		t.Errorf("the stream ended with %d, want 0", l.last())
	}
	r.quiet()
	r.end()
}

func testReceiveReset(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	l.stream()
	r.push(p, []byte("partial"))
	l.expect([]byte("partial"))
	p.Reset()
	r.until("the reset", l.ended)
	if l.last() != -int32(unix.ECONNRESET) {
		t.Errorf("the stream ended with %d, want -ECONNRESET", l.last())
	}
	r.quiet()
	r.end()
}

// testOnce checks that a single receive is one event, and that what it left waits for the next one.
func testOnce(t *testing.T, h Harness, mode engine.RecvMode, room int) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	l.recv(mode)
	r.quiet()
	want := pattern(3, 2*room+100)
	r.push(p, want)
	r.until("the receive", func() bool { return !l.armed })
	r.quiet()
	if n := len(l.recvs); n != 1 {
		t.Fatalf("%d events of one receive", n)
	}
	for len(l.got) < len(want) {
		before := len(l.got)
		l.recv(mode)
		r.until("the next receive", func() bool { return !l.armed })
		if len(l.got) == before || l.ended() {
			t.Fatalf("a receive with data waiting ended with %d", l.last())
		}
	}
	l.expect(want)
	r.end()
}

func testBulkMuch(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	l.keep = true
	l.recv(engine.RecvBulk)
	want := pattern(4, 8<<20)
	r.push(p, want)
	l.expect(want)
	r.end()
}

func testCancelIdle(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	for _, mode := range []engine.RecvMode{engine.RecvStream, engine.RecvSmall, engine.RecvBulk} {
		before := len(l.recvs)
		l.recv(mode)
		r.poll(0)
		l.cancel()
		r.until("the receive's end", func() bool { return !l.armed })
		if len(l.recvs) != before+1 || l.last() != -int32(unix.ECANCELED) {
			t.Errorf("mode %d: cancelled receive ended with %d after %d events", mode, l.last(), len(l.recvs)-before)
		}
	}
	r.quiet()
	r.push(p, []byte("later"))
	l.stream()
	l.expect([]byte("later"))
	r.end()
}

func testCancelNothing(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	l.cancel()
	r.quiet()
	l.recv(engine.RecvSmall)
	r.push(p, []byte("one"))
	l.expect([]byte("one"))
	l.cancel()
	r.quiet()
	l.stream()
	r.push(p, []byte("two"))
	l.expect([]byte("onetwo"))
	r.end()
}

// testCancelRace cancels and arms again, over and over, while data streams in: nothing may be lost or doubled.
func testCancelRace(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	want := pattern(5, 400_000)
	rest := want
	modes := []engine.RecvMode{engine.RecvStream, engine.RecvBulk, engine.RecvSmall}
	for i := 0; len(l.got) < len(want); i++ {
		if !l.armed && !l.ended() {
			l.recv(modes[i%len(modes)])
		}
		if i%2 == 0 {
			r.poll(0)
		}
		n, err := p.Write(rest[:min(len(rest), 1+i*37%5000)])
		if err != nil && err != ErrWait {
			t.Fatal(err)
		}
		rest = rest[n:]
		if i%3 == 0 && len(rest) > 0 {
			l.cancel()
		}
		r.poll(0)
		if l.ended() {
			t.Fatalf("the stream ended with %d", l.last())
		}
		if len(rest) == 0 || i%5 == 0 {
			r.poll(pause)
		}
	}
	l.expect(want)
	r.end()
}

// testBackPressure leaves the receive unarmed: the sender must come to a halt, and then lose nothing.
func testBackPressure(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	data := pattern(6, 64<<20)
	n := r.fill(p, data)
	if len(l.recvs) != 0 {
		t.Fatalf("%d events of a receive that nobody armed", len(l.recvs))
	}
	for _, class := range []mem.Class{mem.Small, mem.Bulk} {
		if free := r.env.Mem.Free(class); free == 0 {
			t.Errorf("no buffer of class %d is left though nobody receives", class)
		}
	}
	l.stream()
	l.expect(data[:n])
	r.end()
}
