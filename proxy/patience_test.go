package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
)

// Without a limit between two pieces of a response, none is left over from the wait for its first byte.
func TestResponseWithoutIdleLimit(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		release := make(chan struct{})
		up := scripted(t, func(_ int, c *net.TCPConn) {
			if _, err := readRequest(bufio.NewReader(c)); err != nil {
				return
			}
			io.WriteString(c, ok200+"Content-Length: 2\r\n\r\no")
			<-release
			io.WriteString(c, "k")
		})
		r := start(t, open(), []string{up}, func(r *rig) { r.snap.Timeouts.ResponseIdle = 0 })
		c := r.dial()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		deadline := int64(0)
		r.do(func(w *Worker) { deadline = w.wheel.Deadline(w.find(kindUpstream, stateBusy).Slot) })
		close(release)
		if b, err := io.ReadAll(res.Body); string(b) != "ok" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
		if deadline != 0 {
			t.Errorf("the upstream has a deadline at %d", deadline)
		}
	})
}

// An upstream that was not read from for long, because its client was slow, has all its time when it is again.
func TestPatienceBeginsWithTheReceive(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		release := make(chan struct{})
		up := scripted(t, func(_ int, c *net.TCPConn) {
			if _, err := readRequest(bufio.NewReader(c)); err != nil {
				return
			}
			io.WriteString(c, ok200+"Content-Length: 2\r\n\r\no")
			<-release
			io.WriteString(c, "k")
		})
		r := start(t, open(), []string{up}, nil)
		c := r.dial()
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.until("the receive for a piece", func(w *Worker) bool {
			u := w.find(kindUpstream, stateBusy)
			l := &w.links[u.Slot]
			if !u.RecvArmed() || l.has(flagStreamed) {
				return false
			}
			l.rxSince = w.sh.Now()
			w.Expired(u.Slot)
			return true
		})
		close(release)
		if b, err := io.ReadAll(res.Body); string(b) != "ok" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	})
}

// A client that ends its side of the connection while it reads an early response gets all of it.
func TestHalfCloseDuringEarlyResponse(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		body := pattern(200 << 10)
		up := scripted(t, func(_ int, c *net.TCPConn) {
			if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
				return
			}
			io.WriteString(c, ok200+"Content-Length: 204800\r\n\r\n")
			c.Write(body)
		})
		r := start(t, open(), []string{up}, func(r *rig) {
			if err := unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4096); err != nil {
				t.Fatal(err)
			}
		})
		d := net.Dialer{Control: func(_, _ string, rc syscall.RawConn) (err error) {
			return rc.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096)
			})
		}}
		c, err := d.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nbegun")
		r.until("the response", func(w *Worker) bool {
			client := w.find(kindClient, stateBusy)
			return client != nil && w.exs.At(w.links[client.Slot].ex).received != 0
		})
		c.(*net.TCPConn).CloseWrite()
		r.until("the client's end of stream", func(w *Worker) bool {
			client := w.find(kindClient, stateBusy)
			return client == nil || w.links[client.Slot].has(flagEOF)
		})
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(res.Body); len(b) != len(body) || err != nil {
			t.Errorf("%d bytes, %v; %s", len(b), err, r.summary())
		}
		if n := r.errors(metrics.ClientGoneBody); n != 0 {
			t.Errorf("%d requests count as broken off by the client", n)
		}
	})
}
