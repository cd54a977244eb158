package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	reloaded    = `msg="configuration reloaded"`
	notReloaded = `msg="configuration not reloaded`
)

// Services come and go under load without one error.
func TestReloadUnderLoad(t *testing.T) {
	one, two := hello(t), hello(t)
	Engines(t, func(t *testing.T, engine string) {
		addr := FreeAddr(t, "127.0.0.1")
		p := Start(t, Config(one.URL(), addr), "--engine", engine)
		load := startWrk(t, "http://"+addr+"/", 64, 2*time.Second)
		n := 0
		for load.running() {
			n++
			config := Config([]string{one.URL(), two.URL()}[n%2], addr)
			config += fmt.Sprintf("[routes.r%d]\nhost = \"h%d.test\"\nservice = \"all\"\n", n, n)
			p.Rewrite(config)
			p.WaitOutput(reloaded, n)
		}
		requests := load.check()
		p.Stop()
		t.Logf("%d reloads during %d requests", n, requests)
		if strings.Contains(p.Output(), " errors (") || strings.Contains(p.Output(), notReloaded) {
			t.Errorf("the proxy counted errors:\n%s", p.Output())
		}
	})
}

// A response that is on its way when its service is removed goes on to its end; the next request of the same connection
// goes to the new service, and what is pooled for the old one is closed.
func TestReloadWhileStreaming(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		goOn, closed := make(chan struct{}), make(chan int, 2)
		old := NewScripted(t, func(p *Peer) {
			p.ReadRequest()
			p.Send("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nfirst,")
			if p.N == 1 {
				<-goOn
			}
			p.Send(" last")
			p.WaitClosed()
			closed <- p.N
		})
		t.Cleanup(func() { // before the upstream waits for its scripts, also when the test fails
			select {
			case <-goOn:
			default:
				close(goOn)
			}
		})
		next, addr := NewChecking(t), FreeAddr(t, "127.0.0.1")
		p := Start(t, Config(old.URL(), addr), "--engine", engine, "--shards", "1")
		running, idle := Raw(t, addr), Raw(t, addr)
		running.Send(Request("GET", "/stream", "x.test", ""))
		running.Expect("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nfirst,")
		idle.Send(Request("GET", "/pooled", "x.test", ""))
		if res := idle.ReadResponse("GET"); res.Text != "first, last" {
			t.Errorf("%d %q", res.StatusCode, res.Text)
		}
		p.Rewrite(Config(next.URL, addr))
		p.WaitOutput(reloaded, 1)
		if n := <-closed; n != 2 {
			t.Errorf("connection %d was closed, want the pooled one", n)
		}
		askRaw(t, idle)
		askRaw(t, Raw(t, addr))
		close(goOn)
		running.Expect(" last")
		if n := <-closed; n != 1 {
			t.Errorf("connection %d was closed, want the one that has become free", n)
		}
		askRaw(t, running)
		p.Stop()
	})
}

// A faulty file changes nothing, and every fault is logged.
func TestReloadOfFaultyFile(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		up, addr := NewChecking(t), FreeAddr(t, "127.0.0.1")
		good := Config(up.URL, addr)
		p := Start(t, good, "--engine", engine)
		w := Raw(t, addr)
		askRaw(t, w)
		p.Rewrite(good + "[limits]\nline_byts = \"1KiB\"\n[routes.two]\nservice = \"missing\"\n")
		p.WaitOutput(notReloaded, 1)
		p.WaitOutput(`msg="configuration fault"`, 2)
		for _, text := range []string{"key=limits.line_byts", "key=routes.two.service", "line_bytes"} {
			p.WaitOutput(text, 1)
		}
		askRaw(t, w)
		askRaw(t, Raw(t, addr))
		p.Rewrite("this is [no TOML")
		p.WaitOutput(notReloaded, 2)
		askRaw(t, w)
		p.Rewrite(good)
		p.WaitOutput(reloaded, 1)
		askRaw(t, w)
		p.Stop()
	})
}
