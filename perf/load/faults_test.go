package load

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// eachRequest calls fn for the requests of a connection, bodies read, until it returns false or there is none.
func eachRequest(r *bufio.Reader, fn func(n int) bool) {
	for n := 0; ; n++ {
		request, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil || !fn(n) {
			return
		}
	}
}

// reset ends a connection in the way of a server that crashes.
func reset(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }

const (
	okHead      = "HTTP/1.1 200 OK\r\nContent-Length: "
	failedHead  = "HTTP/1.1 500 X\r\nContent-Length: "
	chunkedHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
)

func TestFaultsInEveryMode(t *testing.T) {
	pattern := string(Pattern(1000))
	wrong := pattern[:999] + "?"
	download := Config{Conns: 2, Path: "/1000", Download: 1000}
	upload := Config{Conns: 2, Method: "PUT", Path: "/up", Upload: 5000}
	single := Config{Conns: 2, PerRequest: true}
	body, miscounted := string(Body("a")), string(AppendUploaded(nil, 4999))
	chunk := chunkedHead + "1F4\r\n" + pattern[:500]
	for name, c := range map[string]struct {
		cfg  Config
		send string // to each request
		then func(c net.Conn)
		want Errors
	}{
		"another byte":        {download, okHead + "1000\r\n\r\n" + wrong, nil, Errors{Body: 10}},
		"shorter":             {download, okHead + "999\r\n\r\n" + pattern[:999], nil, Errors{Body: 10}},
		"longer":              {download, okHead + "1001\r\n\r\n" + pattern + "x", nil, Errors{Body: 10}},
		"empty":               {download, okHead + "0\r\n\r\n", nil, Errors{Body: 10}},
		"no content":          {download, "HTTP/1.1 204 No Content\r\n\r\n", nil, Errors{Status: 10}},
		"failed":              {download, failedHead + "1000\r\n\r\n" + pattern, nil, Errors{Status: 10}},
		"closed":              {download, okHead + "1000\r\n\r\n" + pattern[:500], shut, Errors{Lost: 10}},
		"reset":               {download, okHead + "1000\r\n\r\n" + pattern[:500], reset, Errors{Lost: 10}},
		"chunks end early":    {download, chunk + "\r\n0\r\n\r\n", nil, Errors{Body: 10}},
		"chunks are wrong":    {download, chunk + "x", shut, Errors{Framing: 10}},
		"miscounted":          {upload, okHead + "100\r\n\r\n" + miscounted, nil, Errors{Body: 10}},
		"refused":             {upload, "HTTP/1.1 413 X\r\nContent-Length: 0\r\n\r\n", nil, Errors{Status: 10}},
		"upload reset":        {upload, "", reset, Errors{Lost: 10}},
		"single, failed":      {single, "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n", shut, Errors{Status: 10}},
		"single, closed":      {single, "", shut, Errors{Lost: 10}},
		"single, reset":       {single, okHead + "100\r\n\r\n" + body[:99], reset, Errors{Lost: 10}},
		"single, wrong":       {single, okHead + "100\r\n\r\n" + body[:99] + "?", shut, Errors{Body: 10}},
		"single, another one": {single, okHead + "100\r\n\r\n" + string(Body("b")), shut, Errors{Service: 10}},
	} {
		addr := serve(t, func(conn net.Conn, r *bufio.Reader) {
			eachRequest(r, func(int) bool {
				io.WriteString(conn, c.send)
				if c.then != nil {
					c.then(conn)
				}
				return c.then == nil
			})
		})
		c.cfg.Addr = addr
		p := Phase{Rate: 500, Length: 20 * time.Millisecond, Services: []string{"a"}}
		r := generate(t, c.cfg, p)[0]
		if r.Errors != c.want || r.Answered != 0 || r.Requests != 10 || len(r.Samples) != sampleCount || r.Bytes != 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// shut has eachRequest return, and with that the connection closed.
func shut(net.Conn) {}

func TestPipelinedFaults(t *testing.T) {
	right := okHead + "100\r\n\r\n" + string(Body("a"))
	for name, c := range map[string]struct {
		second string // to every second request
		end    bool
		want   Errors // of three times four requests
	}{
		"status":  {failedHead + "2\r\n\r\nok", false, Errors{Status: 6}},
		"lost":    {"", true, Errors{Lost: 9}},
		"closing": {strings.Replace(right, "200 OK\r\n", "200 OK\r\nConnection: close\r\n", 1), true, Errors{Lost: 6}},
		"framing": {"x\r\n\r\n", true, Errors{Framing: 9}},
	} {
		addr := serve(t, func(conn net.Conn, r *bufio.Reader) {
			eachRequest(r, func(n int) bool {
				if n%2 == 0 {
					io.WriteString(conn, right)
					return true
				}
				io.WriteString(conn, c.second)
				return !c.end
			})
		})
		g, err := New(Config{Addr: addr, Conns: 1, Pipeline: 4, Services: []string{"a"}})
		if err != nil {
			t.Fatal(err)
		}
		// All are due at once, so that they go four by four.
		r, err := g.Run(Phase{Rate: 12_000_000, Length: time.Microsecond, Services: []string{"a"}})
		g.Close()
		if err != nil || r.Requests != 12 || r.Errors != c.want || r.Answered != 12-c.want.Sum() {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func TestRefusedConnectionsAreRequestsThatFailed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	l.Close()
	cfg := Config{Addr: addr, Conns: 2, PerRequest: true}
	r := generate(t, cfg, Phase{Rate: 500, Length: 20 * time.Millisecond, Services: []string{"a"}})[0]
	if r.Errors != (Errors{Connect: 10}) || r.Requests != 10 || !strings.Contains(r.Samples[0], "refused") {
		t.Errorf("%+v", r)
	}
}

// What an answer announces is not the answer.
func TestInformationalResponsesAreSkipped(t *testing.T) {
	addr := serve(t, func(conn net.Conn, r *bufio.Reader) {
		eachRequest(r, func(int) bool {
			fmt.Fprintf(conn, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
			reply(conn, Body("a"))
			return true
		})
	})
	r := generate(t, Config{Addr: addr, Conns: 2}, Phase{Length: 20 * time.Millisecond, Services: []string{"a"}})[0]
	if r.Answered != r.Requests || r.Answered == 0 || r.Errors != (Errors{}) {
		t.Errorf("%+v", r)
	}
}

// A stall before the phase that is recorded is part of it only as far as it delays what is due then.
func TestWarmingIsNotRecorded(t *testing.T) {
	addr := serve(t, func(c net.Conn, r *bufio.Reader) {
		eachRequest(r, func(n int) bool {
			if n < 10 {
				io.WriteString(c, failedHead+"0\r\n\r\n")
			} else {
				reply(c, Body("a"))
			}
			return true
		})
	})
	p := Phase{Rate: 1000, Warm: 30 * time.Millisecond, Length: 20 * time.Millisecond, Services: []string{"a"}}
	before := time.Now()
	r := generate(t, Config{Addr: addr, Conns: 1}, p)[0]
	if r.Requests != 20 || r.Answered != 20 || r.Errors != (Errors{}) || r.Began.Before(before.Add(p.Warm)) {
		t.Errorf("%+v", r)
	}
}
