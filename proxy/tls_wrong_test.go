package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
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

// Who speaks plain HTTP on a port for TLS is told so.
func TestPlainHTTPOnTLSPort(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), []string{"http://127.0.0.1:1"}, secureRig(id, false, handshake.Policy{}))
		got := exchangeRaw(t, r.addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(got)), nil)
		if err != nil {
			t.Fatalf("%v in %q", err, got)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != 400 || !strings.HasSuffix(string(body), "Use https://\n") {
			t.Errorf("%d %q %v", res.StatusCode, body, err)
		}
	})
}

// Who says everything at once and ends his stream gets the same answer, all of it.
func TestPlainHTTPOnTLSPortHalfClosed(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), []string{"http://127.0.0.1:1"}, secureRig(id, false, handshake.Policy{}))
		for range 20 {
			held := make(chan struct{})
			r.sh.Post(func() { <-held }) // so that all of it is there at once
			c := dialTCP(t, r.addr)
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			c.CloseWrite()
			close(held)
			if got, err := io.ReadAll(c); string(got) != plainAnswer || err != nil {
				t.Fatalf("%q, %v", got, err)
			}
		}
	})
}

// A hello that is refused is answered by an alert, one that nobody would understand by nothing.
func TestTLSRefusedHello(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		r := start(t, open(), []string{"http://127.0.0.1:1"}, secureRig(id, false, handshake.Policy{}))
		for sent, want := range map[string]string{
			"\x16\x03\x01\x00\x00":                 "\x15\x03\x03\x00\x02\x02\x0a",
			"\x16\x03\x01\x00\x04\x02\x00\x00\x00": "\x15\x03\x03\x00\x02\x02\x0a",
			"\x15\x03\x01\x00\x02\x02\x28":         "",
			"SSH-2.0-x\r\n":                        "",
		} {
			c := dialTCP(t, r.addr)
			io.WriteString(c, sent)
			if got, err := io.ReadAll(c); string(got) != want || err != nil && want != "" {
				t.Errorf("%q: answered %q, %v", sent, got, err)
			}
		}
		r.waitFor("all to be counted", func() bool {
			return r.metrics.Snapshot().Handshakes(metrics.Clients, metrics.HandshakeBadHello) == 4
		})
	})
}

// Handshakes that are broken off anywhere leave nothing behind.
func TestTLSAborted(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			up := upstream(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") })
			r := start(t, open(), []string{up}, secureRig(id, relay, handshake.Policy{}))
			for i := range 300 {
				raw := dialTCP(t, r.addr)
				limited := &cut{Conn: raw, left: i * 7}
				c := tls.Client(limited, &tls.Config{RootCAs: id.believers, ServerName: "example.com"})
				c.SetDeadline(time.Now().Add(10 * time.Second))
				if c.Handshake() == nil {
					io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
				}
				if i%2 == 0 {
					raw.SetLinger(0)
				}
				raw.Close()
			}
			r.waitFor("the end of all connections", func() bool {
				g := r.gauges()
				return g.Secure == 0 && g.Exchanges == 0
			})
		})
	})
}

// cut is a connection that breaks when so many bytes have been written.
type cut struct {
	net.Conn
	left int
}

func (c *cut) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b[:min(len(b), c.left)])
	if c.left -= n; n < len(b) && err == nil {
		err = errors.New("cut")
	}
	return n, err
}

// A record that was not sealed with the connection's key ends it with an alert.
func TestTLSBadRecord(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") })
		r := start(t, open(), []string{up}, secureRig(id, false, handshake.Policy{}))
		post := "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
		for _, first := range []string{"", "GET / HTTP/1.1\r\nHo", post} {
			raw := dialTCP(t, r.addr)
			c := dialTLS(t, raw, id, nil)
			io.WriteString(c, first)
			raw.Write(append([]byte("\x17\x03\x03\x00\x20"), bytes.Repeat([]byte{'x'}, 32)...))
			_, err := io.ReadAll(c)
			var alert *net.OpError
			if !errors.As(err, &alert) || !strings.Contains(err.Error(), "bad record MAC") {
				t.Errorf("after %q: %v", first, err)
			}
		}
		if n := r.metrics.Snapshot().Counter(metrics.RecordFaults); n != 3 {
			t.Errorf("%d faults counted", n)
		}
	})
}
