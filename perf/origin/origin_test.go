package origin

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/perf/load"
)

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// serve runs an origin with services a and b until the test ends.
func serve(t *testing.T) []netip.AddrPort {
	t.Helper()
	o, err := Listen(Service{Name: "a", Addr: anyPort}, Service{Name: "b", Addr: anyPort})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	addrs := o.Addrs()
	go func() { ended <- o.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
	return addrs
}

func fetch(t *testing.T, method, url string, body io.Reader) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func TestAnswers(t *testing.T) {
	addrs := serve(t)
	for _, c := range []struct {
		path   string
		status int
		size   int
	}{
		{"/0", 200, 0}, {"/small", 200, 100}, {"/17", 200, 17}, {"/some/where/8k?x=1", 200, 8 << 10},
		{"/8193", 200, 8193}, {"/64k", 200, 64 << 10}, {"/1m", 200, 1 << 20}, {"/9m", 200, 9 << 20},
		{"/", 404, 0}, {"/x", 404, 0}, {"/k", 404, 0}, {"/1g", 404, 0}, {"/99999999999999999999", 404, 0},
	} {
		answer, text := fetch(t, "GET", fmt.Sprintf("http://%v%s", addrs[0], c.path), nil)
		if answer.StatusCode != c.status || text != string(load.Pattern(len(text))) || len(text) != c.size {
			t.Errorf("%s: status %d, %d bytes", c.path, answer.StatusCode, len(text))
		}
		date, err := http.ParseTime(answer.Header.Get("Date"))
		if c.status == 200 && (err != nil || time.Since(date).Abs() > time.Minute) {
			t.Errorf("%s: date %q", c.path, answer.Header.Get("Date"))
		}
	}
	for i, name := range []string{"a", "b"} {
		_, text := fetch(t, "GET", fmt.Sprintf("http://%v%s", addrs[i], load.AnswerPath), nil)
		if text != string(load.Body(name)) {
			t.Errorf("service %s says %q", name, text)
		}
	}
}

func TestUploadsAreCounted(t *testing.T) {
	addr := serve(t)[0]
	for _, method := range []string{"POST", "PUT", "PATCH"} {
		for _, size := range []int{0, 1, 100, 1 << 20, 3<<20 + 1} {
			body := bytes.Repeat([]byte{'x'}, size)
			for kind, r := range map[string]io.Reader{"length": bytes.NewReader(body), "chunked": hide(body)} {
				if size == 0 && method == "PATCH" {
					continue
				}
				_, text := fetch(t, method, fmt.Sprintf("http://%v/up", addr), r)
				if want := string(load.AppendUploaded(nil, int64(size))); text != want {
					t.Errorf("%s of %d bytes, %s: %q", method, size, kind, text)
				}
			}
		}
	}
}

// What a request looks like behind a proxy is told byte by byte.
func TestFieldsAreTold(t *testing.T) {
	addr := serve(t)[1]
	const fields = "Host: a\r\nX-Forwarded-For: 127.0.0.1\r\nvia: 1.1 b\r\nConnection: close\r\n"
	answer := talk(t, addr, "GET "+load.FieldsPath+" HTTP/1.1\r\n"+fields+"\r\n")
	if head, body, _ := strings.Cut(answer, "\r\n\r\n"); !strings.HasPrefix(head, "HTTP/1.1 200 ") || body != fields {
		t.Errorf("%q", answer)
	}
}

// Connections of all services count, but those that ask how many there are do not.
func TestConnectionsAreCounted(t *testing.T) {
	addrs := serve(t)
	ask := func(more string) string {
		answer := talk(t, addrs[0], "GET "+load.AcceptedPath+" HTTP/1.1\r\n\r\n"+more)
		_, body, _ := strings.Cut(answer, "\r\n\r\n")
		return body
	}
	last := "GET " + load.AcceptedPath + " HTTP/1.0\r\n\r\n"
	for i, want := range []string{"0", "2", "4"} {
		if got := ask(last); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "\r\n\r\n"+want) {
			t.Errorf("after %d connections: %q", 2*i, got)
		}
		for _, addr := range addrs {
			talk(t, addr, "GET /0 HTTP/1.0\r\n\r\n")
		}
	}
}

// hide keeps net/http from knowing how long a body is.
func hide(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} }

// talk sends text and returns everything that comes back until the connection ends.
func talk(t *testing.T, addr netip.AddrPort, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go io.WriteString(c, text)
	all, _ := io.ReadAll(c) // a reset is an end as well
	return string(all)
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	addr := serve(t)[0]
	var text strings.Builder
	sizes := []int{5, 100_000, 0, 2 << 20, 8192, 8193, 1}
	for _, n := range sizes {
		fmt.Fprintf(&text, "GET /%d HTTP/1.1\r\n\r\n", n)
	}
	text.WriteString("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nConnection: close\r\n\r\n")
	r := bufio.NewReader(strings.NewReader(talk(t, addr, text.String())))
	for _, n := range append(sizes, -1, 2) {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		want := string(load.AppendUploaded(nil, 3))
		if n >= 0 {
			want = string(load.Pattern(n))
		}
		if string(body) != want {
			t.Errorf("%d bytes: another body, of %d", n, len(body))
		}
	}
	if rest, _ := io.ReadAll(r); len(rest) != 0 {
		t.Errorf("more: %.80q", rest)
	}
}

func TestConnectionsEndWhenTheyShould(t *testing.T) {
	addr := serve(t)[0]
	for text, want := range map[string]string{
		"GET /0 HTTP/1.0\r\n\r\n":                                  "HTTP/1.1 200 ",
		"GET /1m HTTP/1.0\r\n\r\n":                                 "HTTP/1.1 200 ",
		"GET /0 HTTP/1.1\r\nConnection: Close\r\n\r\n":             "HTTP/1.1 200 ",
		"GET /x HTTP/1.1\r\nConnection: close\r\n\r\n":             "HTTP/1.1 404 ",
		"nonsense\r\n\r\n":                                         "HTTP/1.1 400 ",
		"GET /\r\n\r\n":                                            "HTTP/1.1 400 ",
		"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n":             "HTTP/1.1 400 ",
		"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n":       "HTTP/1.1 400 ",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx":   "HTTP/1.1 400 ",
		"GET / HTTP/1.1\r\nX: " + strings.Repeat("x", headBytes*2): "",
	} {
		if got := talk(t, addr, text); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%.40q: %.80q", text, got)
		}
	}
}

func TestStreamsGoOn(t *testing.T) {
	answer, err := http.Get(fmt.Sprintf("http://%v%s", serve(t)[0], load.StreamPath))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	for n := range 3 {
		var piece [load.PieceBytes]byte
		if _, err := io.ReadFull(answer.Body, piece[:]); err != nil {
			t.Fatal(err)
		}
		if string(piece[:]) != string(load.AppendPiece(nil, n)) {
			t.Errorf("piece %d: %q", n, piece)
		}
	}
}

// A stream whose connection was closed leaves its place in the queue to whoever comes next.
func TestStreamsOfConnectionsThatEnd(t *testing.T) {
	addr := serve(t)[0]
	for range 5 {
		c, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\n\r\n", load.StreamPath)
		r := bufio.NewReader(c)
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(answer.Body, make([]byte, 2*load.PieceBytes)); err != nil {
			t.Error(err)
		}
		c.Close()
	}
}

func TestListenFaults(t *testing.T) {
	addr := serve(t)[0]
	for _, a := range []netip.AddrPort{addr, netip.MustParseAddrPort("[::1]:0")} {
		if o, err := Listen(Service{Name: "a", Addr: a}); err == nil {
			o.Close()
			t.Errorf("listens on %v", a)
		} else if !strings.Contains(err.Error(), a.String()) {
			t.Errorf("%v: %v", a, err)
		}
	}
}
