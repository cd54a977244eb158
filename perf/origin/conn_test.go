package origin

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/perf/load"
)

// pair is an origin with a connection, of which the test has the other end.
func pair(t *testing.T) (o *Origin, c *conn, other int) {
	t.Helper()
	o, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.Close)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	o.now = time.Unix(1, 0)
	c = new(conn)
	c.reset(fds[0], &listener{body: load.Body("a")})
	return o, c, fds[1]
}

// read is what has arrived at the other end.
func read(fd int) string {
	b := make([]byte, 64<<10)
	n, _ := unix.Read(fd, b)
	return string(b[:max(n, 0)])
}

func TestRequestsAtEverySplit(t *testing.T) {
	text := "GET /3 HTTP/1.1\r\nHost: x\r\n\r\n" +
		"POST / HTTP/1.1\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello" +
		"PUT / HTTP/1.1\r\ntransfer-encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nT: x\r\n\r\n" +
		"GET /answer HTTP/1.1\r\n\r\n"
	o, c, other := pair(t)
	o.process(c, []byte(text))
	want := read(other)
	for cut := 1; cut < len(text); cut++ {
		for _, second := range []int{cut, min(cut+1, len(text)), min(cut+17, len(text))} {
			o.process(c, []byte(text[:cut]))
			got := read(other)
			o.process(c, []byte(text[cut:second]))
			got += read(other)
			o.process(c, []byte(text[second:]))
			if got += read(other); got != want {
				t.Fatalf("split at %d and %d: %q, want %q", cut, second, got, want)
			}
		}
	}
}

func TestRequestsCostNoAllocation(t *testing.T) {
	for _, text := range []string{
		"GET /small HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 127.0.0.1\r\n\r\n",
		"GET /answer HTTP/1.1\r\n\r\n",
		"GET /20000 HTTP/1.1\r\n\r\n",
		"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
		"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
	} {
		o, c, other := pair(t)
		request, answer := []byte(text), make([]byte, 64<<10)
		if n := testing.AllocsPerRun(100, func() {
			o.now = o.now.Add(100 * time.Millisecond)
			o.process(c, request[:10])
			o.process(c, request[10:])
			if n, err := unix.Read(other, answer); n <= 0 {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%q: %v allocations", text, n)
		}
	}
}

func TestPiecesCostNoAllocation(t *testing.T) {
	o, c, other := pair(t)
	o.process(c, []byte("GET /stream HTTP/1.1\r\n\r\n"))
	answer := make([]byte, 64<<10)
	if n := testing.AllocsPerRun(100, func() {
		o.now = o.now.Add(pieceEvery)
		o.continueStreams()
		if n, err := unix.Read(other, answer); n <= 0 {
			t.Fatal(err)
		}
	}); n != 0 || c.stream.piece < 100 {
		t.Errorf("%v allocations, %d pieces", n, c.stream.piece)
	}
}

// A client that does not read gets everything once it does.
func TestOutputWaitsForRoom(t *testing.T) {
	o, c, other := pair(t)
	if err := o.watch(c.fd, unix.EPOLL_CTL_ADD, watchInput, c.generation); err != nil {
		t.Fatal(err)
	}
	o.process(c, []byte("GET /3m HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n"))
	if !c.blocked() || !c.watchesOutput {
		t.Fatal("the socket takes 3 MiB")
	}
	o.process(c, []byte("GET /stream HTTP/1.1\r\n\r\n"))
	var all strings.Builder
	for !c.streaming {
		part := read(other)
		if all.WriteString(part); part == "" {
			t.Fatalf("nothing after %d bytes", all.Len())
		}
		o.handle(c, unix.EPOLLOUT)
	}
	for part := "x"; part != ""; all.WriteString(part) {
		part = read(other)
	}
	r := bufio.NewReader(strings.NewReader(all.String()))
	for _, size := range []int{3 << 20, 2, load.PieceBytes} {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.CopyN(io.Discard, answer.Body, int64(size)); err != nil {
			t.Errorf("%d of %d bytes: %v", n, size, err)
		}
	}
}

func FuzzParseRequest(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"))
	f.Add([]byte(" \r\n\r\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, whole, err := parseRequest(text)
		if !whole {
			return
		}
		if err != nil || r.size > len(text) || r.length < 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		for cut := range r.size {
			if _, whole, _ := parseRequest(text[:cut]); whole {
				t.Fatalf("whole after %d of %d bytes", cut, r.size)
			}
		}
		bodySize(lastSegment(r.target))
	})
}
