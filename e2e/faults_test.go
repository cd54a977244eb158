package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// faultCase is an upstream that fails, and what becomes of a request to it.
type faultCase struct {
	name   string
	script func(*Peer)
	status int    // that the client gets
	cut    bool   // the response ends before its body does
	reason string // in the access log and in the summary; empty: none
}

var faultCases = []faultCase{
	{"garbage", Garbage, 502, false, "malformed response while reading response head"},
	{"close at once", CloseAtOnce, 502, false, "connection lost while reading response head"},
	{"reset at once", ResetAtOnce, 502, false, "connection lost while reading response head"},
	{"reset mid head", ResetMidHead, 502, false, "connection lost while reading response head"},
	{"never answer", NeverAnswer, 504, false, "timeout while reading response head"},
	{"endless head", endlessHead, 502, false, "limit of response head while reading response head"},
	{"two lengths", say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"), 502, false,
		"malformed response while reading response head"},
	{"switching protocols", say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), 502, false,
		"malformed response while switching protocols"},
	{"endless interims", endlessInterims, 502, false, "malformed response while reading response head"},
	{"reset mid body", ResetMidBody, 200, true, "connection lost while reading response body"},
	{"close mid body", CloseMidBody, 200, true, "connection lost while reading response body"},
	{"close mid chunk", CloseMidChunk, 200, true, "connection lost while reading response body"},
	{"stall mid body", StallMidBody, 200, true, "timeout while reading response body"},
	{"broken chunks", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n"), 200, true,
		"malformed response while reading response body"},
	{"until close", UntilClose, 200, false, ""},
	{"early hints", EarlyHints, 200, false, ""},
	{"close idle", CloseIdle, 200, false, ""},
}

// endlessHead never comes to the end of its fields.
func endlessHead(p *Peer) {
	p.ReadHead()
	p.Send("HTTP/1.1 200 OK\r\n")
	for p.TrySend("X-Field: " + strings.Repeat("v", 1000) + "\r\n") {
	}
}

// endlessInterims never comes to the final response.
func endlessInterims(p *Peer) {
	p.ReadHead()
	for p.TrySend("HTTP/1.1 103 Early Hints\r\n\r\n") {
	}
}

// timeoutsFor are short where a timeout is what is to happen, and what they usually are where the machine may take its
// time.
func timeoutsFor(reason string) string {
	if !strings.HasPrefix(reason, "timeout ") {
		return ""
	}
	return "[timeouts]\nfirst_byte = \"300ms\"\nresponse_idle = \"300ms\"\nconnect = \"300ms\"\n"
}

// An upstream's fault is answered for, or breaks the response off; the log says what happened while doing what, and the
// proxy goes on.
func TestUpstreamFaults(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		for _, c := range faultCases {
			t.Run(c.name, func(t *testing.T) {
				addr, log := FreeAddr(t, "127.0.0.1"), filepath.Join(t.TempDir(), "access.log")
				up := NewScripted(t, c.script)
				config := logConfig(up.URL(), addr, log, "json") + timeoutsFor(c.reason)
				p := Start(t, config, "--engine", engine, "--shards", "1")
				for range 2 { // the second time, connections are what the first has left
					c.ask(t, addr)
				}
				p.Stop()
				c.checkLog(t, p, accessLines(t, log))
			})
		}
	})
}

// ask makes a request, whose response must be the status and, unless it is cut off, all of its body. A response that
// is cut off may be so before the client has seen any of it.
func (c *faultCase) ask(t *testing.T, addr string) {
	w := Raw(t, addr)
	defer w.Close()
	w.Send(Request("GET", "/", "x.test", "", "Connection: close"))
	text := w.ReadAll() // to the end, be it a reset
	for strings.HasPrefix(text, "HTTP/1.1 1") {
		_, text, _ = strings.Cut(text, "\r\n\r\n")
	}
	if text == "" && c.cut {
		return
	}
	if !strings.HasPrefix(text, fmt.Sprintf("HTTP/1.1 %d ", c.status)) {
		t.Errorf("got %.200q, want status %d", text, c.status)
	}
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	complete := strings.HasSuffix(body, "\r\n0\r\n\r\n") || strings.Contains(head+"\r\n", length)
	if complete == c.cut {
		t.Errorf("complete: %v, to be cut off: %v\n%s\n%.100q", complete, c.cut, head, body)
	}
}

func (c *faultCase) checkLog(t *testing.T, p *Proxy, lines []accessLine) {
	if len(lines) != 2 {
		t.Fatalf("%d lines in the log, want 2: %+v", len(lines), lines)
	}
	for _, line := range lines {
		got := line.Error + " while " + line.While
		if line.Error == "" {
			got = ""
		}
		if got != c.reason || line.Status != c.status || line.Endpoint == "" {
			t.Errorf("the log says %q and status %d, want %q and %d", got, line.Status, c.reason, c.status)
		}
	}
	want := "served 2 requests\""
	if c.reason != "" {
		want = fmt.Sprintf("served 2 requests, 2 errors (2 %s)", c.reason)
	}
	if !strings.Contains(p.Output(), want) {
		t.Errorf("the summary does not say %q", want)
	}
}

// Requests whose upstream does not take them.
func TestUpstreamsThatDoNotRead(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		frozen := NewScripted(t, NeverRead)
		early := NewScripted(t, EarlyAnswer)
		for _, tt := range []struct {
			name, endpoint string
			status         int
			reason         string
		}{
			{"never reads", frozen.URL(), 504, "timeout while sending request"},
			{"answers early", early.URL(), 403, ""},
			{"does not listen", "http://" + FreeAddr(t, "127.0.0.1"), 502, "connection failed while connecting to upstream"},
			{"does not accept", "http://" + fullQueue(t), 504, "timeout while connecting to upstream"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				addr := FreeAddr(t, "127.0.0.1")
				p := Start(t, Config(tt.endpoint, addr)+timeoutsFor(tt.reason), "--engine", engine)
				w := Raw(t, addr)
				w.Send(Request("POST", "/", "x.test", "", "Content-Length: 1000000000"))
				go func() { // more than all buffers on the way hold
					for w.TrySend(strings.Repeat("b", 1<<20)) {
					}
				}()
				if res := w.ReadResponse("POST"); res.StatusCode != tt.status {
					t.Errorf("status %d, want %d", res.StatusCode, tt.status)
				}
				w.Close()
				p.Stop()
				if !strings.Contains(p.Output(), tt.reason) {
					t.Errorf("the summary does not say %q", tt.reason)
				}
			})
		}
	})
}

// fullQueue is an address whose queue of connections is full: further ones are neither accepted nor refused.
func fullQueue(t *testing.T) string {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err == nil {
		err = syscall.Listen(fd, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	Raw(t, addr) // a queue of length 0 holds one
	return addr
}

// An upstream that is killed, comes back, is stopped and goes on.
func TestUpstreamComesAndGoes(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		addr, up := FreeAddr(t, "127.0.0.1"), hello(t)
		p := Start(t, Config(up.URL(), addr)+"[timeouts]\nfirst_byte = \"1s\"\n", "--engine", engine, "--shards", "1")
		w := Raw(t, addr)
		expect := func(status int) {
			t.Helper()
			w.Send(Request("GET", "/", "x.test", ""))
			if res := w.ReadResponse("GET"); res.StatusCode != status {
				t.Errorf("status %d, want %d", res.StatusCode, status)
			}
		}
		expect(200)
		up.Signal(syscall.SIGKILL)
		up.Wait()
		expect(502)
		expect(502)
		up.Restart(t)
		expect(200)
		up.Freeze()
		expect(504)
		up.Signal(syscall.SIGCONT)
		expect(200)
		w.Close()
		p.Stop()
	})
}

// One of two endpoints is down: its turns are taken by the other one, for requests with a body too.
func TestOneEndpointDown(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		addr, log := FreeAddr(t, "127.0.0.1"), filepath.Join(t.TempDir(), "access.log")
		up, down := NewChecking(t), "http://"+FreeAddr(t, "127.0.0.1")
		config := strings.Replace(logConfig(up.URL, addr, log, "json"), "[\""+up.URL, "[\""+down+"\", \""+up.URL, 1)
		p := Start(t, config, "--engine", engine, "--shards", "1")
		client := Client(t)
		const n = 20
		for i := range n {
			c := Call{Method: "POST", Target: fmt.Sprintf("/%d?n=10", i), Body: 100_000, Want: 10}
			if err := c.Do(client, "http://"+addr); err != nil {
				t.Error(err)
			}
		}
		p.Stop()
		retried := 0
		for _, line := range accessLines(t, log) {
			retried += line.Retries
			if line.Endpoint != up.URL || line.Error != "" {
				t.Errorf("a request ended at %q with %q", line.Endpoint, line.Error)
			}
		}
		if retried != n/2 {
			t.Errorf("%d requests were tried again, want every second of %d", retried, n)
		}
	})
}

// A pooled connection that the upstream closes as it is used: a request that can be repeated is, without the client
// noticing; one that cannot is not.
func TestStalePooledConnection(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		up := NewScripted(t, func(p *Peer) {
			p.ReadRequest()
			p.Send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			p.ReadHead() // of the next request, to which there is no answer
		})
		addr := FreeAddr(t, "127.0.0.1")
		p := Start(t, Config(up.URL(), addr), "--engine", engine, "--shards", "1")
		w := Raw(t, addr)
		for range 3 {
			w.Send(Request("GET", "/", "x.test", ""))
			if res := w.ReadResponse("GET"); res.Text != "ok" {
				t.Errorf("%d %q", res.StatusCode, res.Text)
			}
		}
		w.Send(Request("POST", "/", "x.test", ""))
		if res := w.ReadResponse("POST"); res.StatusCode != 502 {
			t.Errorf("status %d for a request that must not be repeated", res.StatusCode)
		}
		if up.Conns() != 3 {
			t.Errorf("%d connections to the upstream, want 3", up.Conns())
		}
		w.Close()
		p.Stop()
	})
}
