package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// request sends a request and reads the response's status and body.
func request(t *testing.T, conn net.Conn, text string) (int, string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// The client that a header names is the one that is limited, believed and logged.
func TestProxiedClient(t *testing.T) {
	up := firstUpstream(t)
	c := firstCase{protocol: plan.HTTP, proxied: true}
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		rings, err := accesslog.NewRings(1, accesslog.MinRing, accesslog.Combined)
		if err != nil {
			t.Fatal(err)
		}
		defer rings.Close()
		r := start(t, open(), []string{up}, func(r *rig) {
			c.edit(t, r.snap, r.snap.Services[0])
			r.snap.Listeners[0].Trusted = []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
			r.snap.Limits.ConnectionsPerIP = 1
			r.log = rings.Ring(0)
		})
		told := strings.Replace(firstGet, "\r\n", "\r\nX-Forwarded-For: 10.0.0.1\r\n", 1)
		first := r.dial()
		if _, body := request(t, first, firstLine+told); body != "for=10.0.0.1, "+namedClient[len("for="):] {
			t.Errorf("a trusted client: %q", body)
		}
		if _, body := request(t, first, firstGet); body != namedClient {
			t.Errorf("its second request: %q", body)
		}
		if _, body := request(t, r.dial(), firstLine6+told); body != "for=2001:db8::9 port=8443;" {
			t.Errorf("another client: %q", body)
		}
		again := r.dial()
		io.WriteString(again, firstBlock+firstGet)
		if b, err := io.ReadAll(again); err == nil || !isReset(err) {
			t.Errorf("more than the client's connections: %q, %v", b, err)
		}
		r.do(func(*Worker) {})
		if n := r.metrics.Snapshot().Refused(metrics.LimitConnsPerIP); n != 1 {
			t.Errorf("%d refused", n)
		}
		var lines []byte
		r.do(func(*Worker) {
			a, b := rings.Ring(0).Pending()
			lines = append(append(lines, a...), b...)
		})
		if strings.Count(string(lines), "203.0.113.9 ") != 2 || strings.Count(string(lines), "2001:db8::9 ") != 1 {
			t.Errorf("the log says %s", lines)
		}
	})
}

// autoRig has a listener for requests with TLS and without, where its protocol allows that, and for streams: with TLS
// as it is, with TLS ended here, or without; others is whether a route takes those of other names.
func autoRig(id identity, relay bool, protocol plan.Protocol, others bool, far string) func(*rig) {
	c := firstCase{protocol: protocol, proxied: true, rules: []string{
		"SNI(`pass.example.com`)", "SNI(`end.example.com`)", "",
	}}
	switch {
	case protocol == plan.Auto: // else nothing is left for requests
		c.rules[2] = "ClientIP(`203.0.113.9`) && !SNIRegexp(`.*`)"
	case !others:
		c.rules = c.rules[:2]
	}
	return edits(secureRig(id, relay, handshake.Policy{}), func(r *rig) {
		service := snapshotFor(r.t, r.snap.Listeners[0].Addr, far).Services[0]
		service.Endpoints[0].ID = 100
		c.edit(r.t, r.snap, service)
		r.snap.Streams[1].Terminate = true
	})
}

// trickled is a connection on which each write is a segment per byte for as long as it is short.
type trickled struct{ net.Conn }

func (c trickled) Write(b []byte) (int, error) {
	if len(b) > 3000 {
		return c.Conn.Write(b)
	}
	for i := range b {
		if _, err := c.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// One listener serves whatever comes, behind a header of the PROXY protocol, however it is cut.
func TestAutoWithTLS(t *testing.T) {
	id := newIdentity(t)
	up, far := firstUpstream(t), firstEnd(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			r := start(t, open(), []string{up}, autoRig(id, relay, plan.Auto, true, far))
			for _, whole := range []bool{true, false} {
				dial := func(header string) net.Conn {
					var conn net.Conn = r.dial()
					if !whole {
						conn = trickled{conn}
					}
					if _, err := io.WriteString(conn, header); err != nil {
						t.Fatal(err)
					}
					return conn
				}
				secured := func(name string) net.Conn {
					conn := tls.Client(dial(firstBlock), &tls.Config{ServerName: name, InsecureSkipVerify: true})
					if err := conn.Handshake(); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					return conn
				}
				if _, body := request(t, secured("example.com"), firstGet); body != namedClient {
					t.Errorf("over TLS: %q", body)
				}
				if _, body := request(t, dial(firstLine), firstGet); body != namedClient {
					t.Errorf("without TLS: %q", body)
				}
				for what, conn := range map[string]net.Conn{
					"ended here": secured("end.example.com"), "plain": dial(firstLine),
				} {
					if got := converse(t, conn, "what it says\n"); got != firstGreet+"what it says\n" {
						t.Errorf("%s: %q", what, got)
					}
				}
				hello := string(clientHello(t, "pass.example.com"))
				if got := converse(t, dial(firstBlock), hello); got != firstGreet+hello {
					t.Errorf("passed on: %q", got)
				}
			}
		})
	})
}

// converse says something and reads as much as comes back of a stream's endpoint.
func converse(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	back := make([]byte, len(firstGreet)+len(text))
	n, err := io.ReadFull(conn, back)
	if err != nil {
		t.Errorf("%v after %q", err, back[:n])
	}
	return string(back[:n])
}

// A route that ends TLS is none for those who do not speak it, on a listener for TCP.
func TestTerminateWantsTLS(t *testing.T) {
	id := newIdentity(t)
	up, far := firstUpstream(t), firstEnd(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), []string{up}, edits(autoRig(id, false, plan.TCP, true, far), func(r *rig) {
			r.snap.Streams[2].Terminate = true
		}))
		conn := r.dial()
		io.WriteString(conn, firstLine+"plain")
		if b, err := io.ReadAll(conn); err == nil || !isReset(err) {
			t.Errorf("%q, %v", b, err)
		}
		any := r.dial()
		io.WriteString(any, firstLine)
		over := tls.Client(any, &tls.Config{ServerName: "whoever.example.com", InsecureSkipVerify: true})
		if got := converse(t, over, "sealed"); got != firstGreet+"sealed" {
			t.Errorf("over TLS: %q", got)
		}
		r.do(func(*Worker) {})
		if n := r.metrics.Snapshot().Refused(metrics.NoRoute); n != 1 {
			t.Errorf("%d refused", n)
		}
	})
}

// What has TLS and no tcp route on a listener for TCP is refused by an alert: there are no requests to be had.
func TestTCPIsNotHTTP(t *testing.T) {
	id := newIdentity(t)
	up, far := firstUpstream(t), firstEnd(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), []string{up}, autoRig(id, false, plan.TCP, false, far))
		for name, why := range map[string]string{"end.example.com": "", "example.com": "tls: unrecognized name"} {
			conn := r.dial()
			io.WriteString(conn, strings.Replace(firstLine, "203.0.113.9", "192.0.2.1", 1))
			err := tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
			if why == "" && err != nil || why != "" && (err == nil || !strings.Contains(err.Error(), why)) {
				t.Errorf("%s: %v", name, err)
			}
		}
		r.do(func(*Worker) {})
		if n := r.metrics.Snapshot().Refused(metrics.NoRoute); n != 1 {
			t.Errorf("%d refused", n)
		}
	})
}

// Of a listener that redirects, it is requests without TLS that are.
func TestAutoRedirects(t *testing.T) {
	id := newIdentity(t)
	up, far := firstUpstream(t), firstEnd(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), []string{up}, edits(autoRig(id, false, plan.Auto, true, far), func(r *rig) {
			r.snap.Listeners[0].Redirect = &plan.Redirect{Port: 443, Code: 308}
			r.snap.Routes[0].Connect = true
		}))
		if status, _ := request(t, r.dial(), firstLine+firstGet); status != 308 {
			t.Errorf("without TLS: %d", status)
		}
		conn := r.dial()
		io.WriteString(conn, firstLine)
		over := tls.Client(conn, &tls.Config{ServerName: "example.com", RootCAs: id.believers})
		if status, body := request(t, over, firstGet); status != 200 || body != namedClient {
			t.Errorf("over TLS: %d, %q", status, body)
		}
		conn = r.dial()
		io.WriteString(conn, firstLine)
		over = tls.Client(conn, &tls.Config{ServerName: "example.com", RootCAs: id.believers})
		io.WriteString(over, "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
		if line, _ := bufio.NewReader(over).ReadString('\n'); strings.HasPrefix(line, "HTTP/1.1 405") {
			t.Error("CONNECT over TLS is refused as one without")
		}
	})
}

// A client who has not said a word when the listener's protocol changes may still make a request.
func TestSimFirstBytesOfAnotherProtocol(t *testing.T) {
	c := firstCase{protocol: plan.Auto, rules: []string{"SNI(`a.test`)"}}
	r := newFirstRig(t, &c, simConfig{})
	k := r.talk("")
	r.until("a client", func() bool { return r.w.Gauges().Links == 1 })
	r.publish(func(snap *plan.Snapshot) {
		snap.Listeners[0].Protocol, snap.Listeners[0].Streams = plan.HTTP, nil
	})
	r.turn()
	k.say(firstGet)
	k.heard("for=127.0.0.1")
	k.p.Close()
	r.stop()
}

// Where silence leads nowhere, a client has as much time for its first request as it has between two.
func TestSimFirstBytesIdle(t *testing.T) {
	c := firstCase{protocol: plan.Auto, rules: []string{"SNI(`a.test`)"}}
	r := newFirstRig(t, &c, simConfig{})
	r.publish(func(snap *plan.Snapshot) { snap.Timeouts.Detect = 3 * time.Second })
	r.turn()
	late, silent := r.talk(""), r.talk("")
	r.pass(70 * time.Second)
	late.say(firstGet)
	late.heard("for=127.0.0.1")
	silent.ended()
	about(t, "the end of a client who says nothing", silent.at, 75*time.Second)
	r.count(metrics.ConnsClosedIdle, 1)
	late.p.Close()
	r.stop()
}

// A shutdown does not wait for those who have not said a word, and not for long for those who have begun to.
func TestSimFirstBytesDrain(t *testing.T) {
	for _, said := range []string{"", firstLine[:9], firstLine, firstLine + "\x16"} {
		c := firstCase{protocol: plan.TCP, proxied: true, rules: []string{"SNI(`a.test`)", ""}}
		r := newFirstRig(t, &c, simConfig{})
		k := r.talk(said)
		r.until("what it has said", func() bool {
			return r.metrics.Snapshot().Counter(metrics.BytesFromClients) == uint64(len(said)) && r.w.clients == 1
		})
		r.drain()
		k.ended()
		if took := r.now(); took > handshakeInDrain+200*time.Millisecond {
			t.Errorf("%q: it took %v", said, took)
		}
		r.count(metrics.ConnsClosedDrain, 1)
		r.stop()
	}
}

// Nothing is allocated for a connection's first bytes.
func TestFirstBytesNoAllocation(t *testing.T) {
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	defer func() { runtime.MemProfileRate = rate }()
	up, far := firstUpstream(t), firstEnd(t)
	hello := string(clientHello(t, "pass.example.com"))
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		for _, said := range []string{hello, "EHLO a\r\n"} {
			c := firstCase{protocol: plan.Auto, proxied: true, rules: []string{"SNI(`pass.example.com`)", ""}}
			r := c.start(t, open(), up, far, nil)
			pieces, back := []string{firstBlock, said}, make([]byte, len(firstGreet)+len(said))
			turn := func() {
				conn := r.dial()
				defer conn.Close()
				for _, p := range pieces {
					io.WriteString(conn, p)
				}
				if _, err := io.ReadFull(conn, back); err != nil {
					t.Fatal(err)
				}
			}
			const turns = 40
			ours := []string{
				"uringproxy/proxy.", "uringproxy/proxy/proxyproto.", "uringproxy/tls/hello.", "uringproxy/shard.",
			}
			for name, n := range allocatedBy(ours, turns, turn) {
				if n > turns/10 {
					t.Errorf("%s: %d allocations in %d connections", name, n, turns)
				}
			}
		}
	})
}

// FuzzBeginning has a beginning told byte by byte: what is told stays, and nobody has to say much for that.
func FuzzBeginning(f *testing.F) {
	for _, s := range []string{"GET /", "PROPFIND /", "LOCK http:/x", "EHLO a", "\x16\x03\x01", "\x16", "SSH-2.0-x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, http := range []bool{false, true} {
			told := beginsUnclear
			for i := 1; i <= len(b); i++ {
				now := tellBeginning(b[:i:i], http)
				if told != beginsUnclear && now != told || now == beginsHTTP && !http || now == beginsSilent {
					t.Fatalf("%q: %d, before %d", b[:i], now, told)
				}
				if told = now; told == beginsUnclear && i > methodMost+len("https://") {
					t.Fatalf("%q: nothing told after %d bytes", b[:i], i)
				}
			}
		}
	})
}
