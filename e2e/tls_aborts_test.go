package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// metric is the sum of all series of that name. Asking leaves no connection behind, which would count.
func metric(t *testing.T, at, name string) int64 {
	t.Helper()
	w := Raw(t, at)
	defer w.Close()
	w.Send("GET /metrics HTTP/1.1\r\nHost: " + at + "\r\nConnection: close\r\n\r\n")
	sum, found := 0.0, false
	for line := range strings.Lines(w.ReadResponse("GET").Text) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if base, _, _ := strings.Cut(series, "{"); !ok || base != name {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		do(t, err)
		sum, found = sum+v, true
	}
	if !found {
		t.Fatalf("there is no metric %s", name)
	}
	return int64(sum)
}

// settles asks for a metric until it is what it should be: what a client does takes effect some time later.
func settles(t *testing.T, at, name string, want int64) {
	t.Helper()
	limit := time.Now().Add(hang)
	for {
		got := metric(t, at, name)
		if got == want {
			return
		}
		if time.Now().After(limit) {
			t.Errorf("%s is %d, want %d", name, got, want)
			return
		}
	}
}

// tlsGauges are what is 0 when nobody is there.
var tlsGauges = []string{"uringproxy_tls_connections_open", "uringproxy_tls_hellos_awaited",
	"uringproxy_tls_handshakes_running", "uringproxy_tls_handshakes_waiting"}

// cutting is a connection that can send so many bytes, and then no more.
type cutting struct {
	net.Conn
	left int
}

func (c *cutting) Write(p []byte) (int, error) {
	if n := min(len(p), c.left); n < len(p) {
		_, _ = c.Conn.Write(p[:n])
		c.left = 0
		return n, io.ErrShortWrite
	}
	c.left -= len(p)
	return c.Conn.Write(p)
}

// abort connects, shakes hands and asks, as far as it gets, and is gone: by a reset, by an end, or after it has heard
// the end of the other side.
func abort(addr string, config *tls.Config, random *rand.Rand) error {
	c, err := net.DialTimeout("tcp", addr, hang)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(hang)); err != nil {
		return err
	}
	conn := tls.Client(&cutting{Conn: c, left: random.IntN(700)}, config)
	if conn.Handshake() == nil {
		_, _ = io.WriteString(conn, Request("GET", "/?n=100000", "x.test", "", "Connection: close"))
	}
	switch random.IntN(3) {
	case 0:
		return c.(*net.TCPConn).SetLinger(0)
	case 1:
		_ = c.(*net.TCPConn).CloseWrite() // the other side may have gone
		_, _ = io.Copy(io.Discard, c)
	}
	return nil
}

// aborted aborts count connections, some at a time; some resume sessions, some speak TLS 1.2.
func aborted(t *testing.T, addr string, ca *Authority, count, seed int) {
	t.Helper()
	const clients = 8
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(seed), uint64(client)))
			configs := []*tls.Config{}
			for _, c := range versions(ca, "x.test") {
				c.CurvePreferences = []tls.CurveID{tls.CurveP256} // is quick, and FIPS 140 knows it
				resuming := c.Clone()
				resuming.ClientSessionCache = oneSession()
				configs = append(configs, c, resuming)
			}
			for range count / clients {
				if err := abort(addr, configs[random.IntN(len(configs))], random); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

// Ten thousand clients that break off anywhere in their handshakes and shortly after: nothing is left of them, be it
// descriptors, goroutines, memory, or what is counted as being there.
func TestTLSAbortedHandshakes(t *testing.T) {
	const spare, most = 64, 8 << 20 // of goroutines, since those that have shaken hands wait for the next; of bytes
	up := NewChecking(t)
	Modes(t, func(t *testing.T, mode Mode) {
		count := 10_000
		switch {
		case mode.Relayed: // takes half a second to see some of them off
			count = 400
		case testing.Short():
			count = 2000
		}
		ca, addr, at := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		mode.env = append(mode.env, "GOMEMLIMIT=32MiB") // what is garbage does not count
		p := mode.Start(t, Config(up.URL)+fmt.Sprintf(unwatched, at)+
			SecureListener("s", addr, ca.Issue([]string{"x.test"})))
		aborted(t, addr, ca, count/4, 1)
		gone := func() {
			t.Helper()
			for _, name := range append([]string{"uringproxy_connections_open"}, tlsGauges...) {
				settles(t, at, name, 0)
			}
		}
		gone()
		warm, sockets, goroutines := p.AnonBytes(), p.Sockets(), metric(t, at, "uringproxy_go_goroutines")
		aborted(t, addr, ca, count, 2)
		gone()
		more := metric(t, at, "uringproxy_go_goroutines") - goroutines
		if n := p.Sockets(); n > sockets+spare || more > spare {
			t.Errorf("%d sockets before, %d after; %d goroutines more", sockets, n, more)
		}
		grown := p.AnonBytes() - warm
		t.Logf("%d KiB, and %d KiB more after %d connections", warm>>10, grown>>10, count)
		if grown > most && raceFlags == nil {
			t.Errorf("grown by %d bytes, at most %d expected", grown, most)
		}
		askRaw(t, Secure(t, addr, versions(ca, "x.test")["1.3"]))
		p.Stop()
	})
}
