package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// What is too large is refused with the status that says so, whether its size is announced or found out, and nothing
// more of it is passed on.
func TestSizeLimits(t *testing.T) {
	const tables = `[limits]
line_bytes = "1KiB"
header_bytes = "4KiB"
header_count = 20
body_bytes = "100KB"
`
	long := func(n int) string { return strings.Repeat("x", n) }
	fields := func(n int) []string { return slices.Repeat([]string{"X: y"}, n) } // beside Host
	const line = len("GET / HTTP/1.1\r\n")
	chunk := "8000\r\n" + long(0x8000) + "\r\n"
	tests := []struct {
		name, request string
		status        int
		keep          bool // the connection goes on
	}{
		{"line at the limit", Request("GET", "/"+long(1024-line), "x.test", ""), 200, true},
		{"line too long", Request("GET", "/"+long(1025-line), "x.test", ""), 414, false},
		{"endless line", "GET /" + long(100_000), 414, false},
		{"large head", Request("GET", "/", "x.test", "", "X-Large: "+long(3900)), 200, true},
		{"head too large", Request("GET", "/", "x.test", "", "X-Large: "+long(5000)), 431, false},
		{"endless head", "GET / HTTP/1.1\r\nHost: x.test\r\nX: " + long(100_000), 431, false},
		{"many fields", Request("GET", "/", "x.test", "", fields(19)...), 200, true},
		{"too many fields", Request("GET", "/", "x.test", "", fields(20)...), 431, false},
		{"large body", Request("POST", "/", "x.test", long(100_000)), 200, true},
		{"body too large", Request("POST", "/", "x.test", long(100_001)), 413, false},
		{"body announced too large", Request("POST", "/", "x.test", "", "Content-Length: 100001"), 413, false},
		{"body too large and expected", Request("POST", "/", "x.test", "", "Content-Length: 100001",
			"Expect: 100-continue"), 413, false},
		{"large chunks", Request("POST", "/", "x.test", "", "Transfer-Encoding: chunked") + chunk + chunk + chunk +
			"0\r\n\r\n", 200, true},
		{"chunks too large", Request("POST", "/", "x.test", "", "Transfer-Encoding: chunked") + chunk + chunk + chunk +
			chunk + "0\r\n\r\n", 413, false},
	}
	// An upstream that answers before it has read the request would be heard before the limit is reached.
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // it may be cut off
		_, _ = io.WriteString(w, "hello\n")
	}))
	t.Cleanup(up.Close)
	Engines(t, func(t *testing.T, engine string) {
		p, addr := limited(t, engine, up.URL, tables)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				w := Raw(t, addr)
				w.TrySend(tt.request) // the proxy may not take all of it
				if res := w.ReadResponse("POST"); res.StatusCode != tt.status || res.Close == tt.keep {
					t.Errorf("status %d, close %v, want %d, %v", res.StatusCode, res.Close, tt.status, !tt.keep)
				}
				if tt.keep {
					w.Send(Request("GET", "/", "x.test", ""))
					w.ReadResponse("GET")
				} else {
					w.ExpectEOF()
				}
				w.Close()
			})
		}
		p.Stop()
	})
}

// Clients that are slow with what they owe.
func TestClientTimeouts(t *testing.T) {
	const tables = `[limits]
min_body_rate = "1KB"
[timeouts]
header = "1s"
idle = "1s"
body_rate_window = "1s"
linger = "1s"
`
	Engines(t, func(t *testing.T, engine string) {
		up := NewChecking(t)
		p, addr := limited(t, engine, up.URL, tables)
		tests := []struct {
			name, request string
			status        int // 0: the connection is closed without a word
		}{
			{"nothing", "", 0},
			{"half a head", "GET / HTTP/1.1\r\nHost: x", 408},
			{"half a body", Request("POST", "/", "x.test", "", "Content-Length: 1000") + "half", 408},
			{"half a chunk", Request("POST", "/", "x.test", "", "Transfer-Encoding: chunked") + "5\r\nha", 408},
		}
		wires := make([]*Wire, len(tests))
		for i, tt := range tests { // they wait together
			wires[i] = Raw(t, addr)
			wires[i].Send(tt.request)
		}
		for i, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				w := wires[i]
				w.t = t
				if tt.status != 0 {
					if res := w.ReadResponse("POST"); res.StatusCode != tt.status || !res.Close {
						t.Errorf("status %d, close %v, want %d and the end", res.StatusCode, res.Close, tt.status)
					}
				}
				w.ExpectEOF()
			})
		}
		t.Run("does not read", func(t *testing.T) {
			w := Raw(t, addr)
			w.Send(Request("GET", "/?n=1000000000", "x.test", ""))
			for w.TrySend("x") { // fails when the proxy has reset the connection; nothing is read meanwhile
			}
		})
		p.Stop()
		for _, text := range []string{"1 timeout while reading request head", "2 timeout while reading request body",
			"1 timeout while sending response"} {
			if !strings.Contains(p.Output(), text) {
				t.Errorf("the summary does not say %q", text)
			}
		}
	})
}

// As many connections as are allowed; the next one waits in the kernel until one of them leaves.
func TestConnectionLimit(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		up := NewChecking(t)
		p, addr := limited(t, engine, up.URL, "[limits]\nmax_connections = 3\n")
		for range 3 {
			var wires [3]*Wire
			for i := range wires {
				wires[i] = Raw(t, addr)
				askRaw(t, wires[i])
			}
			waiting := Raw(t, addr)
			waiting.Send(Request("GET", "/waiting", "x.test", ""))
			for _, w := range wires { // nobody suffers from the one who waits
				askRaw(t, w)
			}
			wires[0].Close()
			if res := waiting.ReadResponse("GET"); res.Header.Get("X-Sum") != SumText("GET", "/waiting", "") {
				t.Errorf("%d %q", res.StatusCode, res.Text)
			}
			for _, w := range append(wires[1:], waiting) {
				w.Close()
			}
		}
		p.Stop()
	})
}

// One address has its share of connections, others have theirs.
func TestConnectionLimitPerAddress(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		up := NewChecking(t)
		p, addr := limited(t, engine, up.URL, "[limits]\nmax_connections_per_ip = 2\n")
		one, two := Raw(t, addr), Raw(t, addr)
		askRaw(t, one)
		askRaw(t, two)
		if c, err := net.DialTimeout("tcp", addr, hang); err == nil { // else it was closed even before we knew
			newWire(t, c).ExpectEOF()
			c.Close()
		} else if !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 2, 2)}, Timeout: hang}
		c, err := dialer.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		askRaw(t, newWire(t, c))
		one.Send(Request("GET", "/last", "x.test", "", "Connection: close"))
		one.ReadResponse("GET")
		one.ExpectEOF() // so the proxy has let it go
		askRaw(t, Raw(t, addr))
		p.Stop()
		const want = "refused 1 client (1 limit of connections per address while accepting connection)"
		if !strings.Contains(p.Output(), want) {
			t.Errorf("the summary does not say %q", want)
		}
	})
}

// One connection to the upstream for all: the second request waits until the first is finished, or as long as
// connecting may take.
func TestUpstreamConnectionLimit(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		taken, answer := make(chan struct{}, 9), make(chan struct{}, 9)
		up := NewScripted(t, func(p *Peer) {
			for {
				p.ReadRequest()
				taken <- struct{}{}
				select {
				case <-answer:
					p.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				case <-p.over:
					return
				}
			}
		})
		for _, wait := range []string{"200ms", "30s"} {
			t.Run(wait, func(t *testing.T) {
				p, addr := limited(t, engine, up.URL(),
					fmt.Sprintf("[limits]\nupstream_connections = 1\n[timeouts]\nconnect = %q\n", wait))
				first, second := Raw(t, addr), Raw(t, addr)
				first.Send(Request("GET", "/", "x.test", ""))
				<-taken
				second.Send(Request("GET", "/", "x.test", ""))
				if wait == "200ms" {
					res := second.ReadResponse("GET")
					if res.StatusCode != 503 || res.Header.Get("Retry-After") == "" {
						t.Errorf("status %d, Retry-After %q", res.StatusCode, res.Header.Get("Retry-After"))
					}
					second.Send(Request("GET", "/", "x.test", "", "Accept: application/json"))
					res = second.ReadResponse("GET")
					if res.StatusCode != 503 || !strings.HasPrefix(res.Text, `{"status":503,`) {
						t.Errorf("status %d, %s", res.StatusCode, res.Text)
					}
				}
				answer <- struct{}{}
				if res := first.ReadResponse("GET"); res.Text != "ok" {
					t.Errorf("the first: %d %q", res.StatusCode, res.Text)
				}
				if wait != "200ms" {
					<-taken
					answer <- struct{}{}
					if res := second.ReadResponse("GET"); res.Text != "ok" {
						t.Errorf("the second: %d %q", res.StatusCode, res.Text)
					}
				}
				first.Close()
				second.Close()
				p.Stop()
			})
		}
		if up.Conns() != 2 {
			t.Errorf("%d connections of two proxies, want 2", up.Conns())
		}
	})
}
