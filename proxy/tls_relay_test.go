package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// A response whose connections end right behind it is whole, and its end announced, also when the client has ended its
// own stream long before.
func TestTLSWholeBeforeEnd(t *testing.T) {
	id := newIdentity(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{id.certificate.TLS}}
	body := noise(60_000, 7)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			up := scripted(t, func(_ int, raw *net.TCPConn) {
				c := tls.Server(raw, cfg)
				if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
					return
				}
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
				c.Close()
			})
			r := start(t, open(), []string{up}, edits(secureRig(id, relay, handshake.Policy{}),
				toSecure(id, relay, handshake.ClientOptions{})))
			for i := range 24 {
				raw := dialTCP(t, r.addr)
				c := dialTLS(t, raw, id, nil)
				io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
				if i%3 > 0 {
					c.CloseWrite()
				}
				if i%3 > 1 {
					raw.CloseWrite()
				}
				got, err := io.ReadAll(c)
				if err != nil || !bytes.HasSuffix(got, body) {
					t.Fatalf("connection %d: %d bytes, then %v", i, len(got), err)
				}
				raw.Close()
			}
		})
	})
}

// Who does not read what he has asked for is cut off, whoever keeps the records.
func TestTLSNobodyReads(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			up := upstream(t, func(w http.ResponseWriter, _ *http.Request) {
				for piece := make([]byte, 1<<16); ; {
					if _, err := w.Write(piece); err != nil {
						return
					}
				}
			})
			r := start(t, open(), []string{up}, edits(secureRig(id, relay, handshake.Policy{}), func(r *rig) {
				r.snap.Timeouts.BodyRateWindow = 100 * time.Millisecond
			}))
			c := dialTLS(t, dialTCP(t, r.addr), id, nil)
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			r.waitFor("the end of patience", func() bool {
				return r.metrics.Snapshot().Errors(metrics.TimeoutSendResponse) == 1
			})
		})
	})
}

// Who begins long records and does not end them cannot have all buffers for those: some are left for requests.
func TestTLSRecordsBegun(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
			n, _ := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n)
		})
		r := start(t, open(), []string{up}, secureRig(id, false, handshake.Policy{}))
		count := 0
		r.sh.Post(func() { count = r.w.mem.Count(mem.Record) })
		r.gauges()
		starved := func() int {
			ch := make(chan int)
			r.sh.Post(func() { ch <- r.w.starved.len })
			return <-ch
		}
		for range count {
			raw := dialTCP(t, r.addr)
			dialTLS(t, raw, id, nil)
			header := []byte("\x17\x03\x03\x40\x00")
			raw.Write(append(header, make([]byte, mem.SmallBytes+100)...)) // two buffers at least
		}
		most := count - count/reservePart
		r.waitFor("those who get none", func() bool { return starved() == count-most })
		if held := r.gauges().RecordHeld; held != most {
			t.Errorf("%d of %d buffers are held, want %d", held, count, most)
		}
		c := dialTLS(t, dialTCP(t, r.addr), id, nil)
		const size = 1 << 20
		head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
		io.WriteString(c, head)
		if _, got := askOver(t, c, bufio.NewReader(c), string(make([]byte, size))); got != fmt.Sprint(size) {
			t.Errorf("%s of %d bytes arrived", got, size)
		}
	})
}

// Connections end as soon as all has been said, whatever the client does then.
func TestTLSEndsAtOnce(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		both(t, func(t *testing.T, relay bool) {
			r := start(t, open(), []string{"http://127.0.0.1:1"}, edits(secureRig(id, relay, handshake.Policy{}),
				func(r *rig) { r.snap.Timeouts.Linger = time.Hour }))
			for _, request := range []string{
				"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET / HTTP/1.1\r\nbad header\r\n\r\n",
			} {
				raw := dialTCP(t, r.addr)
				c := dialTLS(t, raw, id, nil)
				io.WriteString(c, request)
				if _, err := io.ReadAll(c); err != nil {
					t.Error(err)
				}
				if b, err := io.ReadAll(raw); len(b) > 0 || err != nil { // without a word from us
					t.Errorf("%d bytes behind close_notify, then %v", len(b), err)
				}
				raw.Close()
			}
			r.waitFor("the end of both", func() bool { return r.gauges().Links == 0 })
		})
	})
}
