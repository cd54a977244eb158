package e2e

import (
	"regexp"
	"syscall"
	"testing"
)

// A goroutine that was there when the runtime was told to show them all.
var goroutine = regexp.MustCompile(`(?m)^goroutine \d+ `)

// Goroutines ends the process by SIGQUIT, upon which Go's runtime shows every goroutine, and returns their number.
func (p *Proxy) Goroutines() int {
	p.t.Helper()
	p.Signal(syscall.SIGQUIT)
	p.Wait()
	n := len(goroutine.FindAllString(p.Output(), -1))
	if n == 0 {
		p.t.Fatalf("the runtime has shown no goroutines:\n%s", p.Output())
	}
	return n
}

// Ten thousand clients, each of which was served and is connected, cost no goroutine and no thread: there are as many
// as with ten.
func TestNoGoroutinePerConnection(t *testing.T) {
	const few, many, spare = 10, 10_000, 4 // of the runtime's own
	Engines(t, func(t *testing.T, engine string) {
		count := func(clients int) (goroutines, threads int) {
			up, addr := NewChecking(t), FreeAddr(t, "127.0.0.1")
			p := Start(t, Config(up.URL, addr)+"[limits]\nmax_connections = 11000\n[timeouts]\nidle = \"10m\"\n",
				"--engine", engine)
			crowd := NewCrowd(t, addr, clients)
			crowd.Ask()
			crowd.Ask() // nobody has lost the connection
			if n := p.Sockets(); n < clients {
				t.Errorf("%d sockets are open for %d clients", n, clients)
			}
			threads = len(p.ThreadNames())
			goroutines = p.Goroutines()
			crowd.Leave()
			return goroutines, threads
		}
		before, threadsBefore := count(few)
		after, threads := count(many)
		t.Logf("%d goroutines and %d threads with %d clients, %d and %d with %d", before, threadsBefore, few, after,
			threads, many)
		if after > before+spare || threads > threadsBefore+spare {
			t.Error("they grow with the clients")
		}
	})
}
