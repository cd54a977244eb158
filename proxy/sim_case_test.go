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
	"github.com/uringproxy/uringproxy/plan"
)

// A client that says everything at once and then half-closes gets everything it has asked for, however its end of
// stream and its requests are mixed in the events.
func TestSimHalfCloseBehindPipeline(t *testing.T) {
	for seed := range uint64(200) {
		r := newSimRig(t, simConfig{
			seed: seed, endpoints: simEndpoints[:1], edit: simPatient,
			faults: sim.Faults{ShortRead: 0.3, Delay: 0.5, CancelData: 0.5, EndEarly: 0.3},
		})
		r.server(func(int) string { return okResponse })
		k := r.talk(strings.Repeat(simGet, 4))
		k.p.CloseWrite()
		k.ended()
		if n := strings.Count(k.got, "HTTP/1.1 200 "); n != 4 || k.err != io.EOF {
			t.Fatalf("seed %d: %d responses to 4 requests, then %v", seed, n, k.err)
		}
		if d := r.now(); d > time.Second {
			t.Fatalf("seed %d: took %v", seed, d)
		}
		r.stop()
	}
}

// A request cut off by the end of the stream behind complete ones is not waited for.
func TestSimHalfCloseWithinRequest(t *testing.T) {
	for _, rest := range []string{"GET / HT", simPost + "body"} {
		for seed := range uint64(100) {
			r := newSimRig(t, simConfig{
				seed: seed, endpoints: simEndpoints[:1], edit: simPatient,
				faults: sim.Faults{ShortRead: 0.3, Delay: 0.5, CancelData: 0.5, EndEarly: 0.3},
			})
			r.server(func(int) string { return okResponse })
			k := r.talk(simGet + simGet + rest)
			k.p.CloseWrite()
			k.ended()
			if n := strings.Count(k.got, "HTTP/1.1 200 "); n < 2 {
				t.Fatalf("seed %d: %d responses before %q", seed, n, rest)
			}
			if d := r.now(); d > time.Second {
				t.Fatalf("seed %d: took %v", seed, d)
			}
			r.stop()
		}
	}
}

// A request whose body goes on while it waits for a connection is not forgotten when it gets one.
func TestSimBodyGoesOnBehindTheLine(t *testing.T) {
	for seed := range uint64(50) {
		r := newSimRig(t, simConfig{
			seed: seed, endpoints: simEndpoints[:1], faults: sim.Faults{Delay: 0.5, CancelData: 0.5},
			edit: func(snap *plan.Snapshot) {
				simPatient(snap)
				snap.Limits.UpstreamConns = 1
			},
		})
		s := r.server(func(int) string { return "" })
		first := r.talk(simGet)
		r.until("the first request", func() bool { return len(s.got) == 1 && s.got[0] != "" })
		second := r.talk("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n" + strings.Repeat("a", 1000))
		r.pass(time.Millisecond)
		second.say(strings.Repeat("b", 4000))
		r.pass(time.Millisecond)
		_, _ = s.peers[0].Write([]byte(okResponse))
		first.heard("ok")
		second.say(strings.Repeat("c", 1000))
		r.until("the whole body", func() bool { return strings.HasSuffix(s.got[0], "b"+strings.Repeat("c", 1000)) })
		_, _ = s.peers[0].Write([]byte(okResponse))
		second.heard("ok")
		r.stop()
	}
}

// A response in a thousand pieces for a reader who takes none of them at first: the framing put on must not be
// written over before it is sent.
func TestSimTinyPiecesForSlowReader(t *testing.T) {
	r := newSimRig(t, simConfig{endpoints: simEndpoints[:1], edit: simPatient})
	s := r.server(func(int) string { return "HTTP/1.1 200 OK\r\n\r\n" })
	k := r.talk("")
	k.p.SetWindow(0)
	k.say(simGet)
	want := ""
	r.until("the request", func() bool { return len(s.got) == 1 && s.got[0] != "" })
	for i := range 1000 {
		piece := fmt.Sprintf("<%d>", i)
		want += piece
		if _, err := s.peers[0].Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
		r.pass(time.Microsecond)
	}
	s.peers[0].Close()
	k.p.SetWindow(1 << 20)
	k.heard("\r\n0\r\n\r\n")
	in := simReader{noBody: func(*simMessage) bool { return false }, buf: []byte(k.got)}
	if m, err := in.next(); err != nil || m == nil || string(m.body) != want {
		t.Errorf("%v, %q", err, k.got)
	}
	k.p.Close()
	r.stop()
}

// Chunks of a byte each, for a client that knows no chunks, do not use up the queues.
func TestSimTinyChunksForOldClient(t *testing.T) {
	body := strings.Repeat("x", 8000)
	r := newSimRig(t, simConfig{endpoints: simEndpoints[:1], edit: simPatient})
	r.server(func(int) string {
		chunks := strings.Repeat("1\r\nx\r\n", len(body))
		return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + "0\r\n\r\n"
	})
	k := r.talk("GET / HTTP/1.0\r\n\r\n").ended()
	if _, got, _ := strings.Cut(k.got, "\r\n\r\n"); got != body || k.err != io.EOF {
		t.Errorf("%d bytes of %d, then %v: %v", len(got), len(body), k.err, r.metrics.Snapshot())
	}
	r.stop()
}

// An upstream that stops reading must not make us hold what its client goes on sending.
func TestSimUpstreamGoneWithinBody(t *testing.T) {
	r := newSimRig(t, simConfig{endpoints: simEndpoints[:1], edit: simPatient})
	var up *sim.Peer
	r.world.Serve(engine.IPAddr(netip.MustParseAddrPort(simEndpoints[0])), func(p *sim.Peer) { up = p })
	k := r.talk("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
	left := 9_000_000
	body := strings.Repeat("b", left)
	r.actors = append(r.actors, func() {
		if n, err := k.p.Write([]byte(body[:left])); err == nil {
			left -= n
		}
	})
	r.until("the head", func() bool { return up != nil && len(up.Arrived()) > 0 })
	up.Reset()
	k.heard("HTTP/1.1 502 ").ended()
	if sent := 9_000_000 - left; sent > 2_000_000 {
		t.Errorf("%d bytes taken", sent)
	}
	k.p.Close()
	r.stop()
}

// Whoever is turned away or cut off is counted as closed, and nothing stays behind.
func TestSimEveryEndIsCounted(t *testing.T) {
	r := newSimRig(t, simConfig{endpoints: simEndpoints[:1], edit: func(snap *plan.Snapshot) {
		simPatient(snap)
		snap.Limits.ConnectionsPerIP = 2
		snap.Limits.BodyBytes = 1000
	}})
	r.server(func(int) string { return okResponse })
	r.talk(simGet).heard("ok")
	r.talk(simPost).heard("HTTP/1.1 413 ").ended() // lingers
	if k := r.talk(simGet).ended(); k.err == io.EOF {
		t.Errorf("the third of an address got %q", k.got)
	}
	r.sh.Post(func() { r.w.Abandon() })
	r.stop()
}
