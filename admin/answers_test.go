package admin

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
)

// manyRoutes is more than a socket holds.
const manyRoutes = 100_000

const getConfig = "GET /api/config HTTP/1.1\r\nHost: localhost\r\n\r\n"

// A hundred thousand routes are written as they are read: a client that stops reading stops the writing, and what it is
// waited for with does not grow.
func TestConfigIsStreamed(t *testing.T) {
	m := &made{routes: manyRoutes}
	at := start(t, m, "")
	c, err := net.Dial("tcp", string(at))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := io.WriteString(c, getConfig); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines, names, most := bufio.NewScanner(res.Body), 0, uint64(0)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), `    {"name":"r`) {
			if names++; names%20_000 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&after)
				most = max(most, after.HeapAlloc)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if names != manyRoutes {
		t.Errorf("%d routes", names)
	}
	if grown := int64(most) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("%d bytes more of heap for it", grown)
	}
}

func TestConfigIsOneObject(t *testing.T) {
	at := start(t, &made{routes: 10}, "")
	res, body := exchange(t, at, "GET /api/config HTTP/1.1", "Host: localhost")
	var c struct {
		Generation int
		Source     string
		Listeners  []RunningListen
		Services   []RunningService
		Routes     []RunningRoute
	}
	if err := json.Unmarshal([]byte(body), &c); err != nil || res.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%v, %v", err, res.Header)
	}
	if c.Generation != 3 || c.Source != "my <toml>" || len(c.Listeners) != 1 || len(c.Services) != 1 ||
		len(c.Routes) != 10 || c.Routes[7].Name != "r7" {
		t.Errorf("%+v", c.Listeners)
	}
	res, body = exchange(t, at, "HEAD /api/config HTTP/1.1", "Host: localhost")
	if res.StatusCode != 200 || body != "" {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

// Who leaves in the middle ends the work.
func TestConfigOfWhoLeaves(t *testing.T) {
	m := &made{routes: manyRoutes, left: make(chan struct{})}
	at := start(t, m, "")
	c, err := net.Dial("tcp", string(at))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, getConfig); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	<-m.left
}

func TestExplain(t *testing.T) {
	at := start(t, &made{}, "")
	post := func(body string) (int, string) {
		res, text := exchange(t, at, "POST /api/explain HTTP/1.1", "Host: localhost",
			fmt.Sprintf("Content-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body))
		return res.StatusCode, text
	}
	for _, tt := range []struct {
		ask  string
		code int
		want string
	}{
		{"?url=http://a.test/x&header=X-A:+1&header=X-B:+2&method=PUT&route=r", 200,
			"\"url\": \"http://a.test/x\",\n  \"method\": \"PUT\",\n  \"header\": [\n    \"X-A: 1\",\n    \"X-B: 2\"\n  ]"},
		{"?client_ip=10.0.0.1&port=53&listener=l", 200, `"port": 53`},
		{"?port=x", 400, `port \"x\" is no number`},
		{"?client_ip=10.0.0.1&listener=l&sni=s&alpn=h2&tls_version=1.3&cipher_suite=c&ja4=j&url=/", 200, `"ja4": "j"`},
		{"", 400, "there is no url"},
		{"?client_hello=160301&client_cert=a&client_cert=b", 200, "\"client_hello\": \"160301\""},
		{"?sni=a.test", 200, `"sni": "a.test"`},
		{"?url=bad", 400, `"error": "read URL: bad"`},
		{"?url=/&url=/", 400, "url is there more than once"},
		{"?url=/&path=x", 400, `unknown parameter \"path\"`},
		{"?url=%zz", 400, "invalid URL escape"},
		{`{"url": "/", "header": ["a: b"]}`, 200, `"a: b"`},
		{`{"url": "/", "headers": []}`, 400, `unknown field \"headers\"`},
		{`{"url": "/"} {}`, 400, "there is more after it"},
		{`{"url": 1}`, 400, "read question: cannot unmarshal"},
		{`{"url": "` + strings.Repeat("x", maxBody), 400, "too large"},
		{`[`, 400, "read question"},
	} {
		code, body := 0, ""
		if tt.ask == "" || tt.ask[0] == '?' {
			res, text := exchange(t, at, "GET /api/explain"+tt.ask+" HTTP/1.1", "Host: localhost")
			code, body = res.StatusCode, text
		} else {
			code, body = post(tt.ask)
		}
		if code != tt.code || !strings.Contains(body, tt.want) || !json.Valid([]byte(body)) {
			t.Errorf("%.100s: %d %s", tt.ask, code, body)
		}
	}
}

func TestMetricsNegotiation(t *testing.T) {
	m := &made{}
	at := start(t, m, "")
	for accept, open := range map[string]bool{
		"":    false,
		"*/*": false,
		"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;q=0.4,*/*;q=0.2": true,
		"application/openmetrics-text; version=1.0.0, text/plain":                                          true,
		"Application/OpenMetrics-Text":                                                                     true,
		"application/openmetrics-text;q=0.1,text/plain":                                                    false,
		"application/openmetrics-text;version=0.0.1":                                                       false,
		"application/openmetrics-text;q=0":                                                                 false,
		"application/openmetrics-text;q=nonsense":                                                          true,
		"application/json;,;;,":                                                                            false,
	} {
		res, body := exchange(t, at, "GET /metrics HTTP/1.1", "Host: localhost", "Accept: "+accept)
		want := map[bool]string{false: prometheusText, true: openMetrics}[open]
		if body != fmt.Sprintf("x %v\n", open) || res.Header.Get("Content-Type") != want {
			t.Errorf("%q: %q, %s", accept, body, res.Header.Get("Content-Type"))
		}
	}
	m.fails.Store(true)
	res, body := exchange(t, at, "GET /metrics HTTP/1.1", "Host: localhost")
	if res.StatusCode != 500 || !strings.Contains(body, `"error": "half way"`) {
		t.Errorf("half an exposition: %d %.100s", res.StatusCode, body)
	}
}

func TestPprof(t *testing.T) {
	with, without := startWith(t, &made{}, "", Options{Pprof: true}), start(t, &made{}, "")
	for path, want := range map[string]string{
		"/debug/pprof/": "goroutine", "/debug/pprof/heap?debug=1": "heap profile:", "/debug/pprof/cmdline": "admin",
		"/debug/pprof/symbol": "num_symbols", "/debug/pprof/nothing": "Unknown profile",
	} {
		res, body := exchange(t, with, "GET "+path+" HTTP/1.1", "Host: localhost")
		if !strings.Contains(body, want) {
			t.Errorf("%s: %d %.200s", path, res.StatusCode, body)
		}
		if res, _ := exchange(t, without, "GET "+path+" HTTP/1.1", "Host: localhost"); res.StatusCode != 404 {
			t.Errorf("%s is there unasked: %d", path, res.StatusCode)
		}
	}
	if _, body := exchange(t, without, "GET / HTTP/1.1", "Host: localhost"); strings.Contains(body, "pprof") {
		t.Error(body)
	}
}

// What is no proper request is refused, and the server goes on.
func TestHostileRequests(t *testing.T) {
	at := start(t, &made{}, "")
	for name, request := range map[string]string{
		"huge field":   "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n",
		"many fields":  "GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + strings.Repeat("X: y\r\n", 10_000) + "\r\n",
		"huge target":  "GET /" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"two hosts":    "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"not HTTP":     "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"two lengths":  "POST /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
		"proxy target": "GET http://evil.test/api/status HTTP/1.1\r\nHost: localhost\r\n\r\n",
	} {
		c, err := net.Dial("tcp", string(at))
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(c, request) }() // it may be refused before all of it is sent
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err == nil && res.StatusCode < 400 {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
		c.Close()
	}
	if _, body := exchange(t, at, "GET /healthz HTTP/1.1", "Host: localhost"); body != "ok\n" {
		t.Errorf("body %q", body)
	}
}

func TestDistributions(t *testing.T) {
	var a, b Distribution
	for _, v := range []uint64{10, 20, 20, 40} {
		a = a.Plus(Distribution{Count: 1, Sum: v, Buckets: [][2]uint64{{v, 1}}})
	}
	b = a.Plus(Distribution{Count: 2, Sum: 60, Buckets: [][2]uint64{{30, 2}}})
	if got := fmt.Sprint(b); got != "{6 150 [[10 1] [20 2] [30 2] [40 1]]}" {
		t.Error(got)
	}
	if got := fmt.Sprint(b.Since(a)); got != "{2 60 [[30 2]]}" {
		t.Error(got)
	}
	if got := fmt.Sprint(a.Since(b)); got != "{0 0 []}" {
		t.Error(got)
	}
	for q, want := range map[float64]int64{-1: 10, 0: 10, 0.25: 10, 0.5: 20, 0.75: 20, 0.76: 40, 1: 40, 2: 40} {
		if got := a.Quantile(q); int64(got) != want {
			t.Errorf("quantile %v is %d, want %d", q, got, want)
		}
	}
	if (Distribution{}).Quantile(0.5) != 0 || (Distribution{}).Mean() != 0 || a.Mean() != 22 {
		t.Error("wrong mean, or something made of nothing")
	}
}
