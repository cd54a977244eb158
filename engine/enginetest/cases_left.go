package enginetest

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

// Receives of one piece where the piece before has left something behind: a backend may know that, and receive without
// asking the kernel first.
var leftCases = []testCase{
	{"LeftCancel", exact, testLeftCancel},
	{"LeftClose", exact, testLeftClose},
	{"LeftCloseThenReuse", exact, testLeftCloseReuse},
	{"LeftOneEventPerTurn", exact, testLeftOneEvent},
	{"LeftChangeOfMode", exact, testLeftChange},
}

// reception is a connection that receives piece by piece, and another one by which pipes are emptied.
type reception struct {
	*rig
	from, to       *link
	writer, reader Peer
	mode           engine.RecvMode
}

func newReception(t *testing.T, h Harness, mode engine.RecvMode) *reception {
	t.Helper()
	r := &reception{rig: newRig(t, h, usual), mode: mode}
	r.from, r.to, r.writer, r.reader = r.between(TCP4)
	return r
}

// arm arms a receive of one piece.
func (r *reception) arm() {
	if r.mode == engine.RecvPiped {
		r.from.recvPipe(1000)
		return
	}
	r.from.recv(r.mode)
}

// empty takes what is in the pipe out of it.
func (r *reception) empty() {
	r.t.Helper()
	if r.from.piped == 0 {
		return
	}
	want := len(r.from.got) + int(r.from.piped)
	r.until("what was in the pipe", func() bool {
		if r.from.piped > 0 && !r.to.sending {
			r.to.sendPipe(r.from)
		}
		n, _ := r.reader.Read(r.chunk)
		r.from.got = append(r.from.got, r.chunk[:max(n, 0)]...)
		return len(r.from.got) >= want && !r.to.sending
	})
}

// leave receives one piece of what the peer sends, with more behind it, and arms the next receive.
func (r *reception) leave(text []byte) {
	r.t.Helper()
	r.push(r.writer, text)
	r.arm()
	r.until("the first piece", func() bool { return !r.from.armed })
	r.empty()
	r.arm()
}

// rest receives until all of want is there.
func (r *reception) rest(want []byte) {
	r.t.Helper()
	r.until("all bytes", func() bool {
		r.empty()
		if len(r.from.got) < len(want) && !r.from.armed && !r.from.ended() {
			r.arm()
		}
		return !r.from.armed && len(r.from.got) >= len(want) || r.from.ended()
	})
	if got := r.from.got; !bytes.Equal(got, want) {
		r.t.Fatalf("mode %d: received %d bytes, want %d; right up to %d", r.mode, len(got), len(want),
			differ(got, want))
	}
}

var onePiece = []engine.RecvMode{engine.RecvBulk, engine.RecvPiped}

func testLeftCancel(t *testing.T, h Harness) {
	for _, mode := range onePiece {
		r := newReception(t, h, mode)
		want := pattern(41, 150_000)
		r.leave(want)
		r.from.cancel()
		r.until("the receive to end", func() bool { return !r.from.armed })
		if res := r.from.last(); res <= 0 && res != -int32(unix.ECANCELED) {
			t.Fatalf("the cancelled receive ended with %d", res)
		}
		r.rest(want)
		r.end()
	}
}

// testLeftClose closes, in order and by a reset, with and without a send in flight and a cancellation.
func testLeftClose(t *testing.T, h Harness) {
	for i := range 16 {
		r := newReception(t, h, onePiece[i&1])
		r.leave(pattern(42, 150_000))
		if i&4 != 0 {
			r.from.write([]byte("a send in flight"))
		}
		if i&8 != 0 {
			r.from.cancel()
		}
		r.from.close(i&2 != 0)
		r.until("EvClosed", func() bool { return r.from.closed == 1 })
		r.quiet()
		r.end()
	}
}

// testLeftCloseReuse gives the slot to another connection, which must not be taken for the one before.
func testLeftCloseReuse(t *testing.T, h Harness) {
	for _, mode := range onePiece {
		r := newReception(t, h, mode)
		_, at := r.listen(1, TCP4)
		slot := r.from.c.Slot
		r.leave(pattern(43, 150_000))
		r.from.close(true)
		r.until("EvClosed", func() bool { return r.from.closed == 1 })
		r.from, r.writer = r.pair(at)
		if r.from.c.Slot != slot {
			t.Fatalf("slot %d was not used again, but %d", slot, r.from.c.Slot)
		}
		want := pattern(44, 150_000)
		r.push(r.writer, want)
		r.rest(want)
		r.end()
	}
}

// testLeftOneEvent has room for a single event: what does not fit must not be lost.
func testLeftOneEvent(t *testing.T, h Harness) {
	with := usual
	with.out = 1
	r := newRig(t, h, with)
	from, to, writer, reader := r.between(TCP4)
	back := pattern(46, 100_000)
	r.push(reader, back)
	want, got := pattern(45, 1<<20), []byte(nil)
	unsent := want
	r.until("all bytes", func() bool {
		n, _ := writer.Write(unsent)
		unsent = unsent[max(n, 0):]
		r.relay(from, to, 8<<10)
		if !to.armed && len(to.got) < len(back) {
			to.recv(engine.RecvBulk)
		}
		n, _ = reader.Read(r.chunk)
		got = append(got, r.chunk[:max(n, 0)]...)
		return len(got) >= len(want) && len(to.got) >= len(back)
	})
	if !bytes.Equal(got, want) || !bytes.Equal(to.got, back) {
		t.Fatalf("%d and %d bytes came through, and not as sent", len(got), len(to.got))
	}
	r.end()
}

// testLeftChange receives by each mode in turn.
func testLeftChange(t *testing.T, h Harness) {
	r := newReception(t, h, engine.RecvPiped)
	want := pattern(47, 400_000)
	modes := []engine.RecvMode{engine.RecvPiped, engine.RecvBulk, engine.RecvSmall, engine.RecvPiped, engine.RecvSmall}
	unsent := want
	for i := 0; len(r.from.got) < len(want); i++ {
		n, _ := r.writer.Write(unsent)
		unsent = unsent[max(n, 0):]
		r.mode = modes[i%len(modes)]
		r.arm()
		r.until("a piece", func() bool { return !r.from.armed })
		r.empty()
	}
	if got := r.from.got; !bytes.Equal(got, want) {
		t.Fatalf("received %d bytes, want %d; right up to %d", len(got), len(want), differ(got, want))
	}
	r.end()
}
