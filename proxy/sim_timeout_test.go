package proxy

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// simTalk is a client that is written by hand: it collects what it gets, and when.
type simTalk struct {
	r     *simRig
	p     *sim.Peer
	got   string
	deaf  bool          // it does not read
	err   error         // how it ended
	at    time.Duration // when
	first time.Duration // when the first byte came
}

func (r *simRig) talk(raw string) *simTalk { return r.talkTo(0, raw) }

// talkTo is a client of the listener with that ID.
func (r *simRig) talkTo(listener uint16, raw string) *simTalk {
	k := &simTalk{r: r, p: r.world.Dial(listener, netip.AddrPort{})}
	k.say(raw)
	r.actors = append(r.actors, k.listen)
	return k
}

func (k *simTalk) say(raw string) {
	if n, err := k.p.Write([]byte(raw)); n < len(raw) {
		k.r.t.Fatalf("%d of %d bytes written: %v", n, len(raw), err)
	}
}

func (k *simTalk) listen() {
	b := make([]byte, 64<<10)
	for k.err == nil && !k.deaf {
		n, err := k.p.Read(b)
		if err == sim.ErrWait {
			return
		}
		if k.got == "" && n > 0 {
			k.first = k.r.now()
		}
		k.got += string(b[:n])
		if k.err = err; err != nil {
			k.at = k.r.now()
		}
	}
}

// ended waits for the end of the connection.
func (k *simTalk) ended() *simTalk {
	k.r.t.Helper()
	k.r.until(fmt.Sprintf("the end of a connection with %q", k.got), func() bool { return k.err != nil })
	return k
}

// heard waits for a part of what it gets.
func (k *simTalk) heard(part string) *simTalk {
	k.r.t.Helper()
	k.r.until(fmt.Sprintf("%q behind %q", part, k.got), func() bool { return strings.Contains(k.got, part) })
	return k
}

// simServer answers every request head with answer(n), n counting the connections; got is what has come on each.
type simServer struct {
	peers []*sim.Peer
	got   []string
}

func (r *simRig) server(answer func(n int) string) *simServer {
	return r.serverAt(simEndpoints[0], answer)
}

func (r *simRig) serverAt(endpoint string, answer func(n int) string) *simServer {
	s := &simServer{}
	r.world.Serve(engine.IPAddr(netip.MustParseAddrPort(endpoint)), func(p *sim.Peer) {
		n, seen := len(s.peers), 0
		s.peers, s.got = append(s.peers, p), append(s.got, "")
		r.actors = append(r.actors, func() {
			s.got[n] += string(p.Arrived())
			for heads := strings.Count(s.got[n], "\r\n\r\n"); seen < heads; seen++ {
				_, _ = p.Write([]byte(answer(n))) // a small one always fits
			}
		})
	})
	return s
}

// simPatient are timeouts that all differ, so that none can pass for another.
func simPatient(snap *plan.Snapshot) {
	snap.Timeouts = plan.Timeouts{
		Header: 10 * time.Second, Idle: 75 * time.Second, Connect: 5 * time.Second, FirstByte: 60 * time.Second,
		UpstreamIdle: 50 * time.Second, ResponseIdle: 40 * time.Second, BodyRateWindow: 30 * time.Second,
		Linger: 2 * time.Second,
	}
	snap.Limits.BodyRateBytes = 100
}

func newTimeoutRig(t *testing.T, edit func(*plan.Snapshot)) *simRig {
	return newSimRig(t, simConfig{endpoints: simEndpoints[:1], edit: func(snap *plan.Snapshot) {
		simPatient(snap)
		if edit != nil {
			edit(snap)
		}
	}})
}

// about wants d to be want, or later by what the timer wheel's ticks explain.
func about(t *testing.T, what string, d, want time.Duration) {
	t.Helper()
	if d < want || d > want+20*time.Millisecond {
		t.Errorf("%s after %v, want %v", what, d, want)
	}
}

func (r *simRig) reason(why metrics.Reason) {
	r.t.Helper()
	if n := r.metrics.Snapshot().Errors(why); n != 1 {
		r.t.Errorf("%q counted %d times: %v", why, n, r.metrics.Snapshot())
	}
}

const (
	simGet  = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	simPost = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
)

func TestSimIdleTimeout(t *testing.T) {
	r := newTimeoutRig(t, nil)
	r.server(func(int) string { return okResponse })
	silent, kept := r.talk(""), r.talk("")
	r.pass(30 * time.Second)
	kept.say(simGet)
	about(t, "a client that never spoke was left", silent.ended().at, 75*time.Second)
	about(t, "a client between requests was left", kept.ended().at, 105*time.Second)
	if silent.err != io.EOF || silent.got != "" || kept.err != io.EOF || !strings.HasSuffix(kept.got, "ok") {
		t.Errorf("%q %v, %q %v", silent.got, silent.err, kept.got, kept.err)
	}
	r.stop()
}

func TestSimHeaderTimeoutCountsFromTheFirstByte(t *testing.T) {
	r := newTimeoutRig(t, nil)
	k := r.talk("")
	r.pass(20 * time.Second)
	for range 9 { // a byte a second does not help
		k.say("G")
		r.pass(time.Second)
	}
	k.heard("HTTP/1.1 408 ")
	about(t, "408", k.first, 30*time.Second)
	about(t, "the end", k.ended().at, 30*time.Second)
	if k.err != io.EOF {
		t.Errorf("it ended with %v", k.err)
	}
	r.reason(metrics.TimeoutRequestHead)
	k.p.Close()
	r.stop()
}

func TestSimConnectTimeout(t *testing.T) {
	r := newTimeoutRig(t, nil)
	r.world.Silence(engine.IPAddr(netip.MustParseAddrPort(simEndpoints[0])))
	k := r.talk(simGet).heard("HTTP/1.1 504 ")
	about(t, "504", k.first, 5*time.Second)
	r.reason(metrics.TimeoutConnect)
	r.stop()
}

func TestSimWaitForConnectionTimeout(t *testing.T) {
	r := newTimeoutRig(t, func(snap *plan.Snapshot) { snap.Limits.UpstreamConns = 1 })
	r.server(func(int) string { return "" })
	r.talk(simGet)
	k := r.talk(simGet).heard("HTTP/1.1 503 ")
	about(t, "503", k.first, 5*time.Second)
	if !strings.Contains(k.got, "Retry-After: ") {
		t.Errorf("no Retry-After in %q", k.got)
	}
	r.reason(metrics.LimitUpstreamConns)
	r.stop()
}

func TestSimFirstByteTimeoutCountsFromTheRequestsEnd(t *testing.T) {
	r := newTimeoutRig(t, nil)
	r.server(func(int) string { return "" })
	k := r.talk("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n")
	for range 4 {
		r.pass(10 * time.Second)
		k.say(strings.Repeat("b", 1000))
	}
	k.heard("HTTP/1.1 504 ")
	about(t, "504", k.first, 100*time.Second)
	r.reason(metrics.TimeoutResponseHead)
	r.stop()
}

func TestSimResponseIdleTimeout(t *testing.T) {
	r := newTimeoutRig(t, nil)
	s := r.server(func(int) string { return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\na" })
	k := r.talk(simGet)
	for range 3 { // each piece renews it
		r.pass(30 * time.Second)
		_, _ = s.peers[0].Write([]byte("b"))
	}
	about(t, "the end", k.ended().at, 130*time.Second)
	if k.err == io.EOF || !strings.HasSuffix(k.got, "abbb") {
		t.Errorf("got %q, and no reset but %v", k.got, k.err)
	}
	r.reason(metrics.TimeoutResponseBody)
	r.stop()
}

func TestSimNoResponseIdleTimeout(t *testing.T) {
	r := newTimeoutRig(t, func(snap *plan.Snapshot) { snap.Timeouts.ResponseIdle = 0 })
	s := r.server(func(int) string { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na" })
	k := r.talk(simGet)
	r.pass(20 * time.Minute)
	_, _ = s.peers[0].Write([]byte("b"))
	k.heard("\r\n\r\nab")
	k.p.Close()
	r.stop()
}

func TestSimUpstreamIdleTimeout(t *testing.T) {
	r := newTimeoutRig(t, nil)
	s := r.server(func(int) string { return okResponse })
	r.talk(simGet).heard("ok")
	r.until("the end of the pooled connection", func() bool { ended, _ := s.peers[0].Ended(); return ended })
	about(t, "the pooled connection ended", r.now(), 50*time.Second)
	r.stop()
}

func TestSimRequestBodyRate(t *testing.T) {
	t.Run("too slow", func(t *testing.T) {
		r := newTimeoutRig(t, nil)
		r.server(func(int) string { return "" })
		k := r.talk(simPost)
		for range 5 { // 50 bytes a second, and each piece well in time
			r.pass(5 * time.Second)
			k.say(strings.Repeat("b", 250))
		}
		k.heard("HTTP/1.1 408 ")
		about(t, "408", k.first, 30*time.Second)
		r.reason(metrics.TimeoutRequestBody)
		k.p.Close()
		r.stop()
	})
	t.Run("fast enough", func(t *testing.T) {
		r := newTimeoutRig(t, nil)
		r.server(func(int) string { return "" })
		k := r.talk(simPost)
		for range 40 {
			r.pass(5 * time.Second)
			k.say(strings.Repeat("b", 600))
		}
		if k.got != "" {
			t.Errorf("after %v: %q", r.now(), k.got)
		}
		k.p.Close()
		r.stop()
	})
	t.Run("held up by the upstream", func(t *testing.T) {
		r := newTimeoutRig(t, nil)
		var up *sim.Peer
		r.world.Serve(engine.IPAddr(netip.MustParseAddrPort(simEndpoints[0])), func(p *sim.Peer) {
			up = p
			p.SetWindow(1000)
		})
		k := r.talk(strings.Replace(simPost, "100000", "1000000", 1))
		body := strings.Repeat("b", 1_000_000)
		r.actors = append(r.actors, func() {
			if n, err := k.p.Write([]byte(body)); err == nil {
				body = body[n:]
			}
		})
		r.pass(50 * time.Second)
		if k.got != "" || k.err != nil {
			t.Errorf("a client that would have sent more was told %q, %v", k.got, k.err)
		}
		up.Close()
		k.p.Close()
		r.stop()
	})
}

func TestSimResponseRate(t *testing.T) {
	r := newTimeoutRig(t, nil)
	r.server(func(int) string { return "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + strings.Repeat("b", 9000) })
	k := r.talk("")
	k.p.SetWindow(1000)
	k.deaf = true
	k.say(simGet)
	r.pass(50 * time.Second)
	if r.w.clients != 1 {
		t.Errorf("given up after %v: the first window only marks what was read", r.now())
	}
	r.until("the end of patience", func() bool { return r.w.clients == 0 })
	about(t, "given up", r.now(), 60*time.Second)
	r.reason(metrics.TimeoutSendResponse)
	k.p.Close()
	r.stop()
}

func TestSimRequestSendTimeout(t *testing.T) {
	r := newTimeoutRig(t, func(snap *plan.Snapshot) { snap.Limits.BodyRateBytes = 0 })
	r.world.Serve(engine.IPAddr(netip.MustParseAddrPort(simEndpoints[0])), func(p *sim.Peer) { p.SetWindow(10) })
	k := r.talk(simGet).heard("HTTP/1.1 504 ")
	if k.first < 60*time.Second || k.first > 130*time.Second {
		t.Errorf("504 after %v", k.first)
	}
	r.reason(metrics.TimeoutSendRequest)
	r.stop()
}

func TestSimLinger(t *testing.T) {
	r := newTimeoutRig(t, func(snap *plan.Snapshot) { snap.Limits.BodyBytes = 1000 })
	k := r.talk(simPost).heard("HTTP/1.1 413 ")
	k.ended() // half-closed at once
	if r.w.clients != 1 || k.err != io.EOF {
		t.Errorf("%d clients, %v", r.w.clients, k.err)
	}
	k.say("more")
	began := r.now()
	r.until("the end of the linger", func() bool { return r.w.clients == 0 })
	about(t, "closed", r.now()-began, 2*time.Second)
	r.stop()
}

func TestSimAcceptPausesWithoutDescriptors(t *testing.T) {
	r := newSimRig(t, simConfig{endpoints: simEndpoints[:1], faults: sim.Faults{NoFiles: 1}, edit: simPatient})
	r.talk("")
	r.pass(2 * time.Second)
	s := r.metrics.Snapshot()
	if n := s.Counter(metrics.AcceptPauses); n < 6 || n > 9 { // every 250 ms
		t.Errorf("%d attempts in 2 s", n)
	}
	if s.TotalRefused() != 0 || s.TotalErrors() != 0 { // the client waits in the kernel's queue, and is refused nothing
		t.Errorf("somebody was refused: %v", s)
	}
	r.stop()
}
