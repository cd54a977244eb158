package enginetest

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

var loadCases = []testCase{
	{"RandomLoad", always, testRandomLoad},
}

// streamMax bounds the bytes of one direction of a flow.
const streamMax = 40_000

// flow is one connection of the random load: a stream in each direction, and what has arrived of them.
type flow struct {
	r        *rig
	l        *link
	p        Peer // nil while the connect is under way
	up, down []byte
	written  int // of up, by the peer
	peerGot  []byte
	peerEnd  error
	orderly  bool // nobody broke the connection
	shut     bool // CloseWrite was called
}

// testRandomLoad opens many connections, lets each do what chance says, and compares every byte.
func testRandomLoad(t *testing.T, h Harness) {
	flows, turns := 1000, 3000
	if !h.Kernel || testing.Short() { // every seed is another run
		flows, turns = 250, 1000
	}
	r := newRig(t, h, budget{
		conns: flows + 8, out: 128,
		sizes: mem.Sizes{Small: 600, Bulk: 100, BulkBytes: 32 << 10, Head: 200},
	})
	rng := rand.New(rand.NewPCG(20, 26))
	_, at := r.listen(0, TCP4)
	a := r.serve(Unix)
	var all []*flow
	for i := range flows {
		all = append(all, r.open(rng, i, at, a))
	}
	for turn := range turns {
		for range 20 {
			all[rng.IntN(flows)].act(rng)
		}
		r.poll(int64(turn%2) * pause / 100)
	}
	for _, f := range all {
		f.l.keep = true
	}
	r.until("every stream to end", func() bool {
		left := 0
		for _, f := range all {
			if f.l.closed == 0 && !f.drain() {
				left++
			}
		}
		return left == 0
	})
	for i, f := range all {
		f.verify(i)
	}
	r.end()
}

// open starts a flow: every second one is accepted, the others connect.
func (r *rig) open(rng *rand.Rand, i int, at engine.Addr, a Acceptor) *flow {
	r.t.Helper()
	f := &flow{r: r, orderly: true}
	f.up, f.down = pattern(uint64(i), rng.IntN(streamMax)), pattern(uint64(i)<<20, rng.IntN(streamMax))
	if i%2 == 0 {
		f.l, f.p = r.pair(at)
		return f
	}
	f.l = r.connect(a.Addr())
	r.until("a connect's end", func() bool { return len(f.l.dialled) > 0 })
	if f.l.dialled[0] < 0 {
		if !r.h.Faulty {
			r.t.Fatalf("connect ended with %d", f.l.dialled[0])
		}
		f.orderly = false
		f.l.close(false)
		return f
	}
	f.p = r.acceptPeer(a)
	return f
}

// act does one thing that is allowed in the flow's state.
func (f *flow) act(rng *rand.Rand) {
	l := f.l
	if l.closing {
		return
	}
	switch rng.IntN(40) {
	default:
		f.peerWrites(1 + rng.IntN(6000))
	case 0, 1, 2, 3, 4, 5, 6, 7:
		f.peerReads(1 + rng.IntN(9000))
	case 8, 9, 10, 11, 12, 13, 14, 15:
		if !l.armed && !l.ended() {
			l.recv(engine.RecvMode(rng.IntN(3)))
		}
	case 16, 17, 18:
		l.cancel()
	case 19, 20, 21, 22, 23, 24:
		if n := min(len(f.down), 1+rng.IntN(9000)); n > 0 {
			l.write(f.down[:n])
			f.down = f.down[n:]
		}
	case 25:
		if rng.IntN(20) == 0 {
			f.orderly = false
			l.close(rng.IntN(2) == 0)
		}
	case 26:
		if rng.IntN(20) == 0 {
			f.orderly = false
			f.peerEnd = io.ErrClosedPipe
			f.p.Reset()
		}
	}
}

func (f *flow) peerWrites(n int) {
	rest := f.up[f.written:]
	if f.peerEnd != nil || len(rest) == 0 {
		return
	}
	n, err := f.p.Write(rest[:min(n, len(rest))])
	if err != nil && err != ErrWait {
		f.broken("write", err)
		return
	}
	f.written += n
	if f.written == len(f.up) {
		f.p.CloseWrite()
	}
}

func (f *flow) peerReads(n int) {
	if f.peerEnd != nil {
		return
	}
	chunk := f.r.chunk[:n]
	n, err := f.p.Read(chunk)
	f.peerGot = append(f.peerGot, chunk[:n]...)
	if err != nil && err != ErrWait {
		if err != io.EOF {
			f.broken("read", err)
		}
		f.peerEnd = err
	}
}

// broken notes that a connection failed. Without faults only the case itself breaks connections.
func (f *flow) broken(doing string, err error) {
	if f.orderly && !f.r.h.Faulty {
		f.r.t.Fatalf("slot %d: the peer's %s failed: %v", f.l.c.Slot, doing, err)
	}
	f.orderly, f.peerEnd = false, err
}

// drain brings the flow to its end and reports whether it is there.
func (f *flow) drain() bool {
	l := f.l
	if l.closing {
		return l.closed == 1
	}
	if f.written == 0 && len(f.up) == 0 && f.peerEnd == nil {
		f.p.CloseWrite()
	}
	f.peerWrites(len(f.up))
	f.peerReads(len(f.r.chunk))
	if len(f.down) > 0 {
		l.write(f.down)
		f.down = nil
	}
	if !l.armed && !l.ended() {
		l.recv(engine.RecvStream)
	}
	if failed := l.last() < 0 && l.ended() || len(l.sent) > 0 && l.sent[len(l.sent)-1] < 0; failed || !f.orderly {
		if f.orderly && !f.r.h.Faulty {
			f.r.t.Fatalf("slot %d: failed with receive %d, sends %v", l.c.Slot, l.last(), l.sent)
		}
		f.orderly = false
		l.close(false)
		return false
	}
	if !f.shut && len(l.outbox) == 0 && !l.sending {
		f.shut = true
		f.r.b.CloseWrite(l.c)
	}
	if f.shut && l.ended() && f.peerEnd == io.EOF {
		l.close(false)
	}
	return false
}

// verify compares both streams with what was sent: whole when nobody broke the connection, else their beginnings.
func (f *flow) verify(i int) {
	t := f.r.t
	t.Helper()
	up, down := pattern(uint64(i), len(f.up)), pattern(uint64(i)<<20, streamMax)
	if !bytes.HasPrefix(up, f.l.got) || f.orderly && len(f.l.got) != len(up) {
		t.Errorf("flow %d: received %d of %d bytes, right up to %d", i, len(f.l.got), len(up), differ(f.l.got, up))
	}
	if !bytes.HasPrefix(down, f.peerGot) {
		t.Errorf("flow %d: the peer received %d bytes, right up to %d", i, len(f.peerGot), differ(f.peerGot, down))
	}
	sent := 0
	for _, n := range f.l.sent {
		sent += int(max(n, 0))
	}
	if f.orderly && len(f.peerGot) != sent {
		t.Errorf("flow %d: the peer received %d bytes of %d", i, len(f.peerGot), sent)
	}
}
