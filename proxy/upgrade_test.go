package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// switchRig has one route, which allows upgrades and CONNECT, with TLS where s has it.
func switchRig(s sides, id identity) func(*rig) {
	return func(r *rig) {
		switching(r.snap)
		if s.client {
			secureRig(id, s.relay, handshake.Policy{})(r)
		}
		if s.upstream {
			toSecure(id, s.relay, handshake.ClientOptions{})(r)
		}
	}
}

// switcher is an endpoint that switches at once, and gives f what comes then.
func switcher(t testing.TB, s sides, id identity, f func(c duplex, raw *net.TCPConn, br *bufio.Reader)) string {
	return sidedEnd(t, s, id, func(c duplex, raw *net.TCPConn) {
		raw.SetDeadline(time.Now().Add(30 * time.Second))
		br := bufio.NewReader(c)
		asked, err := readRequest(br)
		if err != nil {
			return
		}
		answer := wsSwitch
		if asked.Method == "CONNECT" {
			answer = ok200 + "\r\n"
		}
		io.WriteString(c, answer)
		f(c, raw, br)
	})
}

// echo sends back what comes.
func echo(c duplex, _ *net.TCPConn, br *bufio.Reader) {
	io.Copy(c, br)
	c.CloseWrite()
}

// switchTo asks with what is in raw, and reads the answer. Whatever comes then is read from br.
func switchTo(
	t testing.TB, r *rig, s sides, id identity, raw string,
) (c duplex, socket *net.TCPConn, br *bufio.Reader) {
	t.Helper()
	socket = dialTCP(t, r.addr)
	c = socket
	if s.client {
		c = dialTLS(t, socket, id, nil)
	}
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	br = bufio.NewReader(c)
	head := ""
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := br.ReadString('\n')
		if head += line; err != nil {
			t.Fatalf("%v behind %q", err, head)
		}
	}
	if !strings.HasPrefix(head, "HTTP/1.1 101 ") && !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		t.Fatalf("answered with %q", head)
	}
	return c, socket, br
}

// An upgraded connection and a CONNECT carry everything both ways, what the client has sent ahead included, with TLS on
// any side; each direction ends for itself.
func TestUpgradeBothWays(t *testing.T) {
	const size = 1 << 20
	id := newIdentity(t)
	up, down := noise(size, 1), noise(size+12345, 2)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		try := func(t *testing.T, s sides, ask string) {
			got := make(chan []byte, 1)
			far := switcher(t, s, id, func(c duplex, _ *net.TCPConn, br *bufio.Reader) {
				sent := make(chan bool)
				go func() {
					c.Write(down)
					c.CloseWrite()
					close(sent)
				}()
				b, _ := io.ReadAll(br)
				<-sent
				got <- b
			})
			r := start(t, open(), []string{far}, switchRig(s, id))
			c, _, br := switchTo(t, r, s, id, ask+string(up[:1000]))
			go func() {
				c.Write(up[1000:])
				c.CloseWrite()
			}()
			back, err := io.ReadAll(br)
			if err != nil || !bytes.Equal(back, down) {
				t.Errorf("%d bytes came back of %d, %v", len(back), len(down), err)
			}
			if there := <-got; !bytes.Equal(there, up) {
				t.Errorf("%d bytes arrived of %d", len(there), len(up))
			}
			r.settled()
			snap, series := r.metrics.Snapshot(), r.metrics.Series(metrics.RouteSeries)[0]
			if snap.PassagesEnded(metrics.Upgrades, metrics.None) != 1 || snap.Gauge(metrics.UpstreamConnsIdle) != 0 {
				t.Errorf("not ended in order: %v", snap)
			}
			if series.CarriedUp != uint64(len(up)) || series.CarriedDown != uint64(len(down)) || series.Total() != 1 {
				t.Errorf("%d bytes are counted up, %d down, %d requests", series.CarriedUp, series.CarriedDown,
					series.Total())
			}
		}
		t.Run("plain", func(t *testing.T) { try(t, sides{}, wsGet) })
		t.Run("CONNECT", func(t *testing.T) { try(t, sides{}, connectGet) })
		onSides(t, func(t *testing.T, s sides) { try(t, s, wsGet) })
	})
}

// What a client sends ahead of the answer is held back, not gathered, and none of it is lost.
func TestUpgradeAheadOfTheAnswer(t *testing.T) {
	const size = 8 << 20
	ahead := noise(size, 1)
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		for _, s := range []sides{{}, {client: true}, {client: true, relay: true}} {
			answer, got := make(chan bool), make(chan []byte, 1)
			far := scripted(t, func(_ int, c *net.TCPConn) {
				br := bufio.NewReader(c)
				if _, err := readRequest(br); err != nil {
					return
				}
				<-answer
				io.WriteString(c, wsSwitch)
				b, _ := io.ReadAll(br)
				got <- b
			})
			r := start(t, open(), []string{far}, switchRig(s, id))
			var c duplex = dialTCP(t, r.addr)
			if s.client {
				c = dialTLS(t, c, id, nil)
			}
			go func() {
				io.WriteString(c, wsGet)
				c.Write(ahead)
				c.CloseWrite()
			}()
			r.waitFor("a standstill", func() bool {
				before := r.metrics.Snapshot().Counter(metrics.BytesFromClients)
				time.Sleep(20 * time.Millisecond)
				return before > 1000 && before == r.metrics.Snapshot().Counter(metrics.BytesFromClients)
			})
			window := windowPieces + r.memory.Small/4 + 64 // before Linux 6.17 a burst may have all that is posted
			if g := r.gauges(); g.SmallHeld > window || g.BulkHeld > 4 || g.RecordHeld > 16 {
				t.Errorf("held for one client: %+v", g)
			}
			close(answer)
			if b := <-got; !bytes.Equal(b, ahead) {
				t.Errorf("%d bytes arrived of %d", len(b), len(ahead))
			}
		}
	})
}

// What is cut off on one side is cut off on the other, and counted as what it was.
func TestUpgradeEnds(t *testing.T) {
	id := newIdentity(t)
	reset := func(_ duplex, raw *net.TCPConn, br *bufio.Reader) {
		br.ReadByte()
		raw.SetLinger(0)
		raw.Close()
	}
	idle := func(r *rig) { r.snap.Timeouts.UpgradeIdle = 50 * time.Millisecond }
	for _, tc := range []struct {
		name string
		far  func(duplex, *net.TCPConn, *bufio.Reader)
		near func(r *rig, c duplex, raw *net.TCPConn)
		edit func(*rig)
		why  metrics.Reason
	}{
		{"endpoint resets", reset, func(_ *rig, c duplex, _ *net.TCPConn) { c.Write([]byte("x")) }, nil,
			metrics.UpstreamStream},
		{"client resets", echo, func(_ *rig, _ duplex, raw *net.TCPConn) { raw.SetLinger(0); raw.Close() }, nil,
			metrics.ClientGoneStream},
		{"idle", echo, nil, idle, metrics.TimeoutStream},
		{"drained", echo, func(r *rig, _ duplex, _ *net.TCPConn) {
			r.sh.Post(func() { r.w.Drain(func() {}) })
			if g := r.gauges(); g.Tunnels != 1 {
				r.t.Error("not waited for")
			}
			r.sh.Post(func() { r.w.Abandon() })
		}, nil, metrics.ShuttingDown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onEach(t, func(t *testing.T, open func() engine.Backend) {
				for _, s := range []sides{{}, {true, true, false}, {true, true, true}} {
					ended := make(chan error, 1)
					far := switcher(t, s, id, func(c duplex, raw *net.TCPConn, br *bufio.Reader) {
						tc.far(c, raw, br)
						_, err := br.ReadByte()
						ended <- err
					})
					r := start(t, open(), []string{far}, edits(switchRig(s, id), func(r *rig) {
						if tc.edit != nil {
							tc.edit(r)
						}
					}))
					c, raw, br := switchTo(t, r, s, id, wsGet)
					if tc.near != nil {
						tc.near(r, c, raw)
					}
					if _, err := br.ReadByte(); tc.name != "client resets" && !errors.Is(err, unix.ECONNRESET) {
						t.Errorf("%+v: the client sees %v", s, err)
					}
					if err := <-ended; tc.name != "endpoint resets" && err == nil {
						t.Errorf("%+v: the endpoint sees no end", s)
					}
					r.settled()
					if m := r.metrics.Snapshot(); m.PassagesEnded(metrics.Upgrades, tc.why) != 1 {
						t.Errorf("%+v: ended for another reason: %v", s, m)
					}
				}
			})
		})
	}
}

// A stream goes on as it has begun when a reload removes its route, its service and its listener.
func TestUpgradeSurvivesReloads(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), []string{switcher(t, sides{}, id, echo)}, switchRig(sides{}, id))
		c, _, br := switchTo(t, r, sides{}, id, wsGet)
		talk := func() {
			t.Helper()
			buf := make([]byte, 5)
			c.Write([]byte("hello"))
			if _, err := io.ReadFull(br, buf); err != nil || string(buf) != "hello" {
				t.Fatalf("%q, %v", buf, err)
			}
		}
		inUse := func() int {
			n := make(chan int, 1)
			r.sh.Post(func() { n <- r.sh.Snapshots() })
			return <-n
		}
		talk()
		r.publish(func(s *plan.Snapshot) {
			s.Routes = []plan.Route{{Name: "other"}}
			s.Services = []plan.Service{{Name: "other", ID: 1}}
		})
		talk()
		r.publish(func(s *plan.Snapshot) { s.Listeners = []plan.Listener{{Name: "web"}} })
		talk()
		r.publish(func(*plan.Snapshot) {})
		if n := inUse(); n < 2 {
			t.Errorf("%d snapshots in use", n)
		}
		c.CloseWrite()
		if _, err := br.ReadByte(); err != io.EOF {
			t.Errorf("ended with %v", err)
		}
		r.settled()
		r.waitFor("the old snapshots' end", func() bool { return inUse() == 1 })
	})
}

// The request has its line in the log when it is answered, and the stream one of its own when it ends.
func TestUpgradeLogged(t *testing.T) {
	rings, err := accesslog.NewRings(1, 1<<20, accesslog.JSON)
	if err != nil {
		t.Fatal(err)
	}
	defer rings.Close()
	id := newIdentity(t)
	for ask, parts := range map[string][2]string{
		wsGet: {`"method":"GET","scheme":"http","host":"a"`,
			`"protocol":"websocket","status":101,"bytes_in":5,"bytes_out":5`},
		connectGet: {`"method":"CONNECT","scheme":"http","host":"a:443"`,
			`"protocol":"connect","status":200,"bytes_in":5`},
	} {
		r := start(t, backends["epoll"](), []string{switcher(t, sides{}, id, echo)},
			edits(switchRig(sides{}, id), func(r *rig) { r.log = rings.Ring(0) }))
		c, _, br := switchTo(t, r, sides{}, id, ask)
		r.waitFor("the request's line", func() bool { return r.metrics.Snapshot().Counter(metrics.LogLines) == 1 })
		first := logged(r.log)
		io.WriteString(c, "hello")
		c.CloseWrite()
		io.ReadAll(br)
		r.settled()
		second := logged(r.log)
		_, id, _ := strings.Cut(first, `"request_id":"`)
		id, _, _ = strings.Cut(id, `"`)
		if !strings.Contains(first, parts[0]) || !strings.Contains(first, `"protocol":"HTTP/1.1"`) ||
			!strings.Contains(second, parts[1]) || len(id) != requestIDLen || !strings.Contains(second, id) {
			t.Errorf("logged:\n%s%s", first, second)
		}
	}
}

// Nothing is allocated to switch, nor for what passes then.
func TestUpgradeNoAllocation(t *testing.T) {
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	defer func() { runtime.MemProfileRate = rate }()
	const turns = 40
	ours := []string{"uringproxy/proxy.", "uringproxy/proxy/h1.", "uringproxy/shard.", "uringproxy/engine"}
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), []string{switcher(t, sides{}, id, echo)}, switchRig(sides{}, id))
		talk := func(c io.Writer, br *bufio.Reader) {
			c.Write([]byte("hello"))
			br.Discard(5)
		}
		c, _, br := switchTo(t, r, sides{}, id, wsGet)
		for what, turn := range map[string]func(){
			"message": func() { talk(c, br) },
			"upgrade": func() {
				c, _, br := switchTo(t, r, sides{}, id, wsGet)
				talk(c, br)
				c.Close()
			},
		} {
			for name, n := range allocatedBy(ours, turns, turn) {
				if n > turns/10 {
					t.Errorf("%s: %s: %d allocations in %d turns", what, name, n, turns)
				}
			}
		}
	})
}

// An idle upgraded connection holds no buffer: two slots, and a tunnel.
func TestUpgradeIdleHoldsNothing(t *testing.T) {
	const n = 500
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), []string{switcher(t, sides{}, id, echo)}, switchRig(sides{}, id))
		before := r.gauges()
		for range n {
			switchTo(t, r, sides{}, id, wsGet)
		}
		r.waitFor("rest", func() bool { g := r.gauges(); return g.Chunks == 0 && g.Exchanges == 0 })
		// What the backend keeps posted is its own and grows with bursts, not with connections.
		if g := r.gauges(); g.Tunnels != n || g.SmallHeld > before.SmallHeld+256 || g.BulkHeld+g.HeadHeld != 0 {
			t.Errorf("%d idle connections hold %+v, before %+v", n, g, before)
		}
	})
	const limit = 768
	if size := unsafe.Sizeof(tunnel{}); size > limit {
		t.Errorf("a tunnel has %d bytes, more than %d", size, limit)
	}
	t.Logf("tunnel: %d bytes", unsafe.Sizeof(tunnel{}))
}
