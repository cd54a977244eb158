package enginetest

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

var bufferCases = []testCase{
	{"BuffersExhausted", exact, testBuffersExhausted},
	{"BuffersOfReceivesStay", exact, testBuffersStay},
}

// testBuffersExhausted holds every Small buffer: the receive ends with -ENOBUFS, a connection that
// needs another class goes on, and after the buffers came back nothing is missing.
func testBuffersExhausted(t *testing.T, h Harness) {
	with := usual
	with.sizes.Small = 4
	r := newRig(t, h, with)
	_, at := r.listen(0, TCP4)
	greedy, p := r.pair(at)
	other, q := r.pair(at)
	greedy.hold = true
	greedy.recv(engine.RecvStream)
	want := pattern(7, 200_000)
	r.push(p, want)
	r.until("the buffers to run out", func() bool { return !greedy.armed })
	if greedy.last() != -int32(unix.ENOBUFS) {
		t.Fatalf("the receive ended with %d, want -ENOBUFS", greedy.last())
	}
	if r.env.Stats.NoBufs == 0 {
		t.Error("nothing was counted as NoBufs")
	}
	other.keep = true
	other.recv(engine.RecvBulk)
	r.push(q, want)
	other.expect(want)

	got := len(greedy.got)
	greedy.recv(engine.RecvStream)
	r.until("the receive to end again", func() bool { return !greedy.armed })
	if greedy.last() != -int32(unix.ENOBUFS) || len(greedy.got) != got {
		t.Fatalf("without buffers the receive ended with %d and %d bytes more", greedy.last(), len(greedy.got)-got)
	}
	greedy.hold = false
	r.drop()
	greedy.stream()
	greedy.expect(want)
	r.end()
}

// testBuffersStay keeps received buffers for long: what they hold must not change.
func testBuffersStay(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	l, p := r.tcpPair()
	l.hold = true
	l.stream()
	want := pattern(8, 64*1024)
	for at := 0; at < len(want); at += 1024 {
		r.push(p, want[at:at+1024])
		l.expect(want[:at+1024])
	}
	at := 0
	for _, ev := range l.recvs {
		if ev.Res <= 0 {
			continue
		}
		data := r.env.Mem.Bytes(mem.Span{Off: ev.Off, Len: uint32(ev.Res)})
		if string(data) != string(want[at:at+len(data)]) {
			t.Fatalf("the bytes from %d on changed while their buffer was held", at)
		}
		at += len(data)
	}
	r.end()
}
