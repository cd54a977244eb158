package e2e

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

// crowded connects count clients, some at a time, each of which asks once. They stay until the test ends.
func crowded(t *testing.T, addr string, config *tls.Config, count int) []*Wire {
	t.Helper()
	const workers = 8
	wires := make([]*Wire, count)
	each := func(do func(i int) error) {
		t.Helper()
		var all sync.WaitGroup
		errs := make(chan error, workers)
		for w := range workers {
			all.Go(func() {
				for i := w; i < count; i += workers {
					if err := do(i); err != nil {
						errs <- fmt.Errorf("client %d: %w", i, err)
						return
					}
				}
			})
		}
		all.Wait()
		close(errs)
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, w := range wires {
			if w != nil {
				w.Close()
			}
		}
	})
	each(func(i int) error {
		c, err := net.DialTimeout("tcp", addr, hang)
		if err != nil {
			return err
		}
		wires[i] = newWire(quiet{t}, tls.Client(c, config))
		return wires[i].asks(i)
	})
	each(func(i int) error { return wires[i].asks(i) })
	return wires
}

// asks makes a request, and says whether the response is the right one. The first one shakes hands.
func (w *Wire) asks(i int) error {
	w.guard()
	target := fmt.Sprint("/", i)
	if _, err := io.WriteString(w.conn, Request("GET", target, "x.test", "")); err != nil {
		return err
	}
	res, err := http.ReadResponse(w.in, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	return CheckBody(res.Body, SumText("GET", target, ""), 65)
}

// A thousand connections over TLS at one time cost no goroutine each, where the shards have the records.
func TestTLSThousandConnections(t *testing.T) {
	const count, spare = 1000, 64
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr, at := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		p := mode.Start(t, Config(NewChecking(t).URL)+fmt.Sprintf(unwatched, at)+
			SecureListener("s", addr, ca.Issue([]string{"x.test"})))
		before := metric(t, at, "uringproxy_go_goroutines")
		wires := crowded(t, addr, versions(ca, "x.test")["1.3"], count)
		if n := metric(t, at, "uringproxy_tls_connections_open"); n != count {
			t.Errorf("%d connections are counted, want %d", n, count)
		}
		if more := metric(t, at, "uringproxy_go_goroutines") - before; more > spare && !mode.Relayed {
			t.Errorf("%d goroutines more for %d connections", more, count)
		}
		for _, w := range wires {
			w.Close()
		}
		for _, name := range tlsGauges {
			settles(t, at, name, 0)
		}
		p.Stop()
	})
}

// helloOf is a ClientHello as it goes over the wire.
func helloOf(t *testing.T, config *tls.Config) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	go func() {
		_, _ = bufio.NewReader(theirs).ReadByte()
		theirs.Close()
	}()
	c := &recorded{Conn: ours}
	_ = tls.Client(c, config).Handshake() // nobody answers
	ours.Close()
	return c.first
}

// halfOpen connects count clients that say nothing, a part of their hello, or all of it and no more.
func halfOpen(t *testing.T, addr string, hello []byte, count int) (wires []*Wire) {
	t.Helper()
	for i := range count {
		w := Raw(t, addr)
		wires = append(wires, w)
		switch i % 3 {
		case 1:
			w.Send(string(hello[:1+i%(len(hello)-1)]))
		case 2:
			w.Send(string(hello))
		}
	}
	return wires
}

// Two thousand connections that never finish their handshakes, and hundreds that do: those that were there before go
// on without one error, and those that mean it come through.
func TestTLSHandshakeFlood(t *testing.T) {
	const established, idle, full = 32, 2000, 400
	Modes(t, func(t *testing.T, mode Mode) {
		ca, addr := NewAuthority(t, "ca"), FreeAddr(t, "127.0.0.1")
		p := mode.Start(t, Config(NewChecking(t).URL)+SecureListener("s", addr, ca.Issue([]string{"x.test"})))
		c := versions(ca, "x.test")["1.3"]
		c.CurvePreferences = []tls.CurveID{tls.CurveP256}
		var over atomic.Bool
		var all sync.WaitGroup
		var asked atomic.Int64
		for i, w := range crowded(t, addr, c, established) {
			all.Go(func() {
				for !over.Load() {
					if err := w.asks(i); err != nil {
						t.Errorf("established connection %d: %v", i, err)
						return
					}
					asked.Add(1)
				}
			})
		}
		open := halfOpen(t, addr, helloOf(t, c), idle)
		crowded(t, addr, c, full)
		over.Store(true)
		all.Wait()
		t.Logf("%d requests during the flood", asked.Load())
		if asked.Load() < established {
			t.Error("the established connections stood still")
		}
		for _, w := range open {
			w.Close()
		}
		p.Stop()
	})
}
