package proxy

import (
	"errors"
	"io"
	"net"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// speaking is an endpoint that says its name, sends back what it hears, and ends when the other does.
func speaking(t testing.TB, name string) string {
	return farEnd(t, func(conn *net.TCPConn) {
		defer conn.Close()
		io.WriteString(conn, name)
		io.Copy(conn, conn)
	})
}

// enters is a client whose hello is sent back, after the first byte of the endpoint's name, which it returns.
func enters(t *testing.T, r *rig, hello []byte) (*net.TCPConn, byte) {
	t.Helper()
	conn := dialRig(t, r)
	conn.Write(hello)
	b := make([]byte, 1+len(hello))
	if _, err := io.ReadFull(conn, b); err != nil {
		t.Fatal(err)
	}
	return conn, b[0]
}

// refused is a client that is turned away.
func refused(t *testing.T, r *rig, hello []byte) {
	t.Helper()
	conn := dialRig(t, r)
	conn.Write(hello)
	if b, err := io.ReadAll(conn); len(b) > 0 || !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("a client that was to be turned away sees %q, %v", b, err)
	}
}

// leaves ends a client's connection in order, and waits until its tunnel has ended.
func leaves(t *testing.T, r *rig, conn *net.TCPConn) {
	t.Helper()
	before := r.gauges().Tunnels
	conn.CloseWrite()
	if _, err := io.ReadAll(conn); err != nil {
		t.Error(err)
	}
	for r.gauges().Tunnels >= before {
		runtime.Gosched()
	}
}

// A stream has no more connections than it may, and another when one has left.
func TestTunnelLimits(t *testing.T) {
	hello := clientHello(t, "pass.example.com")
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		far := speaking(t, "a")
		r := start(t, open(), []string{far}, edits(tunnelRig(newIdentity(t), far), func(r *rig) {
			r.snap.Streams[0].Connections = 2
		}))
		first, _ := enters(t, r, hello)
		enters(t, r, hello)
		refused(t, r, hello)
		leaves(t, r, first)
		enters(t, r, hello)
		refused(t, r, hello)
		if n := r.metrics.Snapshot().Refused(metrics.LimitStream); n != 2 {
			t.Errorf("%d refusals are counted", n)
		}
		if n := r.metrics.Series(metrics.StreamSeries)[0].Refused; n != 2 {
			t.Errorf("%d refusals are counted for the stream", n)
		}
	})
}

// Endpoints at their limit are passed over while another has room.
func TestTunnelUpstreamLimits(t *testing.T) {
	hello := clientHello(t, "pass.example.com")
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		a, b := speaking(t, "a"), speaking(t, "b")
		r := start(t, open(), []string{a}, edits(tunnelRig(newIdentity(t), a, b), func(r *rig) {
			r.snap.Limits.UpstreamConns = 2
			r.snap.Services[1].ByClient = true // else they would take turns
		}))
		at := map[byte]int{}
		var last *net.TCPConn
		for range 4 {
			var name byte
			last, name = enters(t, r, hello)
			at[name]++
		}
		if at['a'] != 2 || at['b'] != 2 {
			t.Errorf("endpoints have %d and %d connections", at['a'], at['b'])
		}
		refused(t, r, hello)
		leaves(t, r, last)
		enters(t, r, hello)
		if n := r.metrics.Snapshot().PassagesEnded(metrics.Streams, metrics.LimitUpstreamConns); n != 1 {
			t.Errorf("%d refusals are counted", n)
		}
	})
}

// A client comes to the same endpoint again where that is asked for.
func TestTunnelByClient(t *testing.T) {
	hello := clientHello(t, "pass.example.com")
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		a, b, c := speaking(t, "a"), speaking(t, "b"), speaking(t, "c")
		r := start(t, open(), []string{a}, edits(tunnelRig(newIdentity(t), a, b, c), func(r *rig) {
			r.snap.Services[1].ByClient = true
		}))
		_, first := enters(t, r, hello)
		for range 5 {
			if _, name := enters(t, r, hello); name != first {
				t.Errorf("first %c, then %c", first, name)
			}
		}
	})
}

// What runs goes on when its route, its service and its listener are gone, and in a drain until that is over.
func TestTunnelOutlives(t *testing.T) {
	hello := clientHello(t, "pass.example.com")
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		far := speaking(t, "a")
		r := start(t, open(), []string{far}, tunnelRig(newIdentity(t), far))
		conn, _ := enters(t, r, hello)
		echo := func(when string) {
			t.Helper()
			message := noise(50_000, 3)
			go conn.Write(message)
			if _, err := io.ReadFull(conn, make([]byte, len(message))); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
		}
		r.publish(func(s *plan.Snapshot) {
			s.Streams, s.Services = nil, s.Services[:1:1]
			s.Listeners = []plan.Listener{{Name: "web", Addr: s.Listeners[0].Addr}}
		})
		echo("after a reload without all of it")
		drained := make(chan bool, 1)
		r.sh.Post(func() { r.w.Drain(func() { drained <- true; r.sh.Stop() }) })
		echo("in a drain")
		if r.gauges().Tunnels != 1 {
			t.Error("the tunnel has ended")
		}
		r.sh.Post(func() { r.w.Abandon() })
		if _, err := io.ReadAll(conn); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("at the end of the drain the client sees %v", err)
		}
		<-drained
		if n := r.metrics.Snapshot().PassagesEnded(metrics.Streams, metrics.ShuttingDown); n != 1 {
			t.Errorf("%d are counted", n)
		}
	})
}

// Where there is no descriptor for an endpoint, the client is told so by a reset.
func TestTunnelNoDescriptor(t *testing.T) {
	hello := clientHello(t, "pass.example.com")
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		far := speaking(t, "a")
		r := start(t, open(), []string{far}, tunnelRig(newIdentity(t), far))
		conn := dialRig(t, r)
		conn.Write(hello[:10])
		for r.gauges().Secure == 0 {
			runtime.Gosched()
		}
		var was unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
			t.Fatal(err)
		}
		few := unix.Rlimit{Cur: 3, Max: was.Max}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
			t.Fatal(err)
		}
		conn.Write(hello[10:])
		_, err := io.ReadAll(conn)
		if e := unix.Setrlimit(unix.RLIMIT_NOFILE, &was); e != nil {
			t.Fatal(e)
		}
		if !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("the client sees %v", err)
		}
		r.settled()
		if n := r.metrics.Snapshot().PassagesEnded(metrics.Streams, metrics.UpstreamConnect); n != 1 {
			t.Errorf("%d are counted", n)
		}
		next, _ := enters(t, r, hello)
		leaves(t, r, next)
	})
}
