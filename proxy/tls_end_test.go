package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// Everything may come in pieces of any size: hello, Finished, records.
func TestTLSInPieces(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				fmt.Fprintf(w, "%s %d", r.URL.Path, len(b))
			})
			r := start(t, open(), []string{up}, secureRig(id, relay, handshake.Policy{}))
			for _, n := range []int{1, 2, 7, 100, 1000, 5000} {
				c := dialTLS(t, slowly{dialTCP(t, r.addr), n}, id, nil)
				br := bufio.NewReader(c)
				for i := range 3 {
					size := 20 * n
					request := fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", i, size)
					_, body := askOver(t, c, br, request+strings.Repeat("x", size))
					if want := fmt.Sprintf("/%d %d", i, size); body != want {
						t.Fatalf("in pieces of %d: %q, want %q", n, body, want)
					}
				}
				c.Close()
			}
		})
	})
}

// Requests that are sent ahead, each in records of its own or several in one, are answered in order.
func TestTLSPipelining(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			up := upstream(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
			r := start(t, open(), []string{up}, secureRig(id, relay, handshake.Policy{}))
			c := dialTLS(t, dialTCP(t, r.addr), id, nil)
			const n = 200
			for i := range n {
				end := ""
				if i == n-1 {
					end = "Connection: close\r\n"
				}
				fmt.Fprintf(c, "GET /%d HTTP/1.1\r\nHost: a\r\n%s\r\n", i, end)
			}
			br := bufio.NewReader(c)
			for i := range n {
				res, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(i, err)
				}
				if b, _ := io.ReadAll(res.Body); string(b) != fmt.Sprintf("/%d", i) {
					t.Fatalf("response %d: %q", i, b)
				}
			}
			if _, err := br.ReadByte(); err != io.EOF { // crypto/tls: close_notify
				t.Errorf("the end is %v", err)
			}
		})
	})
}

// Every orderly end is announced by close_notify.
func TestTLSCloseNotify(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			up := upstream(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") })
			r := start(t, open(), []string{up}, edits(secureRig(id, relay, handshake.Policy{}), func(r *rig) {
				r.snap.Timeouts.Idle = 300 * time.Millisecond
			}))
			ends := map[string]string{
				"asked for": "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
				"refused":   "GET / HTTP/1.1\r\nHost: a\r\nbad header\r\n\r\n",
				"idle":      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
				"silence":   "",
			}
			for name, request := range ends {
				c := dialTLS(t, dialTCP(t, r.addr), id, nil)
				io.WriteString(c, request)
				if all, err := io.ReadAll(c); err != nil || len(all) == 0 && request != "" {
					t.Errorf("%s: %d bytes, then %v", name, len(all), err)
				}
			}
		})
	})
}

// A response that only the end of its connection ends is whole when the upstream has said close_notify, and not when
// somebody has cut the connection.
func TestTLSTruncation(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			cfg := &tls.Config{Certificates: []tls.Certificate{id.certificate.TLS}}
			up := scripted(t, func(_ int, raw *net.TCPConn) {
				c := tls.Server(raw, cfg)
				req, err := http.ReadRequest(bufio.NewReader(c))
				if err != nil {
					return
				}
				io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nsome of it")
				if req.URL.Path == "/whole" {
					c.Close()
					return
				}
				raw.CloseWrite()
				io.Copy(io.Discard, raw)
			})
			r := start(t, open(), []string{up}, toSecure(id, relay, handshake.ClientOptions{}))
			res, err := client(t).Get("http://" + r.addr + "/whole")
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(res.Body); err != nil || string(b) != "some of it" {
				t.Errorf("whole: %q %v", b, err)
			}
			if res, err = client(t).Get("http://" + r.addr + "/cut"); err != nil {
				return // the reset came before the head was read
			}
			if b, err := io.ReadAll(res.Body); err == nil {
				t.Errorf("cut: %q, and no error", b)
			}
		})
	})
}

// later is a connection of which one write can be held back, but for its beginning.
type later struct {
	net.Conn
	hold bool
	rest []byte
}

func (c *later) Write(b []byte) (int, error) {
	if !c.hold {
		return c.Conn.Write(b)
	}
	c.rest = append(c.rest, b[10:]...)
	_, err := c.Conn.Write(b[:10])
	return len(b), err
}

// What an upstream begins to say unasked is no answer to the next request, although only its end shows what it is.
func TestTLSUnaskedRecord(t *testing.T) {
	id := newIdentity(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{id.certificate.TLS}}
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := scripted(t, func(n int, raw *net.TCPConn) {
			conn := &later{Conn: raw}
			c := tls.Server(conn, cfg)
			br := bufio.NewReader(c)
			for range 2 {
				if _, err := readRequest(br); err != nil {
					return
				}
				raw.Write(conn.rest)
				conn.hold, conn.rest = false, nil
				io.WriteString(c, okResponse)
				if n == 0 {
					conn.hold = true
					io.WriteString(c, ok200+"Content-Length: 5\r\n\r\nwrong")
				}
			}
		})
		r := start(t, open(), []string{up}, toSecure(id, false, handshake.ClientOptions{}))
		k := client(t)
		for i := range 2 {
			res, err := k.Get("http://" + r.addr)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(res.Body)
			if res.Body.Close(); string(b) != "ok" || err != nil {
				t.Fatalf("request %d: %q, %v", i, b, err)
			}
			r.waitFor("the beginning of a record", func() bool {
				return i > 0 || r.begun() || r.gauges().Secure == 0 // it may have come with the response
			})
		}
	})
}

// begun reports whether a record has begun on a pooled connection.
func (r *rig) begun() bool {
	ch := make(chan bool, 1)
	r.sh.Post(func() {
		found := false
		for slot := range r.w.links {
			if l := &r.w.links[slot]; l.kind == kindUpstream && l.state == statePooled && l.has(flagSecure) {
				found = found || r.w.unsettled(uint32(slot))
			}
		}
		ch <- found
	})
	return <-ch
}

// A drain lets handshakes that have begun end, and then tells the client.
func TestTLSDrain(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			r := start(t, open(), []string{"http://127.0.0.1:1"}, secureRig(id, relay, handshake.Policy{}))
			silent, idle := dialTCP(t, r.addr), dialTLS(t, dialTCP(t, r.addr), id, nil)
			half := &cut{Conn: dialTCP(t, r.addr), left: 300}
			c := tls.Client(half, &tls.Config{RootCAs: id.believers, ServerName: "example.com"})
			c.Handshake()
			r.waitFor("all to be accepted", func() bool { return r.gauges().Secure == 3 })
			done := make(chan struct{})
			r.sh.Post(func() { r.w.Drain(func() { close(done); r.sh.Stop() }) })
			if b, err := io.ReadAll(silent); len(b) > 0 || err != nil {
				t.Errorf("silent: %q %v", b, err)
			}
			if b, err := io.ReadAll(idle); len(b) > 0 || err != nil {
				t.Errorf("idle: %q %v", b, err)
			}
			idle.Close()
			half.Conn.Close()
			<-done
		})
	})
}

// A drain does not wait for the patience that handshakes have otherwise: for a hello of which a part has come, or for
// what has to follow it.
func TestTLSDrainEndsHandshakes(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), []string{"http://127.0.0.1:1"}, edits(secureRig(id, false, handshake.Policy{}),
			func(r *rig) { r.snap.Listeners[0].TLS.Timeout = time.Hour }))
		part, answered := dialTCP(t, r.addr), make(chan struct{})
		io.WriteString(part, "\x16\x03\x01\x02")
		r.waitFor("a part of a hello", func() bool {
			return r.metrics.Snapshot().Counter(metrics.BytesFromClients) == 4
		})
		silent := &mute{Conn: dialTCP(t, r.addr), after: 1}
		go func() {
			defer close(answered)
			tls.Client(silent, &tls.Config{RootCAs: id.believers, ServerName: "example.com"}).Handshake()
		}()
		r.waitFor("a handshake", func() bool { return r.metrics.Snapshot().Gauge(metrics.HandshakesRunning) == 1 })
		done := make(chan struct{})
		r.sh.Post(func() { r.w.Drain(func() { close(done); r.sh.Stop() }) })
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			t.Fatal("the drain waits for handshakes")
		}
		if n := r.metrics.Snapshot().Counter(metrics.ConnsClosedDrain); n != 2 {
			t.Errorf("%d connections ended because of the drain", n)
		}
		part.Close()
		silent.Close()
		<-answered
	})
}

// mute is a connection on which nothing more is said after so many writes.
type mute struct {
	net.Conn
	after int
}

func (m *mute) Write(b []byte) (int, error) {
	if m.after--; m.after < 0 {
		return len(b), nil
	}
	return m.Conn.Write(b)
}

// Who does not read costs a fixed number of buffers, on either side.
func TestTLSSlowReader(t *testing.T) {
	id := newIdentity(t)
	const size = 64 << 20
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			stop := make(chan struct{})
			h := func(w http.ResponseWriter, r *http.Request) {
				if r.Method == "POST" {
					<-stop
					return
				}
				w.Header().Set("Content-Length", fmt.Sprint(size))
				for range size >> 16 {
					w.Write(make([]byte, 1<<16))
				}
			}
			up := secureUpstream(t, id, h, nil)
			defer close(stop)
			r := start(t, open(), []string{up}, edits(secureRig(id, relay, handshake.Policy{}),
				toSecure(id, relay, handshake.ClientOptions{})))
			before := r.gauges()
			reader, writer := dialTLS(t, dialTCP(t, r.addr), id, nil), dialTLS(t, dialTCP(t, r.addr), id, nil)
			io.WriteString(reader, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			fmt.Fprintf(writer, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
			ahead := dialTLS(t, dialTCP(t, r.addr), id, nil)
			many := bytes.Repeat([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 1000)
			for c, piece := range map[*tls.Conn][]byte{writer: make([]byte, 1<<16), ahead: many} {
				c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
				for sent, err := 0, error(nil); err == nil && sent < size; sent += len(piece) {
					_, err = c.Write(piece)
				}
			}
			g := r.gauges()
			small, bulk, rec := g.SmallHeld-before.SmallHeld, g.BulkHeld-before.BulkHeld, g.RecordHeld-before.RecordHeld
			if small > 700 || bulk > 24 || rec > 48 || g.Exchanges != 3 {
				t.Errorf("three who do not read hold %d small, %d bulk, %d record buffers: %+v", small, bulk, rec, g)
			}
			reader.NetConn().Close()
			writer.NetConn().Close()
			ahead.NetConn().Close()
		})
	})
}
