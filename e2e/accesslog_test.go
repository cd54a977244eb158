package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// accessLine is what the tests look at in a JSON line.
type accessLine struct {
	Time, Client, Method, Host, Path, Protocol string
	Status                                     int
	Route, Service, Endpoint                   string
	Error, While, Detail                       string
	Duration, Overhead                         float64
	BytesIn                                    int64   `json:"bytes_in"`
	BytesOut                                   int64   `json:"bytes_out"`
	FirstByte                                  float64 `json:"first_byte"`
	RequestID                                  string  `json:"request_id"`
	UserAgent                                  string  `json:"user_agent"`
	ClientReused                               bool    `json:"client_reused"`
	UpstreamReused                             bool    `json:"upstream_reused"`
	Retries                                    int
}

// accessLines reads the lines of a JSON access log.
func accessLines(t *testing.T, path string) (lines []accessLine) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for text := range strings.Lines(string(b)) {
		var line accessLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		lines = append(lines, line)
	}
	return lines
}

func logConfig(endpoint, addr, path, format string) string {
	return Config(endpoint, addr) + fmt.Sprintf("[log.access]\npath = %q\nformat = %q\n", path, format)
}

// The log says what happened: of requests that went well, one that was refused and one whose upstream is not there.
func TestAccessLog(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		up, addr, path := NewChecking(t), FreeAddr(t, "127.0.0.1"), filepath.Join(t.TempDir(), "access.log")
		p := Start(t, logConfig(up.URL, addr, path, "json"), "--engine", engine, "--shards", "1")
		w := Raw(t, addr)
		for _, req := range []string{
			Request("GET", "/one?n=1000", "x.test", "", "User-Agent: tester"),
			Request("POST", "/two", "x.test", "12345"),
		} {
			w.Send(req)
			w.ReadResponse("")
		}
		w.Send("GET /three HTTP/1.1\r\nHost : x.test\r\n\r\n")
		if res := w.ReadResponse("GET"); res.StatusCode != 400 {
			t.Errorf("status %d", res.StatusCode)
		}
		w.ExpectEOF()
		w.Close()
		up.Close()
		w = Raw(t, addr)
		w.Send(Request("GET", "/four", "x.test", ""))
		if res := w.ReadResponse("GET"); res.StatusCode != 502 {
			t.Errorf("status %d", res.StatusCode)
		}
		w.Close()
		p.Stop()
		checkAccessLines(t, accessLines(t, path))
		if !strings.Contains(p.Output(), "served 4 requests, 2 errors (") {
			t.Errorf("the summary is missing in\n%s", p.Output())
		}
	})
}

func checkAccessLines(t *testing.T, lines []accessLine) {
	if len(lines) != 4 {
		t.Fatalf("%d lines, want 4: %+v", len(lines), lines)
	}
	one, two, three, four := lines[0], lines[1], lines[2], lines[3]
	if one.Method != "GET" || one.Path != "/one?n=1000" || one.Host != "x.test" || one.Status != 200 ||
		one.BytesOut != 1000 || one.UserAgent != "tester" || one.RequestID == "" || one.Protocol != "HTTP/1.1" ||
		one.Route != "all" || one.Service != "all" || one.Endpoint == "" || one.ClientReused || one.UpstreamReused {
		t.Errorf("line 1: %+v", one)
	}
	for i, line := range lines {
		if line.Duration < 0 || line.Overhead < 0 || line.Overhead > line.Duration || line.FirstByte > line.Duration ||
			!strings.HasPrefix(line.Client, "127.0.0.1:") || line.Time == "" {
			t.Errorf("line %d: %+v", i+1, line)
		}
	}
	if two.Method != "POST" || two.BytesIn != 5 || !two.ClientReused || !two.UpstreamReused || two.Error != "" {
		t.Errorf("line 2: %+v", two)
	}
	if three.Status != 400 || three.Error != "malformed request" || three.While != "reading request head" {
		t.Errorf("line 3: %+v", three)
	}
	if four.Status != 502 || four.Error == "" || four.While != "connecting to upstream" {
		t.Errorf("line 4: %+v", four)
	}
}

// A rotation under traffic: after SIGUSR1 lines go to a new file, and each request has its line in one of the two.
func TestAccessLogRotation(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		up, addr, path := NewChecking(t), FreeAddr(t, "127.0.0.1"), filepath.Join(t.TempDir(), "access.log")
		p := Start(t, logConfig(up.URL, addr, path, "json"), "--engine", engine)
		w := Raw(t, addr)
		const n = 200
		for i := range n {
			if i == n/2 {
				if err := os.Rename(path, path+".1"); err != nil {
					t.Fatal(err)
				}
				p.Signal(syscall.SIGUSR1)
			}
			w.Send(Request("GET", fmt.Sprintf("/%d", i), "x.test", ""))
			w.ReadResponse("GET")
		}
		p.WaitOutput("access log reopened", 1)
		w.Close()
		p.Stop()
		lines := append(accessLines(t, path+".1"), accessLines(t, path)...)
		if len(lines) != n {
			t.Errorf("%d lines, want %d", len(lines), n)
		}
		for i, line := range lines {
			if want := fmt.Sprintf("/%d", i); line.Path != want {
				t.Fatalf("line %d is about %s, want %s", i, line.Path, want)
			}
		}
	})
}

func TestAccessLogCombined(t *testing.T) {
	up, addr := NewChecking(t), FreeAddr(t, "127.0.0.1")
	p := Start(t, logConfig(up.URL, addr, "stdout", "clf"), "--engine", "epoll")
	w := Raw(t, addr)
	w.Send(Request("GET", "/x?n=7", "x.test", "", `User-Agent: "me"`))
	w.ReadResponse("GET")
	w.Close()
	p.Stop()
	if !strings.Contains(p.Output(), `] "GET /x?n=7 HTTP/1.1" 200 7 "-" "\"me\""`+"\n") {
		t.Errorf("no such line in\n%s", p.Output())
	}
}
