package enginetest

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

var pollCases = []testCase{
	{"Timeout", always, testTimeout},
	{"WakeBeforePoll", always, testWakeBefore},
	{"WakeDuringPoll", always, testWakeDuring},
	{"MoreEventsThanRoom", exact, testSmallOut},
	{"NoSleepOverWork", exact, testNoSleep},
	{"Interrupted", kernel, testInterrupted},
	{"GarbageCollection", kernel, testGarbage},
	{"NoAllocations", kernel, testNoAllocations},
}

// testTimeout checks that an idle Poll returns nothing, and waits. A single Poll may return early, for a signal that
// the runtime sends or for something that concerns the backend alone, but one that does so again and again does not
// wait. Virtual time is not measured.
func testTimeout(t *testing.T, h Harness) {
	const earlyMax = 20
	r := newRig(t, h, usual)
	for _, timeout := range []time.Duration{0, 1, 100_000, 3_000_000, 20_000_000} {
		polls, start := 0, time.Now()
		for left := timeout; polls == 0 || h.Kernel && left > 0; left = timeout - time.Since(start) {
			if n := r.poll(int64(left)); n != 0 {
				t.Fatalf("an idle Poll returned %d events", n)
			}
			if polls++; polls > earlyMax {
				t.Fatalf("%d Polls have not waited for %v", polls, timeout)
			}
		}
	}
	r.end()
}

func testWakeBefore(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	for range 100 {
		r.b.Wake()
		r.b.Wake()
		r.poll(-1) // hangs if the wake-up is lost
	}
	r.end()
}

// testWakeDuring wakes from another thread, at any moment of the turn, and counts that none is lost.
func testWakeDuring(t *testing.T, h Harness) {
	const rounds = 20_000
	r := newRig(t, h, usual)
	var asked, seen atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range int64(rounds) {
			asked.Store(i + 1)
			r.b.Wake()
			for seen.Load() <= i {
				runtime.Gosched()
			}
		}
	}()
	for seen.Load() < rounds {
		r.poll(-1)
		seen.Store(asked.Load())
	}
	<-done
	r.end()
}

// testSmallOut has a slice for one event while many are due.
func testSmallOut(t *testing.T, h Harness) {
	with := usual
	with.out = 1
	r := newRig(t, h, with)
	_, at := r.listen(0, TCP4)
	var links []*link
	var peers []Peer
	for range 20 {
		l, p := r.pair(at)
		l.stream()
		links, peers = append(links, l), append(peers, p)
	}
	want := pattern(14, 30_000)
	for i, p := range peers {
		r.push(p, want)
		links[i].write(want)
	}
	for i, l := range links {
		l.expect(want)
		if got := r.pull(peers[i], len(want)); string(got) != string(want) {
			t.Fatal("a peer read something else")
		}
	}
	r.quiet()
	r.end()
}

// testNoSleep has work left over from turn to turn. Polls that wait for ever must not wait.
func testNoSleep(t *testing.T, h Harness) {
	with := usual
	with.out = 1
	r := newRig(t, h, with)
	_, at := r.listen(0, TCP4)
	var links []*link
	for range 8 {
		l, p := r.pair(at)
		r.push(p, pattern(17, 2*mem.SmallBytes))
		l.keep = true
		links = append(links, l)
	}
	r.poll(pause)
	spans, _, buf := r.spans(1)
	for _, l := range links {
		l.send(spans, false)
		l.recv(engine.RecvSmall)
	}
	for left := 3 * len(links); left > 0; {
		if r.poll(-1) > 0 { // hangs if the backend waits for the kernel while it has events of its own
			left--
		}
	}
	r.env.Mem.Drop(buf)
	r.end()
}

// testInterrupted sends the shard's thread signals all the time.
func testInterrupted(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	thread := unix.Gettid()
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				unix.Tgkill(unix.Getpid(), thread, unix.SIGURG)
				runtime.Gosched()
			}
		}
	}()
	echoRounds(r, 200)
	for range 20 {
		r.poll(pause)
	}
	close(stop)
	<-done
	r.end()
}

// testGarbage collects garbage all the time.
func testGarbage(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	echoRounds(r, 200)
	close(stop)
	<-done
	r.end()
}

// echoRounds sends messages both ways on a few connections.
func echoRounds(r *rig, rounds int) {
	r.t.Helper()
	_, at := r.listen(0, TCP4)
	var links []*link
	var peers []Peer
	for range 4 {
		l, p := r.pair(at)
		l.stream()
		links, peers = append(links, l), append(peers, p)
	}
	for i := range rounds {
		want := pattern(uint64(i), 1+i*50)
		for k, p := range peers {
			links[k].got = nil
			r.push(p, want)
			links[k].expect(want)
			links[k].write(want)
			if got := r.pull(p, len(want)); string(got) != string(want) {
				r.t.Fatal("a peer read something else")
			}
		}
	}
}

// testNoAllocations lets the backend talk to itself and counts what a turn with traffic allocates.
func testNoAllocations(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	_, at := r.listen(0, TCP4)
	spans, _, buf := r.spans(1)
	for range 8 {
		out := r.connect(at)
		out.wantConnected(0)
		in := r.link()
		r.b.Attach(in.c, r.take().fd)
		in.recv(engine.RecvStream)
		out.recv(engine.RecvStream)
		out.send(spans, false)
	}
	turn := func() {
		n, err := r.b.Poll(pause, r.out)
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.out[:n] {
			ev := &r.out[i]
			if ev.Kind != engine.EvRecv || ev.Res <= 0 {
				continue
			}
			c := r.env.Conns.At(ev.Slot)
			if !c.RecvArmed() {
				r.b.Recv(c, engine.RecvStream)
			}
			if !c.SendBusy() {
				r.b.Send(c, spans, false)
			}
			r.env.Mem.Drop(ev.Buf)
		}
	}
	for range 100 {
		turn()
	}
	before := r.env.Stats.Events
	if n := testing.AllocsPerRun(1000, turn); n != 0 {
		t.Errorf("%v allocations a turn, want 0", n)
	}
	if r.env.Stats.Events == before {
		t.Error("the turns had no events")
	}
	r.env.Mem.Drop(buf)
	for _, l := range r.links {
		if l != nil {
			l.armed, l.sending = l.c.RecvArmed(), l.c.SendBusy()
			l.close(true)
		}
	}
	r.end()
}
