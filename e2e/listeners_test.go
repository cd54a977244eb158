package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// byHand has the configuration read when the test says so, and only then.
const byHand = "[reload]\nwatch = false\n"

// refusedAt waits until nobody listens at addr, which takes a moment after a reload.
func refusedAt(t *testing.T, addr string) {
	t.Helper()
	for deadline := time.Now().Add(hang); ; {
		c, err := net.DialTimeout("tcp", addr, hang)
		if err != nil {
			return
		}
		c.Close()
		if time.Now().After(deadline) {
			t.Fatalf("%s is still listened on", addr)
		}
	}
}

// Listeners come, move and go while another one is under load.
func TestListenersUnderLoad(t *testing.T) {
	up := NewChecking(t)
	Engines(t, func(t *testing.T, engine string) {
		steady, first, second := FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		p := Start(t, byHand+Config(up.URL, steady), "--engine", engine)
		load := startWrk(t, "http://"+steady+"/wrk", 32, 2*time.Second)
		n := 0
		change := func(addrs ...string) {
			n++
			p.Rewrite(byHand + Config(up.URL, addrs...))
			p.WaitOutput(reloaded, n)
		}
		for load.running() {
			change(steady, first)
			kept := Raw(t, first)
			askRaw(t, kept)
			change(steady, second) // l1 has moved
			askRaw(t, Raw(t, second))
			kept.ExpectEOF()
			change(steady)
		}
		load.check()
		refusedAt(t, first)
		refusedAt(t, second)
		p.Stop()
		t.Logf("%d reloads", n)
		out := p.Output()
		if strings.Contains(out, " errors (") || strings.Contains(out, "takes effect at the next start") {
			t.Errorf("the proxy counted errors, or waits for a start:\n%s", out)
		}
	})
}

// A response that is on its way when its listener is removed goes on to its end, and its connection ends with it.
func TestRemovedListenerWhileStreaming(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		goOn := make(chan struct{})
		up := NewScripted(t, func(p *Peer) {
			p.ReadRequest()
			p.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
			<-goOn
			p.Send("-last")
			p.ReadRequest()
			p.Send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext")
			p.WaitClosed()
		})
		a, b := FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		p := Start(t, byHand+Config(up.URL(), a, b), "--engine", engine)
		running, other := Raw(t, b), Raw(t, a)
		for _, w := range []*Wire{running, other} {
			w.Send(Request("GET", "/stream", "x.test", ""))
			w.Expect("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
		}
		p.Rewrite(byHand + Config(up.URL(), a))
		p.WaitOutput(reloaded, 1)
		refusedAt(t, b)
		close(goOn)
		running.Expect("-last")
		running.ExpectEOF()
		other.Expect("-last")
		other.Send(Request("GET", "/next", "x.test", ""))
		if res := other.ReadResponse("GET"); res.Text != "next" {
			t.Errorf("%d %q", res.StatusCode, res.Text)
		}
		p.Stop()
	})
}

// A reload that needs an address which another program has is refused as a whole, and works when it is free.
func TestReloadWithBusyAddress(t *testing.T) {
	up := NewChecking(t)
	Engines(t, func(t *testing.T, engine string) {
		other, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		a, b, busy := FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1"), other.Addr().String()
		p := Start(t, byHand+Config(up.URL, a), "--engine", engine)
		w := Raw(t, a)
		askRaw(t, w)
		p.Rewrite(byHand + Config(up.URL, b, busy))
		p.WaitOutput(notReloaded, 1)
		p.WaitOutput("address already in use", 1)
		p.WaitOutput(busy, 1)
		askRaw(t, w)
		askRaw(t, Raw(t, a))
		refusedAt(t, b)
		other.Close()
		p.Rewrite(byHand + Config(up.URL, b, busy) + "# now it is free\n")
		p.WaitOutput(reloaded, 1)
		askRaw(t, Raw(t, b))
		askRaw(t, Raw(t, busy))
		refusedAt(t, a)
		p.Stop()
	})
}

// A unix socket's file comes and goes with its listener.
func TestUnixListenerComesAndGoes(t *testing.T) {
	up := NewChecking(t)
	Engines(t, func(t *testing.T, engine string) {
		addr, path := FreeAddr(t, "127.0.0.1"), filepath.Join(t.TempDir(), "l.sock")
		p := Start(t, byHand+Config(up.URL, addr), "--engine", engine)
		for i := range 5 {
			p.Rewrite(byHand + Config(up.URL, addr, "unix:"+path))
			p.WaitOutput(reloaded, 2*i+1)
			askRaw(t, Raw(t, "unix:"+path))
			p.Rewrite(byHand + Config(up.URL, addr))
			p.WaitOutput(reloaded, 2*i+2)
			if _, err := os.Lstat(path); !os.IsNotExist(err) {
				t.Errorf("the file of a listener that was removed: %v", err)
			}
		}
		p.Rewrite(byHand + Config(up.URL, addr, "unix:"+path))
		p.WaitOutput(reloaded, 11)
		askRaw(t, Raw(t, "unix:"+path))
		p.Stop()
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Errorf("the file after the end: %v", err)
		}
	})
}

// descriptors is how many files the proxy has open.
func (p *Proxy) descriptors() int {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid()))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(entries)
}

// However often listeners come and go, the process has no more files open than before.
func TestListenersLeakNothing(t *testing.T) {
	up := NewChecking(t)
	Engines(t, func(t *testing.T, engine string) {
		a, b := FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		p := Start(t, byHand+Config(up.URL, a), "--engine", engine)
		p.Rewrite(byHand + Config(up.URL, a) + "# the same\n")
		p.WaitOutput(reloaded, 1)
		before := p.descriptors()
		const rounds = 100
		for i := range rounds {
			p.Rewrite(byHand + Config(up.URL, a, b))
			p.WaitOutput(reloaded, 2*i+2)
			p.Rewrite(byHand + Config(up.URL, a))
			p.WaitOutput(reloaded, 2*i+3)
		}
		refusedAt(t, b)
		for deadline := time.Now().Add(hang); p.descriptors() > before; {
			if time.Now().After(deadline) {
				t.Fatalf("%d files are open, %d before", p.descriptors(), before)
			}
		}
		p.Stop()
	})
}
