package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// Memory does not grow with the number of requests: when so many have warmed the proxy up, three times as many leave it
// as large as it was. A hundred bytes lost by each would show.
func TestMemoryIsFlat(t *testing.T) {
	const requests, most = 12_800, 3 << 20
	Engines(t, func(t *testing.T, engine string) {
		up, addr := NewChecking(t), FreeAddr(t, "127.0.0.1") // it reads a body before it answers
		p := Start(t, Config(up.URL, addr), "--engine", engine)
		served(t, addr, requests)
		warm := p.AnonBytes()
		served(t, addr, 3*requests)
		grown := p.AnonBytes() - warm
		t.Logf("%d KiB after %d requests, and %d KiB more after %d more", warm>>10, requests, grown>>10, 3*requests)
		if grown > most && raceFlags == nil {
			t.Errorf("grown by %d bytes, at most %d expected", grown, most)
		}
		p.Stop()
	})
}

// served makes so many requests, some at a time. One connection in a hundred requests is closed.
func served(t *testing.T, addr string, requests int) {
	t.Helper()
	const clients, perConnection = 16, 100
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for range requests / clients / perConnection {
				if err := series(addr, c, perConnection); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// series makes so many requests on one connection, ten at a time; one in ten has a body.
func series(addr string, client, requests int) error {
	c, err := net.DialTimeout("tcp", addr, hang)
	if err != nil {
		return err
	}
	defer c.Close()
	const pipelined = 10
	target, sent := fmt.Sprintf("/%d", client), strings.Repeat("b", 8000)
	batch := Request("POST", target, "x.test", sent) +
		strings.Repeat(Request("GET", target, "x.test", ""), pipelined-1)
	posted, got := SumText("POST", target, sent), SumText("GET", target, "")
	in := bufio.NewReader(c)
	for range requests / pipelined {
		if err := c.SetDeadline(time.Now().Add(hang)); err != nil {
			return err
		}
		if _, err := io.WriteString(c, batch); err != nil {
			return err
		}
		for i := range pipelined {
			want := got
			if i == 0 {
				want = posted
			}
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				return err
			}
			body, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != http.StatusOK || string(body) != want+"\n" {
				return fmt.Errorf("status %d, body %q, %v", res.StatusCode, body, err)
			}
		}
	}
	return nil
}
