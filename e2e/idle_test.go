package e2e

import "testing"

// idleBytes is what an idle connection may cost in user space. The bound is generous; the log has the figure.
const idleBytes = 1500

// Eighteen thousand connections that have nothing to say: each was served, each costs little, each is still served.
func TestIdleConnections(t *testing.T) {
	const count = 18_000
	Engines(t, func(t *testing.T, engine string) {
		up, addr := NewChecking(t), FreeAddr(t, "127.0.0.1")
		p := Start(t, Config(up.URL, addr)+"[limits]\nmax_connections = 19000\n[timeouts]\nidle = \"10m\"\n",
			"--engine", engine)
		warm := NewCrowd(t, addr, 100)
		warm.Ask()
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
		crowd.Ask()
		crowd.Leave()
		warm.Ask()
		warm.Leave()
		p.Stop()
	})
}
