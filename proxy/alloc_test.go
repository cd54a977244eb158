package proxy

import (
	"bytes"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/engine"
)

// fixedUpstream answers whatever ends with end, and allocates nothing while it does.
func fixedUpstream(t testing.TB, end, answer []byte) string {
	return scripted(t, func(_ int, c *net.TCPConn) { respond(c, end, answer) })
}

// respond answers whatever ends with end, until the connection does.
func respond(c net.Conn, end, answer []byte) {
	buf := make([]byte, 64<<10)
	n := 0
	for {
		m, err := c.Read(buf[n:])
		if err != nil {
			return
		}
		if n += m; !bytes.HasSuffix(buf[:n], end) {
			continue
		}
		n = 0
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// Nothing is allocated per request, keep-alive turn, body chunk or log line: by the whole process, in which the
// client and the upstream allocate nothing either.
func TestNoAllocationPerRequest(t *testing.T) {
	body := strings.Repeat("b", 50_000)
	cases := []struct{ name, request, end, answer string }{
		{"get", "GET /p?q=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n", "\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello"},
		{"path", "GET /a/../%70//x?q=1 HTTP/1.1\r\nHost: example.com\r\n\r\n", "\r\n\r\n",
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"},
		{"bodies", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n" + body, body,
			"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n" + body},
		{"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
			"0\r\n\r\n",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"},
	}
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				up := fixedUpstream(t, []byte(tc.end), []byte(tc.answer))
				rings, err := accesslog.NewRings(1, 1<<20, accesslog.JSON)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { rings.Close() })
				r := start(t, open(), []string{up}, func(r *rig) { r.log = rings.Ring(0) })
				c, err := net.Dial("tcp", r.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				request, buf := []byte(tc.request), make([]byte, 128<<10)
				tail := []byte(tc.answer[len(tc.answer)-3:])
				turn := func() {
					if _, err := c.Write(request); err != nil {
						t.Fatal(err)
					}
					for n := 0; !bytes.HasSuffix(buf[:n], tail); {
						m, err := c.Read(buf[n:])
						if err != nil {
							t.Fatal(err)
						}
						n += m
					}
				}
				const turns = 300
				for range turns { // tables and free lists grow to their size
					turn()
				}
				// Now and then the runtime or another goroutine allocates for itself; something that
				// is allocated per request does so every time.
				best := ^uint64(0)
				for range 3 {
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					for range turns {
						turn()
					}
					runtime.ReadMemStats(&after)
					best = min(best, after.Mallocs-before.Mallocs)
				}
				if best > turns/10 {
					t.Errorf("%d allocations in %d requests", best, turns)
				}
			})
		}
	})
}

// Connections cost no goroutine, and an idle one holds no buffer.
func TestIdleConnections(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := fixedUpstream(t, []byte("\r\n\r\n"), []byte(okResponse))
		r := start(t, open(), []string{up}, nil)
		before, idle := runtime.NumGoroutine(), r.gauges()
		const n = 3000
		conns := make([]net.Conn, n)
		buf := make([]byte, 4096)
		for i := range conns {
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(30 * time.Second))
			conns[i] = c
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			if _, err := io.ReadAtLeast(c, buf, len(okResponse)); err != nil {
				t.Fatal(i, err)
			}
		}
		if after := runtime.NumGoroutine(); after > before+5 {
			t.Errorf("%d goroutines with %d connections, %d without", after, n, before)
		}
		for r.gauges().Exchanges > 0 {
			runtime.Gosched()
		}
		g := r.gauges()
		// What the backend keeps posted is its own and grows with bursts, not with connections.
		if g.Links < n || g.Chunks != 0 || g.SmallHeld > idle.SmallHeld+256 || g.HeadHeld != 0 {
			t.Errorf("%d idle connections hold %+v, before %+v", n, g, idle)
		}
	})
}

// The sum of what a slot takes is the price of an idle connection.
func TestSlotSize(t *testing.T) {
	const limit = 256
	conn, half := unsafe.Sizeof(engine.Conn{}), unsafe.Sizeof(link{})
	if conn+half > limit {
		t.Errorf("a slot has %d bytes, more than %d", conn+half, limit)
	}
	t.Logf("engine.Conn %d, link %d, exchange %d bytes", conn, half, unsafe.Sizeof(exchange{}))
}
