package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
)

// Ten thousand clients that break off anywhere, by a reset or an end, within requests and responses of all kinds: the
// others are served throughout, and afterwards nothing is left of those that went.
func TestClientsBreakOffAnywhere(t *testing.T) {
	const clients, batch = 10_000, 100
	Engines(t, func(t *testing.T, engine string) {
		up, addr := NewChecking(t), FreeAddr(t, "127.0.0.1")
		p := Start(t, Config(up.URL, addr), "--engine", engine)
		honest := Client(t)
		for from := 0; from < clients; from += batch {
			var all sync.WaitGroup
			for i := range batch {
				all.Go(func() {
					if err := breakOff(addr, rand.New(rand.NewPCG(2, uint64(from+i)))); err != nil {
						t.Errorf("client %d: %v", from+i, err)
					}
				})
			}
			c := Call{Method: "POST", Target: fmt.Sprintf("/honest/%d?n=70000", from), Body: 70_000, Want: 70_000}
			if err := c.Do(honest, "http://"+addr); err != nil {
				t.Error(err)
			}
			all.Wait()
		}
		p.Stop()
	})
}

// breakOff connects, sends a part of some requests, reads a part of the responses, and is gone. The only error is that
// it could not connect.
func breakOff(addr string, random *rand.Rand) error {
	c, err := net.DialTimeout("tcp", addr, hang)
	if err != nil {
		return err
	}
	w := newWire(nil, c)
	w.guard()
	text := randomRequest(random)
	if random.IntN(4) == 0 {
		text += randomRequest(random) // pipelined
	}
	complete := random.IntN(2) == 0
	if !complete {
		text = text[:random.IntN(len(text))]
	}
	_, _ = io.WriteString(c, text) // it may have been refused already
	if complete {
		_, _ = io.CopyN(io.Discard, c, random.Int64N(100_000)) // it may be shorter
	}
	if random.IntN(4) == 0 {
		w.Close()
	} else {
		w.Reset()
	}
	return nil
}

// randomRequest is a request whose response is up to a megabyte long, small ones being the most frequent. The
// connection ends with the response, so that whoever waits for more than comes does not wait for long.
func randomRequest(random *rand.Rand) string {
	target := fmt.Sprintf("/?n=%d", random.Int64N([]int64{10, 5000, 100_000, 1_000_000}[random.IntN(4)]))
	if random.IntN(2) == 0 {
		target += "&chunked=1"
	}
	body := strings.Repeat("b", random.IntN([]int{1, 100, 10_000, 200_000}[random.IntN(4)]))
	switch random.IntN(3) {
	case 0:
		return Request("GET", target, "x.test", "", "Connection: close")
	case 1:
		return Request("POST", target, "x.test", body, "Connection: close")
	default:
		chunk := fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
		if body == "" {
			chunk = ""
		}
		head := Request("PUT", target, "x.test", "", "Transfer-Encoding: chunked", "Connection: close")
		return head + chunk + "0\r\n\r\n"
	}
}
