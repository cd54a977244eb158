package enginetest

import (
	"bytes"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

var sendCases = []testCase{
	{"SendOneSpan", exact, func(t *testing.T, h Harness) { testSpans(t, h, 1, false) }},
	{"SendEightSpans", exact, func(t *testing.T, h Harness) { testSpans(t, h, engine.SendSpansMax, false) }},
	{"SendMore", exact, func(t *testing.T, h Harness) { testSpans(t, h, 3, true) }},
	{"SendToSlowReader", exact, func(t *testing.T, h Harness) { testSlowReader(t, h, TCP4) }},
	{"SendToSlowUnixReader", exact, func(t *testing.T, h Harness) { testSlowReader(t, h, Unix) }},
	{"SendBlockedSpans", exact, testBlockedSpans},
	{"BlockedSendSleeps", kernel, testBlockedSleeps},
	{"Unacked", exact, testUnacked},
	{"AckNow", exact, testAckNow},
	{"SendToClosedPeer", exact, testSendToClosed},
	{"CloseWrite", exact, testCloseWrite},
	{"BothWays", exact, testBothWays},
}

// spans cuts a fresh Head buffer into n spans of different lengths, filled with want.
func (r *rig) spans(n int) (spans []mem.Span, want []byte, buf mem.Buf) {
	r.t.Helper()
	buf, ok := r.env.Mem.Take(mem.Head)
	if !ok {
		r.t.Fatal("no Head buffer left")
	}
	room := r.env.Mem.Data(buf)
	copy(r.env.Mem.Bytes(room), pattern(uint64(n), int(room.Len)))
	off := room.Off
	for i := range n {
		s := mem.Span{Off: off, Len: uint32(1 + 331*i)}
		spans = append(spans, s)
		want = append(want, r.env.Mem.Bytes(s)...)
		off = s.End() + 13 // a gap, which must not be sent
	}
	return spans, want, buf
}

// sendAll sends the spans, and what a short send left, until all is sent.
func (r *rig) sendAll(l *link, spans []mem.Span, more bool) {
	r.t.Helper()
	rest := append([]mem.Span(nil), spans...)
	for len(rest) > 0 {
		given := append([]mem.Span(nil), rest...)
		l.send(given, more)
		clear(given) // the slice is read before Send returns
		r.until("EvSent", func() bool { return !l.sending })
		n := l.sent[len(l.sent)-1]
		if n < 0 {
			r.t.Fatalf("send ended with %d", n)
		}
		rest = advance(rest, uint32(n))
	}
}

// advance drops the first n bytes of spans.
func advance(spans []mem.Span, n uint32) []mem.Span {
	for len(spans) > 0 && n >= spans[0].Len {
		n -= spans[0].Len
		spans = spans[1:]
	}
	if n > 0 {
		spans[0].Off += n
		spans[0].Len -= n
	}
	return spans
}

func testSpans(t *testing.T, h Harness, n int, more bool) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	spans, want, buf := r.spans(n)
	r.sendAll(l, spans, more)
	if more {
		r.sendAll(l, spans[:1], false)
		want = append(want, r.env.Mem.Bytes(spans[0])...)
	}
	r.env.Mem.Drop(buf)
	if got := r.pull(p, len(want)); !bytes.Equal(got, want) {
		t.Errorf("the peer read something else, from byte %d on", differ(got, want))
	}
	r.quiet()
	r.end()
}

// untilBlocked waits until the outbox moves no more because the peer does not read.
func (l *link) untilBlocked() {
	t := l.r.t
	t.Helper()
	for stuck, before := 0, -1; stuck < 20; stuck++ {
		l.r.poll(pause)
		if len(l.outbox) != before {
			before, stuck = len(l.outbox), 0
		}
	}
	if !l.sending {
		t.Fatal("everything was sent though nobody reads")
	}
}

// testSlowReader sends 8 MiB to a peer that first does not read and then reads in small pieces.
func testSlowReader(t *testing.T, h Harness, f Family) {
	with := usual
	with.conns = 1 // what a blocked send takes for itself must come back
	r := newRig(t, h, with)
	_, at := r.listen(0, f)
	l, p := r.pair(at)
	want := pattern(9, 8<<20)
	l.write(want)
	l.untilBlocked()
	got := make([]byte, 0, len(want))
	chunk := make([]byte, 9999)
	r.until("the peer to read 8 MiB", func() bool {
		n, err := p.Read(chunk)
		if err != nil && err != ErrWait {
			t.Fatal(err)
		}
		got = append(got, chunk[:n]...)
		return len(got) == len(want)
	})
	if !bytes.Equal(got, want) {
		t.Errorf("the peer read something else, from byte %d on", differ(got, want))
	}
	r.end()
}

// testBlockedSpans lets a send of eight spans wait for room: the backend must have kept them.
func testBlockedSpans(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	spans, each, buf := r.spans(engine.SendSpansMax)
	var want []byte
	rest := append([]mem.Span(nil), spans...)
	for calm := 0; calm < 20; {
		if !l.sending {
			given := append([]mem.Span(nil), rest...)
			l.send(given, false)
			clear(given)
			calm = 0
		}
		r.poll(pause)
		calm++
		if !l.sending {
			rest = advance(rest, uint32(l.sent[len(l.sent)-1]))
		}
		if len(rest) == 0 {
			want = append(want, each...)
			rest = append(rest, spans...)
		}
	}
	done := len(each)
	for _, s := range rest {
		done -= int(s.Len)
	}
	want = append(want, each[:done]...)
	if got := r.pull(p, len(want)); !bytes.Equal(got, want) {
		t.Fatalf("the peer read something else, from byte %d on", differ(got, want))
	}
	r.until("EvSent", func() bool { return !l.sending })
	last := int(l.sent[len(l.sent)-1])
	if got := r.pull(p, last); !bytes.Equal(got, each[done:done+last]) {
		t.Errorf("what waited was sent wrong, from byte %d on", differ(got, each[done:]))
	}
	r.env.Mem.Drop(buf)
	r.end()
}

// testBlockedSleeps checks that a blocked send and an idle receive cost a wait each turn and nothing else.
func testBlockedSleeps(t *testing.T, h Harness) {
	const turns = 50
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	l.stream()
	l.write(pattern(15, 16<<20))
	l.untilBlocked()
	r.push(p, []byte("poke")) // something happens to the socket, but not what the send waits for
	l.expect([]byte("poke"))
	before, start := r.env.Stats.Syscalls, time.Now()
	for range turns {
		r.poll(pause)
	}
	if spent := time.Since(start); spent < turns*pause {
		t.Errorf("%d idle turns of %v each took %v", turns, time.Duration(pause), spent)
	}
	if n := r.env.Stats.Syscalls - before; n > turns {
		t.Errorf("%d system calls in %d idle turns", n, turns)
	}
	r.end()
}

// testUnacked looks at the send queue while it is full and when the peer has read it.
func testUnacked(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	if n := r.b.Unacked(l.c); n != 0 {
		t.Errorf("%d bytes not acknowledged, though none was sent", n)
	}
	want := pattern(16, 16<<20)
	l.write(want)
	l.untilBlocked()
	if r.b.Unacked(l.c) == 0 {
		t.Error("all bytes are acknowledged, though nobody reads")
	}
	if got := r.pull(p, len(want)); !bytes.Equal(got, want) {
		t.Error("the peer read something else")
	}
	r.until("the acknowledgement", func() bool { return r.b.Unacked(l.c) == 0 })
	r.end()
}

// testAckNow looks whether the peer is told at once that its bytes have come, in the middle of a conversation, when TCP
// would rather wait.
func testAckNow(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	l.stream()
	var want []byte
	for range 3 {
		l.write([]byte("said"))
		r.pull(p, len("said"))
		want = append(want, "heard"...)
		r.push(p, want[len(want)-len("heard"):])
		l.expect(want)
		r.b.AckNow(l.c)
		if socket, ok := p.(*socketPeer); ok {
			if left, err := unix.IoctlGetInt(socket.fd, unix.TIOCOUTQ); left != 0 || err != nil {
				t.Errorf("%d bytes are not acknowledged, %v", left, err)
			}
		}
	}
	r.end()
}

func testSendToClosed(t *testing.T, h Harness) {
	for _, f := range []Family{TCP4, Unix} {
		r := newRig(t, h, usual)
		_, at := r.listen(0, f)
		l, p := r.pair(at)
		p.Close()
		spans, _, buf := r.spans(1)
		for failed := false; !failed; {
			l.send(spans, false)
			r.until("EvSent", func() bool { return !l.sending })
			switch res := l.sent[len(l.sent)-1]; {
			case res == -int32(unix.EPIPE) || res == -int32(unix.ECONNRESET):
				failed = true
			case res < 0:
				t.Fatalf("%v: send to a closed peer ended with %d", f, res)
			case len(l.sent) > 1000:
				t.Fatalf("%v: %d sends to a closed peer succeeded", f, len(l.sent))
			}
		}
		r.env.Mem.Drop(buf)
		r.end()
	}
}

func testCloseWrite(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	l.stream()
	spans, want, buf := r.spans(4)
	r.sendAll(l, spans, false)
	r.env.Mem.Drop(buf)
	r.b.CloseWrite(l.c)
	r.wantEOF(p, want)
	if l.ended() {
		t.Fatalf("CloseWrite ended the receive with %d", l.last())
	}
	r.push(p, []byte("still heard"))
	l.expect([]byte("still heard"))
	p.CloseWrite()
	r.until("the end", l.ended)
	if l.last() != 0 {
		t.Errorf("the stream ended with %d, want 0", l.last())
	}
	r.end()
}

// testBothWays streams in both directions at once.
func testBothWays(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	l.stream()
	down, up := pattern(10, 2<<20), pattern(11, 2<<20)
	l.write(down)
	rest, got := up, []byte(nil)
	chunk := make([]byte, 30_000)
	r.until("both streams", func() bool {
		n, _ := p.Write(rest)
		rest = rest[n:]
		n, _ = p.Read(chunk)
		got = append(got, chunk[:n]...)
		return len(got) == len(down) && len(l.got) == len(up)
	})
	if !bytes.Equal(got, down) || !bytes.Equal(l.got, up) {
		t.Error("a stream arrived changed")
	}
	r.end()
}
