package load

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/perf/chunked"
)

func TestScheduleKeepsItsRate(t *testing.T) {
	for _, rate := range []int{1, 3, 7, 1000, 23_457} {
		s := newSchedule(rate, 20*time.Second)
		if s.total != 20*rate {
			t.Errorf("%d a second for 20 s: %d requests", rate, s.total)
		}
		for _, k := range []int{0, 1, rate / 2, rate, 10*rate + 1, s.total - 1} {
			want := float64(k) / float64(rate)
			if got := s.at(k).Seconds(); got > want || got < want-1e-8 {
				t.Errorf("%d a second: request %d at %v s, want %v", rate, k, got, want)
			}
			if s.due(k, s.at(k)-1) || !s.due(k, s.at(k)) {
				t.Errorf("%d a second: request %d is not due exactly at %v", rate, k, s.at(k))
			}
		}
		if s.due(s.total, time.Hour) || !s.over(s.total, 0) || s.over(s.total-1, time.Hour) {
			t.Errorf("%d a second: the end is not after the last request", rate)
		}
	}
}

func TestScheduleWithoutARate(t *testing.T) {
	s := newSchedule(0, time.Second)
	if !s.due(1e9, time.Second-1) || s.due(0, time.Second) || !s.over(0, time.Second) || s.over(1e9, time.Second-1) {
		t.Error("requests are not due until the end, and no longer")
	}
}

func TestHeads(t *testing.T) {
	for _, c := range []struct {
		text string
		want head
		err  bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", head{size: 38, status: 200, length: 5}, false},
		{"HTTP/1.1 404 Not Found\r\ncontent-length:0\r\nCONNECTION: Close\r\n\r\n",
			head{size: 63, status: 404, closing: true}, false},
		{"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n", head{size: 45, status: 200, length: -1}, false},
		{"HTTP/1.1 200 OK\r\n\r\n", head{}, true},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", head{}, true},
		{"HTTP/1.1 2x0 OK\r\nContent-Length: 5\r\n\r\n", head{}, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", head{}, true},
		{"nonsense\r\n\r\n", head{}, true},
	} {
		for cut := range len(c.text) {
			if _, whole, _ := parseHead([]byte(c.text[:cut])); whole {
				t.Errorf("%q: whole after %d bytes", c.text, cut)
			}
		}
		got, whole, err := parseHead([]byte(c.text))
		if (err != nil) != c.err || whole == c.err || !c.err && got != c.want {
			t.Errorf("%q: %+v, %v, %v", c.text, got, whole, err)
		}
	}
}

// streamText is the body of a stream of n pieces, in chunks that do not begin where pieces do.
func streamText(n int) string {
	var pieces []byte
	for i := range n {
		pieces = AppendPiece(pieces, i)
	}
	var b strings.Builder
	for size := 1; len(pieces) > 0; size = size*3 + 1 {
		part := pieces[:min(size, len(pieces))]
		pieces = pieces[len(part):]
		fmt.Fprintf(&b, "%X;x=y\r\n%s\r\n", len(part), part)
	}
	return b.String()
}

func TestStreamAtEverySplit(t *testing.T) {
	text := streamText(5)
	for a := range len(text) {
		for b := a; b < len(text); b++ {
			var s stream
			sum := 0
			for _, part := range []string{text[:a], text[a:b], text[b:]} {
				n, err := s.feed([]byte(part))
				if err != nil {
					t.Fatalf("split at %d and %d: %v", a, b, err)
				}
				sum += n
			}
			if sum != 5 {
				t.Fatalf("split at %d and %d: %d pieces", a, b, sum)
			}
		}
	}
}

func TestStreamFaults(t *testing.T) {
	first := string(AppendPiece(nil, 0))
	for text, want := range map[string]error{
		"20\r\n" + first + "\r\n0\r\n\r\n":               errEnd,
		"20\r\n" + first + "\r\n20\r\n" + first + "\r\n": errPiece,
		"20\r\n" + string(AppendPiece(nil, 1)):           errPiece,
		"x\r\n":                                          chunked.ErrFraming,
		"20\r\n" + first + "x":                           chunked.ErrFraming,
		"20\r\n" + first + "\rx":                         chunked.ErrFraming,
		strings.Repeat("f", 20):                          chunked.ErrFraming,
		"20 \r\n":                                        chunked.ErrFraming,
		"20\r\n" + first + "\r\n1\r\n" + "1" + "\r\n1\r\n1\r\nx\r": chunked.ErrFraming,
	} {
		if _, err := new(stream).feed([]byte(text)); err != want {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

// serve answers on a loopback port until the test ends, each connection with fn.
func serve(t *testing.T, fn func(c net.Conn, r *bufio.Reader)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fn(c, bufio.NewReader(c))
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// requests calls fn with the number of each request of a connection, until fn returns false or there is none.
func requests(r *bufio.Reader, fn func(n int, path string) bool) {
	for n := 0; ; n++ {
		req, err := http.ReadRequest(r)
		if err != nil || !fn(n, req.URL.Path) {
			return
		}
	}
}

func reply(c net.Conn, body []byte) {
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func generate(t *testing.T, cfg Config, phases ...Phase) []*Result {
	t.Helper()
	cfg.Host = "test.example.com"
	cfg.Services = []string{"a", "b"}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	var results []*Result
	for _, p := range phases {
		r, err := g.Run(p)
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	return results
}

func TestEveryRequestIsSentAndCounted(t *testing.T) {
	addr := serve(t, func(c net.Conn, r *bufio.Reader) {
		requests(r, func(int, string) bool { reply(c, Body("b")); return true })
	})
	p := Phase{Rate: 2000, Length: 250 * time.Millisecond, Services: []string{"b"}}
	for _, r := range generate(t, Config{Addr: addr, Conns: 4}, p, p) {
		if r.Requests != 500 || r.Answered != 500 || r.Errors != (Errors{}) || r.Reconnects != 0 {
			t.Errorf("%+v", r)
		}
		if want := map[string]int{"a": 0, "b": 500}; !reflect.DeepEqual(r.Services, want) {
			t.Errorf("services %v", r.Services)
		}
		if r.P50 <= 0 || r.P50 > r.P99 || r.P99 > r.P999 || r.P999 > r.Max || r.Elapsed < p.Length {
			t.Errorf("latencies %+v", r)
		}
	}
}

func TestAsManyAsPossible(t *testing.T) {
	addr := serve(t, func(c net.Conn, r *bufio.Reader) {
		requests(r, func(int, string) bool { reply(c, Body("a")); return true })
	})
	r := generate(t, Config{Addr: addr, Conns: 4}, Phase{Length: 100 * time.Millisecond, Services: []string{"a"}})[0]
	if r.Requests < 4 || r.Answered != r.Requests || r.Errors != (Errors{}) {
		t.Errorf("%+v", r)
	}
}

// A server that stalls delays all who come meanwhile, not only the one request that it happens to hold.
func TestAStallCountsForAllRequests(t *testing.T) {
	const stall = 100 * time.Millisecond
	addr := serve(t, func(c net.Conn, r *bufio.Reader) {
		requests(r, func(n int, _ string) bool {
			if n == 0 {
				time.Sleep(stall)
			}
			reply(c, Body("a"))
			return true
		})
	})
	p := Phase{Rate: 1000, Length: stall / 2, Services: []string{"a"}}
	r := generate(t, Config{Addr: addr, Conns: 1}, p)[0]
	if r.Answered != 50 || r.P50 < stall/2 || r.Max < stall {
		t.Errorf("%d answers, half of them within %v, the slowest after %v", r.Answered, r.P50, r.Max)
	}
}

func TestErrors(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	p := Phase{Rate: 1000, Length: 20 * time.Millisecond, Services: []string{"a"}}
	for name, c := range map[string]struct {
		reply string // to each request
		end   bool   // and then the connection is closed
		want  Errors
	}{
		"status":      {"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", false, Errors{Status: 20}},
		"body":        {ok + "Content-Length: 2\r\n\r\nab", false, Errors{Body: 20}},
		"service":     {ok + "Content-Length: 100\r\n\r\n" + string(Body("b")), false, Errors{Service: 20}},
		"lost":        {ok + "Content-Le", true, Errors{Lost: 20}},
		"never begun": {"", true, Errors{Lost: 20}},
		"framing":     {"HTTP/1.1 200 OK\r\n\r\n", false, Errors{Framing: 20}},
		"too much":    {ok + "Content-Length: 2\r\n\r\nabc", false, Errors{Framing: 20}},
	} {
		addr := serve(t, func(conn net.Conn, r *bufio.Reader) {
			requests(r, func(int, string) bool { conn.Write([]byte(c.reply)); return !c.end })
		})
		r := generate(t, Config{Addr: addr, Conns: 2}, p)[0]
		if r.Errors != c.want || r.Errors.Sum() != 20 || r.Answered != 0 || len(r.Samples) != sampleCount {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// A connection that is closed after an answer is no error: HTTP allows it, and reloads do it.
func TestClosedConnectionsAreOpenedAgain(t *testing.T) {
	addr := serve(t, func(c net.Conn, r *bufio.Reader) {
		requests(r, func(int, string) bool {
			body := Body("a")
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
			return false
		})
	})
	p := Phase{Rate: 500, Length: 40 * time.Millisecond, Services: []string{"a"}}
	r := generate(t, Config{Addr: addr, Conns: 2}, p)[0]
	if r.Answered != 20 || r.Reconnects != 20 || r.Errors != (Errors{}) {
		t.Errorf("%+v", r)
	}
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	g, err := New(Config{Addr: addr, Conns: 2, Streams: 1, Services: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	r, err := g.Run(Phase{Rate: 1, Length: 50 * time.Millisecond})
	if err != nil || r.Errors.Connect == 0 || r.Requests != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestStreams(t *testing.T) {
	const rounds = 3
	hold := make(chan struct{})
	defer close(hold)
	addr := serve(t, func(c net.Conn, r *bufio.Reader) {
		requests(r, func(_ int, path string) bool {
			if path != StreamPath {
				reply(c, Body("a"))
				return true
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
			for i := range rounds {
				fmt.Fprintf(c, "%x\r\n%s\r\n", PieceBytes, AppendPiece(nil, i))
			}
			<-hold
			return false
		})
	})
	p := Phase{Rate: 100, Length: 200 * time.Millisecond, Services: []string{"a"}}
	results := generate(t, Config{Addr: addr, Conns: 1, Streams: 4}, p, p)
	if sum := results[0].Pieces + results[1].Pieces; results[1].Dropped != 0 || sum > 4*rounds {
		t.Errorf("%+v\n%+v", results[0], results[1])
	}
}

func TestDroppedStreams(t *testing.T) {
	addr := serve(t, func(c net.Conn, r *bufio.Reader) {
		requests(r, func(int, string) bool {
			head := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			fmt.Fprintf(c, "%s%x\r\n%s\r\n", head, PieceBytes, AppendPiece(nil, 0))
			return false
		})
	})
	r := generate(t, Config{Addr: addr, Streams: 2}, Phase{Rate: 0, Length: 100 * time.Millisecond})[0]
	if r.Dropped < 2 || r.Pieces < 2 || r.Errors != (Errors{}) {
		t.Errorf("%+v", r)
	}
}
