package admin

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"
)

// quiet keeps what is said to itself.
var quiet = slog.New(slog.DiscardHandler)

// start serves at a free port of the loopback, or on a unix socket in the test's directory.
func start(t *testing.T, m *made, address Address) Address {
	t.Helper()
	return startWith(t, m, address, Options{})
}

// startWith is start, with options.
func startWith(t *testing.T, m *made, address Address, o Options) Address {
	t.Helper()
	o.Log = quiet
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := Listen(address, o)
	if err != nil {
		t.Fatal(err)
	}
	s := Serve(l, m, o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return AddressOf(l)
}

// exchange sends lines as a request and returns the response with its body.
func exchange(t *testing.T, at Address, lines ...string) (*http.Response, string) {
	t.Helper()
	network, address := at.split()
	c, err := net.DialTimeout(network, address, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, strings.Join(lines, "\r\n")+"\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(lines[0], " ")
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestEndpoints(t *testing.T) {
	m := &made{}
	at := start(t, m, "")
	for _, tt := range []struct {
		request string
		code    int
		body    string
	}{
		{"GET /healthz", 200, "ok\n"},
		{"HEAD /healthz", 200, ""},
		{"GET /readyz", 200, "ready\n"},
		{"GET /", 200, "\nPOST      /api/reload        read the configuration again\n"},
		{"GET /api/status", 200, `"snapshots_in_use": [`},
		{"GET /api/status?x=1", 200, `"version": "v1"`},
		{"POST /api/reload", 200, `"generation": 1`},
		{"GET /api/reload", 405, `"hint": "use POST"`},
		{"DELETE /healthz", 405, `"hint": "use GET"`},
		{"GET /api", 404, `"error": "there is nothing at /api"`},
		{"GET /../healthz", 404, `GET / lists`},
	} {
		res, body := exchange(t, at, tt.request+" HTTP/1.1", "Host: "+string(at))
		if res.StatusCode != tt.code || !strings.Contains(body, tt.body) || (tt.body == "") != (body == "") {
			t.Errorf("%s: %d %s", tt.request, res.StatusCode, body)
		}
		if code := res.StatusCode; code >= 400 && !json.Valid([]byte(body)) {
			t.Errorf("%s: no JSON: %s", tt.request, body)
		}
		if res.StatusCode == 405 && res.Header.Get("Allow") == "" || res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", tt.request, res.Header)
		}
	}
	m.draining.Store(true)
	if res, body := exchange(t, at, "GET /readyz HTTP/1.1", "Host: "+string(at)); res.StatusCode != 503 {
		t.Errorf("draining: %d %s", res.StatusCode, body)
	}
	m.fails.Store(true)
	if res, body := exchange(t, at, "POST /api/reload HTTP/1.1", "Host: "+string(at)); res.StatusCode != 422 ||
		!strings.Contains(body, `"key": "a<b"`) {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

// What a browser may be made to send is refused, and does nothing.
func TestBrowsers(t *testing.T) {
	m := &made{}
	tcp, local := start(t, m, ""), start(t, m, Address("unix:"+filepath.Join(t.TempDir(), "a.sock")))
	_, port, err := net.SplitHostPort(string(tcp))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		at     Address
		lines  []string
		passes bool
	}{
		{tcp, []string{"POST / HTTP/1.1", "Host: evil.test:" + port}, false},
		{tcp, []string{"GET /api/status HTTP/1.1", "Host: evil.test"}, false},
		{tcp, []string{"GET /api/status HTTP/1.1", "Host: localhost.evil.test"}, false},
		{tcp, []string{"GET /api/status HTTP/1.1", "Host: 127.0.0.1.evil.test"}, false},
		{tcp, []string{"GET /api/status HTTP/1.1", "Host:"}, false},
		{tcp, []string{"GET /api/status HTTP/1.0"}, false},
		{tcp, []string{"GET /api/status HTTP/1.1", "Host: LOCALHOST:" + port}, true},
		{tcp, []string{"GET /api/status HTTP/1.1", "Host: [::1]:1"}, true},
		{tcp, []string{"GET /api/status HTTP/1.1", "Host: ::1"}, true},
		{local, []string{"GET /api/status HTTP/1.1", "Host: anything"}, true},
		{tcp, []string{"POST /api/reload HTTP/1.1", "Host: localhost", "Origin: http://evil.test"}, false},
		{tcp, []string{"POST /api/reload HTTP/1.1", "Host: localhost", "Origin: null"}, false},
		{tcp, []string{"POST /api/reload HTTP/1.1", "Host: localhost", "Sec-Fetch-Site: cross-site"}, false},
		{tcp, []string{"POST /api/reload HTTP/1.1", "Host: localhost", "Sec-Fetch-Site: same-site"}, false},
		{local, []string{"POST /api/reload HTTP/1.1", "Host: x", "Sec-Fetch-Site: cross-site"}, false},
		{tcp, []string{"GET /api/status HTTP/1.1", "Host: localhost", "Sec-Fetch-Site: cross-site"}, false},
		{tcp, []string{"GET /metrics HTTP/1.1", "Host: localhost", "Sec-Fetch-Site: same-site"}, false},
		{tcp, []string{"GET /healthz HTTP/1.1", "Host: localhost", "Sec-Fetch-Site: nonsense"}, false},
		{tcp, []string{"HEAD /api/config HTTP/1.1", "Host: localhost", "Sec-Fetch-Site: cross-site"}, false},
		{tcp, []string{"OPTIONS /api/config HTTP/1.1", "Host: localhost", "Sec-Fetch-Site: cross-site"}, false},
		{tcp, []string{"GET /api/status HTTP/1.1", "Host: localhost", "Origin: http://evil.test"}, false},
		{tcp, []string{"GET /api/status HTTP/1.1", "Host: localhost", "Origin: http://localhost"}, true},
		{tcp, []string{"GET /api/status HTTP/1.1", "Host: localhost", "Sec-Fetch-Site: none"}, true},
		{tcp, []string{"GET /api/status HTTP/1.1", "Host: localhost", "Sec-Fetch-Site: same-origin"}, true},
		{tcp, []string{"POST /api/reload HTTP/1.1", "Host: localhost", "Sec-Fetch-Site: same-origin"}, true},
		{tcp, []string{"POST /api/reload HTTP/1.1", "Host: localhost"}, true},
	} {
		before := m.reloads.Load()
		res, body := exchange(t, tt.at, tt.lines...)
		if (res.StatusCode == 200) != tt.passes || !tt.passes && res.StatusCode != 403 && res.StatusCode != 400 {
			t.Errorf("%q: %d %s", tt.lines, res.StatusCode, body)
		}
		if did := m.reloads.Load() - before; !tt.passes && did != 0 {
			t.Errorf("%q: reloaded", tt.lines)
		}
	}
}

func TestClient(t *testing.T) {
	m := &made{}
	for _, at := range []Address{"", Address("unix:" + filepath.Join(t.TempDir(), "a.sock"))} {
		c := NewClient(start(t, m, at), "")
		m.fails.Store(false)
		s, err := c.Status(t.Context())
		if want := m.Status(); err != nil || !reflect.DeepEqual(*s, want) {
			t.Errorf("%+v, %v, want %+v", s, err, want)
		}
		if r, err := c.Reload(t.Context()); err != nil || !r.Reload.OK || r.Config.Listeners[0].Name != "web" {
			t.Errorf("%+v, %v", r, err)
		}
		m.fails.Store(true)
		if r, err := c.Reload(t.Context()); err != nil || r.Reload.OK || r.Reload.Faults[0].Line != 3 {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

func TestClientOfOthers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := AddressOf(l)
	l.Close()
	var nobody *Unreachable
	_, err = NewClient(free, "").Status(t.Context())
	if !errors.As(err, &nobody) || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %v", err)
	}
	const noJSON = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
	for body, want := range map[string]string{
		noJSON: "is no uringproxy: status 404",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello":                                "is no uringproxy",
		"HTTP/1.1 403 No\r\nContent-Length: 27\r\n\r\n{\"error\":\"no\",\"hint\":\"ask\"}": "no; ask",
		"SSH-2.0-OpenSSH_9\r\n": "malformed",
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = http.ReadRequest(bufio.NewReader(c))
			_, _ = io.WriteString(c, body)
		}()
		_, err = NewClient(AddressOf(l), "").Status(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", body, err)
		}
		l.Close()
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.sock")
	l, err := Listen(Address("unix:"+file), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if _, err := Listen(Address("unix:"+file), Options{}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("twice: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if l, err = Listen(Address("unix:"+file), Options{}); err != nil {
		t.Errorf("a file that was left behind: %v", err)
	} else {
		l.Close()
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file stays: %v", err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[Address]string{
		Address("unix:" + file): "it is no socket", "unix:@x": "abstract", "0.0.0.0:9901": "loopback",
		"10.1.2.3:9901": "loopback", "[::]:9901": "loopback", "nonsense": "loopback",
		Address("unix:" + dir + "/none/a.sock"): "no such file",
	} {
		if l, err := Listen(address, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", address, l, err)
		}
	}
}

func TestParseAddress(t *testing.T) {
	for s, want := range map[string]Address{
		"127.0.0.1:9901": "127.0.0.1:9901", "[::1]:80": "[::1]:80", ":80": "127.0.0.1:80",
		"LocalHost:80": "127.0.0.1:80",
		"unix:/a":      "unix:/a", "": "", "9901": "", "127.0.0.1": "", "a.test:80": "", "unix:": "",
		":0": "", ":99999": "",
		"127.0.0.1:http": "", "http://127.0.0.1:80": "",
	} {
		if got, err := ParseAddress(s); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
}
