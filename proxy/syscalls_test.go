package proxy

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
)

// What a request may cost in system calls when nothing else happens, by engine: the worst case, since under load one
// wait serves several connections. Each of the four operations on sockets is a call on epoll, beside two waits; on
// io_uring one call starts an operation and waits. One more call for each request is beyond the limit of small ones;
// those of large ones leave room for bodies that come in more pieces on a busy machine.
var callsPerRequest = map[string]map[string]float64{
	"small": {"epoll": 6.5, "uring": 4.75},
	"large": {"epoll": 12, "uring": 9},
}

// A regression in what a request costs the kernel shows here: system calls by request on a fixed script, one request
// after the other on one connection.
func TestSystemCallsPerRequest(t *testing.T) {
	for name, size := range map[string]int{"small": 100, "large": 64 << 10} {
		body := strings.Repeat("b", size-1) + "e"
		request := []byte("GET /p HTTP/1.1\r\nHost: example.com\r\n\r\n")
		response := "HTTP/1.1 200 OK\r\n" + framingOf([]byte(body), false) + body
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, open func() engine.Backend) {
				be, kind := open(), ""
				up := fixedUpstream(t, []byte("\r\n\r\n"), []byte(response))
				r := start(t, be, []string{up}, nil)
				c, err := net.Dial("tcp", r.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				buf := make([]byte, 128<<10)
				const requests = 200
				calls := func() (n uint64) {
					ask(r, func() { n, kind = r.sh.Stats.Syscalls, be.Info().Name })
					return n
				}
				best := 1e9
				for range 3 { // what comes between, such as a timer, is not every time
					before := calls()
					for range requests {
						if _, err := c.Write(request); err != nil {
							t.Fatal(err)
						}
						for n := 0; n == 0 || !bytes.HasSuffix(buf[:n], []byte("e")); {
							m, err := c.Read(buf[n:])
							if err != nil {
								t.Fatal(err)
							}
							n += m
						}
					}
					best = min(best, float64(calls()-before)/requests)
				}
				t.Logf("%.2f system calls per request", best)
				if limit := callsPerRequest[name][kind]; best > limit {
					t.Errorf("%.2f system calls per request, at most %g expected", best, limit)
				}
			})
		})
	}
}
