package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
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
