package server

import (
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
)

// echoing answers every datagram with what is in it and its own name.
func echoing(t *testing.T, name string) plan.Endpoint {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 2000)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(append(b[:n:n], name...), from)
		}
	}()
	return plan.Endpoint{Name: name, Addr: c.LocalAddr().(*net.UDPAddr).AddrPort(), Weight: 1}
}

// client is one of UDP.
type client struct {
	t *testing.T
	*net.UDPConn
}

func clientOf(t *testing.T, l *plan.Listener) client {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(l.Addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return client{t, c}
}

// ask sends what until an answer to it comes, or nobody is there. Datagrams may be lost while sockets come and go.
func (c client) ask(what string) (string, error) {
	c.t.Helper()
	b := make([]byte, 2000)
	for range 100 {
		_, err := c.Write([]byte(what))
		if err == nil {
			_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
			var n int
			if n, err = c.Read(b); err == nil {
				return string(b[:n]), nil
			}
		}
		if errors.Is(err, unix.ECONNREFUSED) {
			return "", err
		}
	}
	c.t.Fatalf("%s: no answer", what)
	return "", nil
}

// Listeners for datagrams come and go while the process runs, one for TCP may have the same address, and sessions go on
// as long as their listener is there.
func TestUDPListenersComeAndGo(t *testing.T) {
	onEachEngine(t, func(t *testing.T, r *rig) {
		table, err := routing.CompileStreams([]routing.Route{{Name: "echo"}})
		if err != nil {
			t.Fatal(err)
		}
		r.snap.Services = append(r.snap.Services, plan.Service{
			Name: "echo", ID: 1, Datagrams: true, Endpoints: []plan.Endpoint{echoing(t, "!")}, Cycle: []uint16{0},
		})
		r.snap.Services[1].Endpoints[0].ID = 1
		r.snap.Streams = []plan.Stream{{Name: "echo", Service: 1}}
		web := tcp(free(t))
		one, other := udpListener(web.Name), udpListener(free(t))
		one.Streams, other.Streams = table, table
		if err := r.try(web, one, gone(other)); err != nil {
			t.Fatal(err)
		}
		r.adopted()
		stays := clientOf(t, &one)
		for i := range 20 { // clients of both shards
			for _, c := range []client{stays, clientOf(t, &one)} {
				what := fmt.Sprint("first ", i)
				if got, err := c.ask(what); got != what+"!" {
					t.Fatalf("%q, %v", got, err)
				}
			}
		}
		get(t, web.Name, 1)
		for round := range 3 {
			next, was := one, gone(other)
			if round%2 == 0 {
				next, was = gone(one), other
			}
			if err := r.try(web, next, was); err != nil {
				t.Fatal(err)
			}
			r.adopted()
			here, away := &one, &other
			if round%2 == 0 {
				here, away = away, here
			}
			if got, err := clientOf(t, here).ask("here"); got != "here!" {
				t.Errorf("round %d: %q, %v", round, got, err)
			}
			for err := error(nil); !errors.Is(err, unix.ECONNREFUSED); { // the sockets close when the turn ends
				_, err = clientOf(t, away).ask("away")
			}
		}
		get(t, web.Name, 1)
		m := r.metrics.Snapshot()
		if n := m.PassagesBegan(metrics.Sessions); n < 21 {
			t.Errorf("%d sessions", n)
		}
		sent, got := m.Counter(metrics.DatagramsFromClients), m.Counter(metrics.DatagramsToClients)
		if got < 40 || sent < got {
			t.Errorf("%d datagrams from clients, %d to them", sent, got)
		}
	})
}
