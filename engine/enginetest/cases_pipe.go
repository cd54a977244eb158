package enginetest

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

var pipeCases = []testCase{
	{"PipeRelay", exact, func(t *testing.T, h Harness) { testPipeRelay(t, h, TCP4) }},
	{"PipeRelayUnix", exact, func(t *testing.T, h Harness) { testPipeRelay(t, h, Unix) }},
	{"PipeSlowReader", exact, testPipeSlowReader},
	{"PipeMost", exact, testPipeMost},
	{"PipesExhausted", exact, testPipesExhausted},
	{"PipeDroppedFull", exact, testPipeDroppedFull},
	{"PipeCancel", exact, testPipeCancel},
	{"PipeReset", exact, testPipeReset},
	{"PipeToClosedPeer", exact, testPipeToClosed},
	{"PipeCloseWhileSending", exact, testPipeClose},
	{"PipeCloseBeforeSent", exact, testPipeCloseAtOnce},
}

// relay moves what comes on from to to, one pipe at a time. A call begins what can be begun now.
func (r *rig) relay(from, to *link, most uint32) {
	switch {
	case from.pipe != mem.NoBuf && !to.sending:
		to.sendPipe(from)
	case from.pipe == mem.NoBuf && !from.armed && !from.ended():
		from.recvPipe(most)
	}
}

// piped receives what there is into a pipe.
func (r *rig) piped(l *link, most uint32) {
	r.t.Helper()
	l.recvPipe(most)
	r.until("a pipe", func() bool { return !l.armed })
	if l.last() <= 0 {
		r.t.Fatalf("the receive into a pipe ended with %d", l.last())
	}
}

// between are two connections of the backend's, with their peers.
func (r *rig) between(f Family) (from, to *link, writer, reader Peer) {
	r.t.Helper()
	_, at := r.listen(0, f)
	from, writer = r.pair(at)
	to, reader = r.pair(at)
	return from, to, writer, reader
}

func testPipeRelay(t *testing.T, h Harness, f Family) {
	r := newRig(t, h, usual)
	from, to, writer, reader := r.between(f)
	want := pattern(31, 3<<20)
	rest, got := want, []byte(nil)
	r.until("all bytes", func() bool {
		if len(rest) > 0 {
			n, _ := writer.Write(rest)
			if rest = rest[n:]; len(rest) == 0 {
				writer.CloseWrite()
			}
		}
		r.relay(from, to, uint32(1+len(got)%300_000))
		n, _ := reader.Read(r.chunk)
		got = append(got, r.chunk[:n]...)
		return len(got) == len(want) && from.ended()
	})
	if !bytes.Equal(got, want) {
		t.Errorf("the peer read something else, from byte %d on", differ(got, want))
	}
	if from.last() != 0 {
		t.Errorf("the stream ended with %d", from.last())
	}
	r.end()
}

// stuff relays until nothing moves any more because the reader does not read, and returns how much was written.
func (r *rig) stuff(from, to *link, writer Peer, text []byte) (written int) {
	r.t.Helper()
	for calm := 0; calm < 20; calm++ {
		n, _ := writer.Write(text[written:])
		if written += n; n > 0 {
			calm = 0
		}
		r.relay(from, to, 1<<20)
		r.poll(pause)
	}
	if !to.sending {
		r.t.Fatal("everything was sent though nobody reads")
	}
	return written
}

// testPipeSlowReader lets a send out of a pipe wait for room.
func testPipeSlowReader(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	from, to, writer, reader := r.between(TCP4)
	text := pattern(32, 32<<20)
	want, got := text[:r.stuff(from, to, writer, text)], []byte(nil)
	r.until("all bytes", func() bool {
		r.relay(from, to, 1<<20)
		n, _ := reader.Read(r.chunk)
		got = append(got, r.chunk[:n]...)
		return len(got) == len(want) && !to.sending
	})
	if !bytes.Equal(got, want) {
		t.Errorf("the peer read something else, from byte %d on", differ(got, want))
	}
	r.end()
}

// testPipeMost bounds a receive: what is beyond stays for the next one, of whatever kind.
func testPipeMost(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	from, to, writer, reader := r.between(TCP4)
	want := pattern(33, 10_000)
	r.push(writer, want)
	moved := 0
	for moved < 1000 {
		r.piped(from, uint32(1000-moved))
		moved += int(from.piped)
		for from.pipe != mem.NoBuf {
			r.relay(from, to, 0)
			r.until("EvSent", func() bool { return !to.sending })
		}
	}
	if got := r.pull(reader, 1000); moved != 1000 || !bytes.Equal(got, want[:1000]) {
		t.Fatalf("%d bytes went through pipes, want the first 1000", moved)
	}
	from.stream()
	from.expect(want[1000:])
	r.end()
}

// testPipesExhausted holds every pipe: a receive ends with -ENOBUFS, and loses nothing.
func testPipesExhausted(t *testing.T, h Harness) {
	with := usual
	with.sizes.Pipes = 1
	r := newRig(t, h, with)
	from, to, writer, _ := r.between(TCP4)
	_, at := r.listen(1, TCP4)
	other, p := r.pair(at)
	r.push(writer, []byte("first"))
	r.push(p, []byte("second"))
	r.piped(from, 100)
	other.recvPipe(100)
	r.until("the receive to end", func() bool { return !other.armed })
	if other.last() != -int32(unix.ENOBUFS) || r.env.Stats.NoBufs == 0 {
		t.Fatalf("without a pipe the receive ended with %d, and %d were counted", other.last(), r.env.Stats.NoBufs)
	}
	for from.pipe != mem.NoBuf {
		r.relay(from, to, 0)
		r.poll(pause)
	}
	other.stream()
	other.expect([]byte("second"))
	r.end()
}

// testPipeDroppedFull gives a pipe back with bytes in it: nobody else may get them.
func testPipeDroppedFull(t *testing.T, h Harness) {
	with := usual
	with.sizes.Pipes = 1
	r := newRig(t, h, with)
	from, to, writer, reader := r.between(TCP4)
	r.push(writer, []byte("to nobody"))
	for n := 0; n < len("to nobody"); {
		r.piped(from, 100)
		n += int(from.piped)
		from.dropPipe()
	}
	r.push(writer, []byte("to the reader"))
	var got []byte
	r.until("all bytes", func() bool {
		r.relay(from, to, 100)
		n, _ := reader.Read(r.chunk)
		got = append(got, r.chunk[:n]...)
		return len(got) >= len("to the reader")
	})
	if string(got) != "to the reader" {
		t.Errorf("the peer read %q", got)
	}
	r.end()
}

// testPipeCancel ends a receive into a pipe for which nothing has come.
func testPipeCancel(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	from, to, writer, reader := r.between(TCP4)
	from.recvPipe(1000)
	r.poll(0)
	from.cancel()
	r.until("the receive to end", func() bool { return !from.armed })
	if from.last() != -int32(unix.ECANCELED) {
		t.Fatalf("the cancelled receive ended with %d", from.last())
	}
	r.push(writer, []byte("later"))
	var got []byte
	r.until("all bytes", func() bool {
		r.relay(from, to, 1000)
		n, _ := reader.Read(r.chunk)
		got = append(got, r.chunk[:n]...)
		return string(got) == "later"
	})
	r.end()
}

func testPipeReset(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	from, _, writer, _ := r.between(TCP4)
	from.recvPipe(1000)
	r.poll(0)
	writer.Reset()
	r.until("the reset", func() bool { return !from.armed })
	if from.last() != -int32(unix.ECONNRESET) {
		t.Errorf("the receive ended with %d", from.last())
	}
	r.end()
}

// testPipeToClosed sends out of a pipe to a peer that is gone: an error, sooner or later.
func testPipeToClosed(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	from, to, writer, reader := r.between(TCP4)
	reader.Close()
	for tries := 0; len(to.sent) == 0 || to.sent[len(to.sent)-1] > 0; tries++ {
		if tries > 1000 {
			t.Fatalf("%d sends to a closed peer succeeded", tries)
		}
		r.push(writer, []byte("hello?"))
		r.piped(from, 100)
		to.sendPipe(from)
		r.until("EvSent", func() bool { return !to.sending })
	}
	if res := to.sent[len(to.sent)-1]; res != -int32(unix.EPIPE) && res != -int32(unix.ECONNRESET) {
		t.Errorf("the send ended with %d", res)
	}
	r.end()
}

// testPipeClose closes a connection whose send out of a pipe waits for room, in order and by a reset.
func testPipeClose(t *testing.T, h Harness) {
	for _, reset := range []bool{false, true} {
		r := newRig(t, h, usual)
		from, to, writer, _ := r.between(TCP4)
		r.stuff(from, to, writer, pattern(34, 32<<20))
		to.recv(engine.RecvStream)
		r.poll(0)
		to.close(reset)
		r.until("EvClosed", func() bool { return to.closed == 1 })
		r.end()
	}
}

// testPipeCloseAtOnce closes before the end of the send has been reported, with and without a receive armed.
func testPipeCloseAtOnce(t *testing.T, h Harness) {
	for i := range 4 {
		r := newRig(t, h, usual)
		from, to, writer, _ := r.between(TCP4)
		r.push(writer, []byte("some"))
		r.piped(from, 100)
		if i&1 != 0 {
			to.recv(engine.RecvStream)
			r.poll(0)
		}
		to.sendPipe(from)
		to.close(i&2 != 0)
		r.until("EvClosed", func() bool { return to.closed == 1 })
		from.dropPipe()
		r.quiet()
		r.end()
	}
}
