package demo

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func start(t *testing.T) []string {
	t.Helper()
	endpoints, stop, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return endpoints
}

// do sends one request on a connection of its own and returns the answer with its body.
func do(t *testing.T, method, url string, body io.Reader) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Forwarded-For", "192.0.2.9")
	req.Header.Set("X-Own", "<script>")
	tr := &http.Transport{DisableKeepAlives: true}
	res, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(b)
}

func TestBothAnswerByName(t *testing.T) {
	for i, url := range start(t) {
		res, body := do(t, "GET", url+"/", nil)
		for _, want := range []string{"<b>" + names[i] + "</b>", "192.0.2.9", "&lt;script&gt;", `class="added"`} {
			if !strings.Contains(body, want) {
				t.Errorf("upstream %s: %q is not on the page", names[i], want)
			}
		}
		if strings.Contains(body, "<script>") || res.Header.Get("X-Upstream") != names[i] {
			t.Errorf("upstream %s: unescaped value, or wrong name %q", names[i], res.Header.Get("X-Upstream"))
		}
		var got seen
		_, body = do(t, "POST", url+"/json?a=b", strings.NewReader("x"))
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if got.Upstream != names[i] || got.Method != "POST" || got.Target != "/json?a=b" ||
			got.Header[0].Name != "Host" {
			t.Errorf("got %+v", got)
		}
	}
}

func TestAnswers(t *testing.T) {
	url := start(t)[0]
	tests := []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/bytes/0", "", 200, ""},
		{"GET", "/bytes/20", "", 200, "0123456789abcdef0123"},
		{"GET", "/bytes/100000", "", 200, strings.Repeat("0123456789abcdef", 6250)},
		{"HEAD", "/bytes/4294967296", "", 200, ""},
		{"GET", "/bytes/4294967297", "", 400, "/bytes/N: N is a number from 0 to 4294967296\n"},
		{"GET", "/bytes/-1", "", 400, "/bytes/N: N is a number from 0 to 4294967296\n"},
		{"GET", "/status/404", "", 404, "404 Not Found\n"},
		{"GET", "/status/204", "", 204, ""},
		{"GET", "/status/304", "", 304, ""},
		{"GET", "/status/302", "", 302, "302 Found\n"},
		{"GET", "/status/199", "", 400, "/status/CODE: CODE is a number from 200 to 599\n"},
		{"POST", "/echo", "hello", 200, "hello"},
		{"PUT", "/echo", strings.Repeat("x", 1<<20), 200, strings.Repeat("x", 1<<20)},
		{"GET", "/slow?for=1ns", "", 200, "upstream one took its time: 1ns\n"},
		{"GET", "/slow?for=1h", "", 400, "/slow?for=2s: at most 30s\n"},
		{"GET", "/stream?n=2&every=1ns", "", 200,
			"data: 1 of 2 from upstream one\n\ndata: 2 of 2 from upstream one\n\n"},
		{"GET", "/stream?n=1000", "", 400, "/stream?n=10&every=300ms: n is at most 100, every at most 5s\n"},
		{"GET", "/nothing", "", 404, "404 page not found\n"},
	}
	for _, tt := range tests {
		var body io.Reader = http.NoBody
		if tt.body != "" {
			body = strings.NewReader(tt.body)
		}
		res, got := do(t, tt.method, url+tt.path, body)
		if res.StatusCode != tt.status || got != tt.want {
			t.Errorf("%s %s: %d %.80q, want %d %.80q", tt.method, tt.path, res.StatusCode, got, tt.status, tt.want)
		}
	}
}

func TestHeadAnnouncesTheLength(t *testing.T) {
	res, _ := do(t, "HEAD", start(t)[1]+"/bytes/123456", nil)
	if res.ContentLength != 123456 {
		t.Errorf("length %d", res.ContentLength)
	}
}

func TestStreamFlushesEachEvent(t *testing.T) {
	rec := &flushes{ResponseRecorder: httptest.NewRecorder()}
	Handler("one").ServeHTTP(rec, httptest.NewRequest("GET", "/stream?n=3&every=1ns", nil))
	if rec.n != 3 {
		t.Errorf("flushed %d times, want 3", rec.n)
	}
}

type flushes struct {
	*httptest.ResponseRecorder
	n int
}

func (f *flushes) Flush() { f.n++ }

func TestAddresses(t *testing.T) {
	endpoints, stop, err := Start()
	if err != nil {
		t.Fatal(err)
	}
	given := strings.TrimPrefix(endpoints[0], "http://")
	_, _, err = Start("127.0.0.1:0", given)
	if err == nil || !strings.Contains(err.Error(), "upstream two") {
		t.Errorf("taken address: error %v", err)
	}
	stop()
	endpoints, stop, err = Start(given)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	if endpoints[0] != "http://"+given {
		t.Errorf("got %s, want %s", endpoints[0], given)
	}
	for _, addr := range []string{"0.0.0.0:0", "192.0.2.1:80", "localhost:0", ""} {
		if _, _, err := Start(addr); err == nil {
			t.Errorf("address %q was accepted", addr)
		}
	}
	if _, _, err := Start(given, given, given); err == nil {
		t.Error("three addresses were accepted")
	}
}

func TestPatternKeepsInStep(t *testing.T) {
	for _, size := range []int{1, 15} {
		b := make([]byte, size)
		if n, _ := (pattern{}).Read(b); !bytes.HasPrefix([]byte("0123456789abcdef"), b[:n]) || n != size {
			t.Errorf("read of %d: %q", size, b[:n])
		}
	}
	b := make([]byte, 40)
	if n, _ := (pattern{}).Read(b); n != 32 {
		t.Errorf("read of 40 gave %d bytes, want 32", n)
	}
}
