package enginetest

import (
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// hang is how long a case waits for something that must come. Only a hang reaches it.
const hang = 30 * time.Second

// pause is how long one Poll waits, in nanoseconds, while a case waits for something.
const pause = 1e6

// budget is what a rig opens with.
type budget struct {
	conns int
	sizes mem.Sizes
	out   int // events per Poll
}

// usual is the budget of a case without special wishes.
var usual = budget{conns: 64, sizes: mem.Sizes{Small: 512, Bulk: 64, BulkBytes: 64 << 10, Head: 32, Pipes: 4}, out: 64}

// rig is the shard of a case.
type rig struct {
	t        testing.TB
	h        Harness
	b        engine.Backend
	w        World
	env      engine.Env
	out      []engine.Event
	links    []*link // by slot; nil while the slot is free
	accepted []accepted
	refused  []int32 // results of failed accepts
	batch    int     // counts Polls
	held     []mem.Buf
	chunk    []byte // for peers to read into
	files    int    // descriptors open before
	quit     bool
}

// accepted is what an EvAccept said.
type accepted struct {
	fd       int
	listener uint16
	peer     netip.AddrPort
}

// newRig opens a backend and its world. The test's end closes them and checks that nothing was kept.
func newRig(t testing.TB, h Harness, with budget) *rig {
	t.Helper()
	files := descriptors(t)
	b, w := h.New(t)
	table, err := engine.NewTable(with.conns)
	if err != nil {
		t.Fatal(err)
	}
	arena, err := mem.NewArena(with.sizes)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{
		t: t, h: h, b: b, w: w, files: files,
		env:   engine.Env{Conns: table, Mem: arena, Stats: new(engine.Stats)},
		out:   make([]engine.Event, with.out),
		links: make([]*link, with.conns),
		chunk: make([]byte, 64<<10),
	}
	if err := b.Open(r.env); err != nil {
		t.Fatalf("open %T: %v", b, err)
	}
	return r
}

// warmed has the runtime open what it polls with, which it does for the first file that can be waited for, and keeps:
// no case is to blame for that.
var warmed sync.Once

// descriptors counts the process's open files.
func descriptors(t testing.TB) int {
	t.Helper()
	warmed.Do(func() {
		if in, out, err := os.Pipe(); err == nil {
			in.Close()
			out.Close()
		}
	})
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// end closes every connection, shuts the backend down and checks the accounts. Every case ends with it.
func (r *rig) end() {
	r.t.Helper()
	if r.quit || r.t.Failed() {
		r.release()
		return
	}
	r.drop()
	for _, l := range r.links {
		if l != nil && !l.closing {
			l.close(false)
		}
	}
	r.until("all connections closed", func() bool { return r.env.Conns.Live() == 0 })
	for _, a := range r.accepted {
		unix.Close(a.fd)
	}
	r.release()
	for _, class := range []mem.Class{mem.Small, mem.Bulk, mem.Head, mem.Pipe} {
		if n := r.env.Mem.InUse(class); n != 0 {
			r.t.Errorf("%d buffers of class %d are in use at the end", n, class)
		}
	}
	r.env.Mem.Close()
	r.env.Conns.Close()
	if n := descriptors(r.t); n != r.files {
		r.t.Errorf("%d descriptors open at the end, %d before", n, r.files)
	}
}

// release shuts down what the rig runs on.
func (r *rig) release() {
	if !r.quit {
		r.quit = true
		r.b.Shutdown()
		r.w.Close()
	}
}

// drop gives back the buffers that the case held.
func (r *rig) drop() {
	for _, buf := range r.held {
		r.env.Mem.Drop(buf)
	}
	r.held = nil
}

// poll runs one turn and returns the number of events.
func (r *rig) poll(timeout int64) int {
	r.t.Helper()
	r.batch++
	n, err := r.b.Poll(timeout, r.out)
	if err != nil {
		r.t.Fatalf("Poll: %v", err)
	}
	for i := range r.out[:n] {
		r.handle(&r.out[i])
	}
	for _, l := range r.links {
		if l != nil {
			l.check()
			l.pump()
		}
	}
	return n
}

// until runs turns until done holds.
func (r *rig) until(what string, done func() bool) {
	r.t.Helper()
	for end := time.Now().Add(hang); !done(); {
		if time.Now().After(end) {
			r.t.Fatalf("hangs while waiting for: %s", what)
		}
		r.poll(pause)
	}
}

// quiet runs turns in which nothing may happen.
func (r *rig) quiet() {
	r.t.Helper()
	for range 20 {
		if n := r.poll(pause); n != 0 {
			r.t.Fatalf("%d events where none may come, the first: %v", n, r.out[0].Kind)
		}
	}
}

// handle checks one event against the account of its connection and books it.
func (r *rig) handle(ev *engine.Event) {
	r.t.Helper()
	if ev.Kind == engine.EvAccept {
		if ev.Res < 0 {
			r.refused = append(r.refused, ev.Res)
			return
		}
		r.accepted = append(r.accepted, accepted{fd: int(ev.Res), listener: ev.Listener, peer: r.b.Peer(ev)})
		return
	}
	if int(ev.Slot) >= len(r.links) || r.links[ev.Slot] == nil {
		r.t.Fatalf("%v for slot %d, which is free", ev.Kind, ev.Slot)
	}
	l := r.links[ev.Slot]
	if l.c.Gen != ev.Gen {
		r.t.Fatalf("%v of generation %d for slot %d, whose generation is %d", ev.Kind, ev.Gen, ev.Slot, l.c.Gen)
	}
	l.handle(ev)
}

// listen starts accepting under number l and returns the address to dial.
func (r *rig) listen(l uint16, f Family) (fd int, at engine.Addr) {
	r.t.Helper()
	fd, at, err := r.w.Listen(f)
	if err == ErrNoFamily {
		r.release()
		r.t.Skipf("no %v on this machine", f)
	}
	if err == nil {
		err = r.b.Listen(l, fd)
	}
	if err != nil {
		r.t.Fatalf("listen on %v: %v", f, err)
	}
	return fd, at
}

// dial connects a peer to the backend.
func (r *rig) dial(at engine.Addr) Peer {
	r.t.Helper()
	p, err := r.w.Dial(at)
	if err != nil {
		r.t.Fatalf("dial: %v", err)
	}
	return p
}

// serve makes a listening socket for the backend to connect to.
func (r *rig) serve(f Family) Acceptor {
	r.t.Helper()
	a, err := r.w.Serve(f)
	if err == ErrNoFamily {
		r.release()
		r.t.Skipf("no %v on this machine", f)
	}
	if err != nil {
		r.t.Fatalf("serve on %v: %v", f, err)
	}
	return a
}

// take waits for an accepted socket.
func (r *rig) take() accepted {
	r.t.Helper()
	r.until("an accept", func() bool { return len(r.accepted) > 0 })
	a := r.accepted[0]
	r.accepted = r.accepted[1:]
	return a
}

// pair is a connection that the backend accepted, and its other end.
func (r *rig) pair(at engine.Addr) (*link, Peer) {
	r.t.Helper()
	p := r.dial(at)
	l := r.link()
	r.b.Attach(l.c, r.take().fd)
	return l, p
}

// tcpPair is a pair over a listener of its own.
func (r *rig) tcpPair() (*link, Peer) {
	r.t.Helper()
	_, at := r.listen(0, TCP4)
	l, p := r.pair(at)
	r.b.Unlisten(0)
	return l, p
}

// link takes a slot.
func (r *rig) link() *link {
	r.t.Helper()
	c := r.env.Conns.Alloc()
	if c == nil {
		r.t.Fatal("the connection table is full")
	}
	l := &link{r: r, c: c, sendBuf: mem.NoBuf, pipe: mem.NoBuf}
	r.links[c.Slot] = l
	return l
}

// connect takes a slot and starts connecting it.
func (r *rig) connect(to engine.Addr) *link {
	r.t.Helper()
	l := r.link()
	l.connecting = true
	r.b.Connect(l.c, &to)
	return l
}
