package e2e

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestCheckingTellsRequestsApart(t *testing.T) {
	up := NewChecking(t)
	w := Raw(t, up.Listener.Addr().String())
	w.Send(Request("GET", "/a", "x.test", "") + Request("POST", "/a", "x.test", "body") +
		Request("GET", "/a", "x.test", "", "X-Test-One: 1") + Request("HEAD", "/b?n=9", "x.test", ""))
	seen := map[string]bool{}
	for _, method := range []string{"GET", "POST", "GET", "HEAD"} {
		res := w.ReadResponse(method)
		sum := res.Header.Get("X-Sum")
		if seen[sum] || method != "HEAD" && res.Text != sum+"\n" || res.Header.Get("X-Got-Host") != "x.test" {
			t.Errorf("%s: sum %s, body %q, header %v", method, sum, res.Text, res.Header)
		}
		seen[sum] = true
	}
	if !seen[SumText("POST", "/a", "body")] {
		t.Error("the sum that the client expects is not the upstream's")
	}
	w.Send(Request("GET", "/c?status=302&location=/d&chunked=1&n=100000", "x.test", "", "Connection: close"))
	res := w.ReadResponse("GET")
	err := CheckBody(strings.NewReader(res.Text), res.Header.Get("X-Sum"), 100000)
	if err != nil || res.StatusCode != 302 || res.Header.Get("Location") != "/d" || len(res.TransferEncoding) != 1 {
		t.Errorf("%v, header %v", err, res.Header)
	}
	w.ExpectEOF()
}

func TestCheckBodyFindsFaults(t *testing.T) {
	for _, n := range []int64{0, 1, 64, 65, 70_000, 1 << 17} {
		good, err := io.ReadAll(Body("sum", n))
		if err != nil || CheckBody(bytes.NewReader(good), "sum", n) != nil {
			t.Errorf("a good body of %d bytes is refused", n)
		}
		if CheckBody(bytes.NewReader(append(good, 's')), "sum", n) == nil {
			t.Errorf("a byte too many behind %d is not found", n)
		}
		if n == 0 {
			continue
		}
		if CheckBody(bytes.NewReader(good[:n-1]), "sum", n) == nil {
			t.Errorf("a byte missing of %d is not found", n)
		}
		good[n-1] ^= 1
		if CheckBody(bytes.NewReader(good), "sum", n) == nil {
			t.Errorf("a wrong last byte of %d is not found", n)
		}
	}
}

func TestScriptedFaults(t *testing.T) {
	tests := []struct {
		name   string
		script func(*Peer)
		want   string // of what can be read, to the end of the connection
	}{
		{"garbage", Garbage, "\x16\x03\x01\x02\x00garbage\r\n\r\n"},
		{"close at once", CloseAtOnce, ""},
		{"reset at once", ResetAtOnce, ""},
		{"close mid body", CloseMidBody, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf"},
		{"close mid chunk", CloseMidChunk, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf"},
		{"until close", UntilClose, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nto the end"},
		{"close idle", CloseIdle, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			up := NewScripted(t, tt.script)
			w := Raw(t, up.Addr)
			w.TrySend(Request("GET", "/", "x.test", ""))
			if got := w.ReadAll(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if up.Conns() != 1 {
				t.Errorf("%d connections counted", up.Conns())
			}
		})
	}
}

// Scripts that wait end with the other side or with the test.
func TestScriptedStalls(t *testing.T) {
	for name, script := range map[string]func(*Peer){"never answer": NeverAnswer, "stall mid body": StallMidBody,
		"never read": NeverRead, "early answer": EarlyAnswer, "early hints": EarlyHints} {
		t.Run(name, func(t *testing.T) {
			up := NewScripted(t, script)
			w := Raw(t, up.Addr)
			w.Send(Request("POST", "/", "x.test", "body"))
			switch name {
			case "early answer":
				if res := w.ReadResponse("POST"); res.StatusCode != 403 {
					t.Errorf("status %d", res.StatusCode)
				}
			case "early hints":
				if a, b := w.ReadResponse("POST"), w.ReadResponse("POST"); a.StatusCode != 103 || b.Text != "ok" {
					t.Errorf("status %d, then %q", a.StatusCode, b.Text)
				}
			case "stall mid body":
				w.Expect("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
			}
			if name == "never answer" {
				w.CloseWrite()
				w.ExpectEOF()
			}
		})
	}
}

func TestForeignServers(t *testing.T) {
	up := NewChecking(t)
	fronts := map[string]*Server{
		"nginx": Nginx(t, "location / { proxy_pass "+up.URL+"; }"),
		"haproxy": HAProxy(t, "\tdefault_backend up\nbackend up\n\tserver one "+
			up.Listener.Addr().String()+"\n"),
	}
	for name, s := range fronts {
		w := Raw(t, s.Addr)
		w.Send(Request("PUT", "/x", "x.test", "body"))
		if res := w.ReadResponse("PUT"); res.Header.Get("X-Sum") != SumText("PUT", "/x", "body") {
			t.Errorf("%s: %d %q", name, res.StatusCode, res.Text)
		}
	}
	res, err := http.Get(fronts["nginx"].URL() + "/y")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := CheckBody(res.Body, SumText("GET", "/y", ""), 65); err != nil {
		t.Error(err)
	}
}

func TestProcess(t *testing.T) {
	p := launch(t, exec.Command("sh", "-c", "echo one; echo two >&2; read x; exit 3"))
	p.WaitOutput("o", 2)
	if code := p.Wait(); code != 3 || p.Output() != "one\ntwo\n" && p.Output() != "two\none\n" {
		t.Errorf("code %d, output %q", code, p.Output())
	}
}

func TestProcessEndsWithItsTest(t *testing.T) {
	var p *process
	t.Run("inner", func(t *testing.T) {
		p = launch(t, exec.Command("sleep", "600"))
		if err := syscall.Kill(p.Pid(), 0); err != nil {
			t.Errorf("not running: %v", err)
		}
	})
	select {
	case <-p.ended:
	default:
		t.Error("still running after the test")
	}
}

func TestFreeAddrs(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		addr := FreeAddr(t, "127.0.0.1")
		if seen[addr] {
			t.Errorf("%s was given twice", addr)
		}
		seen[addr] = true
		if l, err := net.Listen("tcp", addr); err != nil {
			t.Error(err)
		} else {
			l.Close()
		}
	}
}
