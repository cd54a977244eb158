package e2e

import (
	"fmt"
	"testing"
)

// idleBytes is what an idle connection may cost in user space. The bound is generous; the log has the figure.
const idleBytes = 1500

// Eighteen thousand connections that have nothing to say: each was served, each costs little and no goroutine or thread
// of its own, each is still served.
func TestIdleConnections(t *testing.T) {
	const count, spare = 18_000, 16 // spare are for the runtime, which takes threads as it needs them
	Engines(t, func(t *testing.T, engine string) {
		up, addr, at := NewChecking(t), FreeAddr(t, "127.0.0.1"), FreeAddr(t, "127.0.0.1")
		p := Start(t, Config(up.URL, addr)+fmt.Sprintf(unwatched, at)+
			"[limits]\nmax_connections = 19000\n[timeouts]\nidle = \"10m\"\n", "--engine", engine)
		warm := NewCrowd(t, addr, 100)
		warm.Ask()
		goroutines, threads := metric(t, at, "uringproxy_go_goroutines"), len(p.ThreadNames())
		before := p.AnonBytes()
		crowd := NewCrowd(t, addr, count)
		crowd.Ask()
		if n := p.Sockets(); n < count {
			t.Errorf("%d sockets are open for %d clients", n, count)
		}
		each := (p.AnonBytes() - before) / count
		t.Logf("%d bytes of user space per idle connection", each)
		if each > idleBytes && raceFlags == nil {
			t.Errorf("%d bytes per idle connection, want at most %d", each, idleBytes)
		}
		goroutinesNow, threadsNow := metric(t, at, "uringproxy_go_goroutines"), len(p.ThreadNames())
		t.Logf("%d goroutines and %d threads with 100 clients, %d and %d with %d more", goroutines, threads,
			goroutinesNow, threadsNow, count)
		if goroutinesNow > goroutines+spare || threadsNow > threads+spare {
			t.Error("they grow with the clients")
		}
		crowd.Ask()
		crowd.Leave()
		warm.Ask()
		warm.Leave()
		p.Stop()
	})
}
