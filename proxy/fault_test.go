package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
)

// scripted is an upstream that speaks bytes: serve gets each connection with its number, from 0.
func scripted(t testing.TB, serve func(n int, c *net.TCPConn)) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	wg.Go(func() {
		for n := 0; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(30 * time.Second))
				serve(n, c.(*net.TCPConn))
			})
		}
	})
	return "http://" + ln.Addr().String()
}

// readHead reads one request from c, its body included.
func readRequest(br *bufio.Reader) (*http.Request, error) {
	r, err := http.ReadRequest(br)
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, r.Body)
	return r, err
}

const ok200 = "HTTP/1.1 200 OK\r\n"

const okResponse = ok200 + "Content-Length: 2\r\n\r\nok"

// What an upstream may do wrong, and what the client and the metrics must see then.
func TestUpstreamFaults(t *testing.T) {
	cases := []struct {
		name   string
		answer string // raw, sent after the request; then the connection ends
		reset  bool
		status int // 0: the client's connection must break instead
		reason metrics.Reason
	}{
		{"garbage", "garbage\r\n\r\n", false, 502, metrics.BadResponseHead},
		{"closes at once", "", false, 502, metrics.UpstreamHead},
		{"resets at once", "", true, 502, metrics.UpstreamHead},
		{"half a head", ok200 + "Content-Le", false, 502, metrics.UpstreamHead},
		{"length and chunked", ok200 + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok", false,
			502, metrics.BadResponseHead},
		{"two lengths", ok200 + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok", false,
			502, metrics.BadResponseHead},
		{"bare LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", false, 502, metrics.BadResponseHead},
		{"unasked upgrade", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", false,
			502, metrics.BadSwitch},
		{"head too large", ok200 + "X: " + strings.Repeat("x", 40<<10) + "\r\n\r\n", false,
			502, metrics.LimitResponseHead},
		{"short body", ok200 + "Content-Length: 10\r\n\r\nok", false, 0, metrics.UpstreamBody},
		{"reset in body", ok200 + "Content-Length: 10\r\n\r\nok", true, 0, metrics.UpstreamBody},
		{"bad chunk", ok200 + "Transfer-Encoding: chunked\r\n\r\n2\r\nokXX", false, 0, metrics.BadResponseBody},
		{"cut chunks", ok200 + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", false, 0, metrics.UpstreamBody},
	}
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				up := scripted(t, func(n int, c *net.TCPConn) {
					if _, err := readRequest(bufio.NewReader(c)); err != nil {
						return
					}
					io.WriteString(c, tc.answer)
					if tc.reset {
						c.SetLinger(0)
					}
				})
				r := start(t, open(), []string{up}, nil)
				res, err := client(t).Get("http://" + r.addr + "/")
				if err == nil {
					_, err = io.ReadAll(res.Body)
					res.Body.Close()
				}
				switch {
				case tc.status == 0 && err == nil:
					t.Errorf("the client got a whole response")
				case tc.status != 0 && err != nil:
					t.Errorf("the client got %v, want %d", err, tc.status)
				case tc.status != 0 && res.StatusCode != tc.status:
					t.Errorf("the client got %d, want %d", res.StatusCode, tc.status)
				}
				if got := r.errors(tc.reason); got != 1 {
					t.Errorf("%q counted %d times: %s", tc.reason, got, r.summary())
				}
			})
		}
	})
}

// A pooled connection that the upstream closes just as it is taken costs the client nothing.
func TestStaleConnectionIsRetried(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		var served atomic.Int64
		up := scripted(t, func(n int, c *net.TCPConn) {
			br := bufio.NewReader(c)
			if _, err := readRequest(br); err != nil {
				return
			}
			served.Add(1)
			io.WriteString(c, okResponse)
			// Every connection answers once; the next request on it meets a reset.
			br.Peek(1)
			c.SetLinger(0)
		})
		r := start(t, open(), []string{up}, nil)
		c := client(t)
		for i := range 20 {
			res, err := c.Get("http://" + r.addr + "/")
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != 200 {
				t.Fatalf("request %d: %d; %s", i, res.StatusCode, r.summary())
			}
		}
		// A POST may not be sent twice.
		res, err := c.Post("http://"+r.addr+"/", "text/plain", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 502 {
			t.Errorf("POST on a stale connection: %d, want 502", res.StatusCode)
		}
	})
}

func TestUpstreamDownAndUp(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := ln.Addr().String()
		ln.Close()
		r := start(t, open(), []string{addr}, nil)
		c := client(t)
		get := func() int {
			res, err := c.Get("http://" + r.addr + "/")
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			return res.StatusCode
		}
		if s := get(); s != 502 {
			t.Fatalf("down: %d", s)
		}
		ln, err = net.Listen("tcp", addr)
		if err != nil {
			t.Skip("the port was taken meanwhile")
		}
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "ok")
		})}
		go srv.Serve(ln)
		defer srv.Close()
		if s := get(); s != 200 {
			t.Fatalf("up: %d", s)
		}
	})
}

func TestTimeouts(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := scripted(t, func(n int, c *net.TCPConn) {
			br := bufio.NewReader(c)
			req, err := readRequest(br)
			if err != nil {
				return
			}
			if req.URL.Path == "/stall" {
				io.WriteString(c, ok200+"Content-Length: 10\r\n\r\nhalf")
			}
			io.Copy(io.Discard, br)
		})
		r := start(t, open(), []string{up}, func(r *rig) {
			tm := &r.snap.Timeouts
			tm.Header, tm.FirstByte, tm.ResponseIdle = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
			tm.Idle, tm.BodyRateWindow = 50*time.Millisecond, 50*time.Millisecond
		})
		expect := func(raw, want string, reason metrics.Reason) {
			t.Helper()
			before := r.errors(reason)
			if got := exchangeAny(t, r.addr, raw); !strings.HasPrefix(got, want) {
				t.Errorf("%.30q: got %q, want %q", raw, got, want)
			}
			if n := r.errors(reason) - before; reason != metrics.None && n != 1 {
				t.Errorf("%q counted %d times", reason, n)
			}
		}
		expect("", "", metrics.None) // idle
		expect("GET / HTT", "HTTP/1.1 408 ", metrics.TimeoutRequestHead)
		expect("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 504 ", metrics.TimeoutResponseHead)
		expect("GET /stall HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 ", metrics.TimeoutResponseBody)
		r.setTimeout(func(tm *timeouts) { tm.FirstByte = time.Minute })
		expect("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nslow", "HTTP/1.1 408 ",
			metrics.TimeoutRequestBody)
	})
}

// exchangeAny is exchangeRaw for connections that may end in a reset.
func exchangeAny(t *testing.T, addr, raw string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(c, raw)
	var b bytes.Buffer
	if _, err := io.Copy(&b, c); err != nil && err.(net.Error).Timeout() {
		t.Fatalf("still open after %q", b.String())
	}
	return b.String()
}

// A client that does not read must not stall others, nor make us hold more than the window.
func TestSlowReaders(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		big := pattern(12 << 20) // more than the sockets' buffers and our window together
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/big" {
				w.Write(big)
				return
			}
			io.WriteString(w, "ok")
		})
		r := start(t, open(), []string{up}, nil)
		slow := fewer(40)
		var conns []net.Conn
		for range slow {
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			io.WriteString(c, "GET /big HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			conns = append(conns, c)
		}
		c := client(t)
		for i := range 200 {
			res, err := c.Get("http://" + r.addr + "/")
			if err != nil {
				t.Fatal(i, err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != 200 {
				t.Fatalf("request %d: %d", i, res.StatusCode)
			}
		}
		var wg sync.WaitGroup
		for _, c := range conns {
			wg.Go(func() {
				c.SetDeadline(time.Now().Add(60 * time.Second))
				res, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil {
					t.Error(err)
					return
				}
				got, n := make([]byte, 64<<10), 0
				for err == nil {
					var k int
					if k, err = res.Body.Read(got); !bytes.HasPrefix(big[n:], got[:k]) {
						t.Errorf("slow reader got something else behind %d bytes", n)
						return
					}
					n += k
				}
				if err != io.EOF || n != len(big) {
					t.Errorf("slow reader got %d bytes: %v", n, err)
				}
			})
		}
		wg.Wait()
	})
}

// An upstream that answers before it has read the request, and closes: the client sees the answer.
func TestEarlyResponse(t *testing.T) {
	body := make([]byte, 50<<20)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		up := scripted(t, func(n int, c *net.TCPConn) {
			br := bufio.NewReader(c)
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n")
		})
		r := start(t, open(), []string{up}, nil)
		for range 10 {
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(20 * time.Second))
			fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", len(body))
			go io.Copy(c, bytes.NewReader(body))
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(res.Body)
			if res.StatusCode != 413 || string(answer) != "no\n" || err != nil {
				t.Fatalf("%d %q %v", res.StatusCode, answer, err)
			}
			c.Close()
		}
	})
}

func TestHalfClose(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		release := make(chan struct{})
		up := upstream(t, func(w http.ResponseWriter, r *http.Request) {
			<-release
			io.WriteString(w, "still here")
		})
		r := start(t, open(), []string{up}, nil)
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		c.(*net.TCPConn).CloseWrite()
		close(release)
		all, err := io.ReadAll(c)
		if err != nil || !strings.HasSuffix(string(all), "still here") {
			t.Fatalf("%q, %v", all, err)
		}
	})
}
