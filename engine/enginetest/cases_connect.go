package enginetest

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
)

var connectCases = []testCase{
	{"ConnectTCP4", exact, func(t *testing.T, h Harness) { testConnect(t, h, TCP4) }},
	{"ConnectTCP6", exact, func(t *testing.T, h Harness) { testConnect(t, h, TCP6) }},
	{"ConnectUnix", exact, func(t *testing.T, h Harness) { testConnect(t, h, Unix) }},
	{"ConnectRefused", exact, func(t *testing.T, h Harness) { testNobody(t, h, TCP4, unix.ECONNREFUSED) }},
	{"ConnectNoSuchPath", exact, func(t *testing.T, h Harness) { testNobody(t, h, Unix, unix.ENOENT) }},
	{"ConnectSetsNoDelay", kernel, testNoDelay},
}

// wantConnected waits for a connect's end and checks its result.
func (l *link) wantConnected(res int32) {
	t := l.r.t
	t.Helper()
	l.r.until("a connect's end", func() bool { return len(l.dialled) > 0 })
	if len(l.dialled) != 1 || l.dialled[0] != res {
		t.Fatalf("connect ended with %v, want %d", l.dialled, res)
	}
}

// acceptPeer waits for the peers' end of a connection that the backend made.
func (r *rig) acceptPeer(a Acceptor) Peer {
	r.t.Helper()
	var p Peer
	r.until("the peer to accept", func() bool {
		p = a.Accept()
		return p != nil
	})
	return p
}

func testConnect(t *testing.T, h Harness, f Family) {
	r := newRig(t, h, usual)
	a := r.serve(f)
	to := a.Addr()
	l := r.link()
	l.connecting = true
	r.b.Connect(l.c, &to)
	to = engine.Addr{} // read before Connect returned
	l.wantConnected(0)
	p := r.acceptPeer(a)
	l.stream()
	l.write([]byte("request"))
	if got := r.pull(p, 7); string(got) != "request" {
		t.Errorf("the peer read %q", got)
	}
	r.push(p, []byte("response"))
	l.expect([]byte("response"))
	r.end()
}

func testNobody(t *testing.T, h Harness, f Family, want unix.Errno) {
	r := newRig(t, h, usual)
	l := r.connect(r.w.Nobody(f))
	l.wantConnected(-int32(want))
	r.quiet()
	l.close(false)
	r.until("the close", func() bool { return l.closed == 1 })
	r.end()
}

func testNoDelay(t *testing.T, h Harness) {
	r := newRig(t, h, usual)
	a := r.serve(TCP4)
	l := r.connect(a.Addr())
	l.wantConnected(0)
	fd := int(l.c.FD)
	if on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || on == 0 {
		t.Errorf("TCP_NODELAY is %d, %v", on, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("socket survives exec (flags %#x, %v)", flags, err)
	}
	r.end()
}
