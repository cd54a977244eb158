package enginetest

import (
	"testing"

	"golang.org/x/sys/unix"
)

var acceptCases = []testCase{
	{"AcceptTCP4", exact, func(t *testing.T, h Harness) { testAccept(t, h, TCP4) }},
	{"AcceptTCP6", exact, func(t *testing.T, h Harness) { testAccept(t, h, TCP6) }},
	{"AcceptUnix", exact, func(t *testing.T, h Harness) { testAccept(t, h, Unix) }},
	{"AcceptMany", exact, testAcceptMany},
	{"TwoListeners", exact, testTwoListeners},
	{"UnlistenKeepsTheQueue", exact, testUnlisten},
	{"AcceptedSocketFlags", kernel, testAcceptedFlags},
	{"DescriptorsExhausted", kernel, testDescriptorsExhausted},
}

func testAccept(t *testing.T, h Harness, f Family) {
	r := newRig(t, h, usual)
	_, at := r.listen(3, f)
	p := r.dial(at)
	a := r.take()
	if a.listener != 3 {
		t.Errorf("accepted on listener %d, want 3", a.listener)
	}
	if a.peer != p.Addr() {
		t.Errorf("peer address %v, want %v", a.peer, p.Addr())
	}
	l := r.link()
	r.b.Attach(l.c, a.fd)
	l.stream()
	r.push(p, []byte("hello"))
	l.expect([]byte("hello"))
	l.write([]byte("world"))
	if got := r.pull(p, 5); string(got) != "world" {
		t.Errorf("the peer read %q", got)
	}
	r.end()
}

// testAcceptMany has more connections waiting than any limit per turn, and a short event slice.
func testAcceptMany(t *testing.T, h Harness) {
	const n = 200
	with := usual
	with.conns, with.out = n, 7
	r := newRig(t, h, with)
	_, at := r.listen(0, TCP4)
	ports := map[uint16]Peer{}
	for range n {
		p := r.dial(at)
		ports[p.Addr().Port()] = p
	}
	for range n {
		a := r.take()
		if ports[a.peer.Port()] == nil {
			t.Fatalf("accepted %v twice, or from nowhere", a.peer)
		}
		delete(ports, a.peer.Port())
		r.b.Attach(r.link().c, a.fd)
	}
	r.quiet()
	if got := r.env.Stats.Accepts; got != n {
		t.Errorf("%d accepts counted, want %d", got, n)
	}
	r.end()
}

func testTwoListeners(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	_, first := r.listen(0, TCP4)
	_, second := r.listen(9, Unix)
	seen := map[uint16]int{}
	for range 10 {
		r.dial(first)
		r.dial(second)
	}
	for range 20 {
		a := r.take()
		seen[a.listener]++
		r.b.Attach(r.link().c, a.fd)
	}
	if seen[0] != 10 || seen[9] != 10 {
		t.Errorf("accepted %v, want 10 on each of 0 and 9", seen)
	}
	r.end()
}

func testUnlisten(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	fd, at := r.listen(1, TCP4)
	l, _ := r.pair(at)
	r.b.Unlisten(1)
	r.poll(0)
	p := r.dial(at)
	r.push(p, []byte("early"))
	for range 20 {
		r.poll(pause)
	}
	if len(r.accepted) != 0 {
		t.Fatal("accepted after Unlisten")
	}
	if err := r.b.Listen(1, fd); err != nil {
		t.Fatal(err)
	}
	late := r.link()
	r.b.Attach(late.c, r.take().fd)
	late.stream()
	late.expect([]byte("early"))
	if l.closed != 0 {
		t.Error("a connection closed with its listener")
	}
	r.end()
}

func testAcceptedFlags(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	_, at := r.listen(0, TCP4)
	r.dial(at)
	a := r.take()
	status, err := unix.FcntlInt(uintptr(a.fd), unix.F_GETFL, 0)
	if err != nil || status&unix.O_NONBLOCK == 0 {
		t.Errorf("accepted socket is blocking (flags %#x, %v)", status, err)
	}
	flags, err := unix.FcntlInt(uintptr(a.fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("accepted socket survives exec (flags %#x, %v)", flags, err)
	}
	r.b.Attach(r.link().c, a.fd)
	r.end()
}

// testDescriptorsExhausted lowers the limit so that accept finds no descriptor, and raises it again.
func testDescriptorsExhausted(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	fd, at := r.listen(0, TCP4)
	r.dial(at)
	r.dial(at)
	restore := exhaust(t)
	r.until("a refused accept", func() bool { return len(r.refused) > 0 })
	if r.refused[0] != -int32(unix.EMFILE) {
		t.Errorf("accept without descriptors ended with %d, want -EMFILE", r.refused[0])
	}
	l := r.connect(at)
	l.wantConnected(-int32(unix.EMFILE))
	r.b.Unlisten(0)
	r.poll(0)
	r.refused = nil
	r.quiet()
	restore()
	if err := r.b.Listen(0, fd); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		a := r.take()
		r.b.Attach(r.link().c, a.fd)
	}
	if len(r.refused) != 0 {
		t.Errorf("accepts ended with %d though there are descriptors again", r.refused)
	}
	r.end()
}

// exhaust lowers the limit of open files so that no descriptor is left; restore raises it again.
func exhaust(t *testing.T) (restore func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	restore = func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &before) }
	t.Cleanup(restore)
	free, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(free) // the lowest free number: the limit lies there
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(free), Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	return restore
}
