package e2e

import (
	"testing"
	"time"
)

// A proxy that may have 128 files open and has 300 clients: those it has are served, on the one upstream connection
// that is there, the others when the first have left. Meanwhile it does not spin.
func TestDescriptorsExhausted(t *testing.T) {
	const files, clients = 128, 300
	Engines(t, func(t *testing.T, engine string) {
		up, addr := NewChecking(t), FreeAddr(t, "127.0.0.1")
		p := StartWithFiles(t, files, Config(up.URL, addr), "--engine", engine, "--shards", "1")
		first := Raw(t, addr)
		askRaw(t, first)
		crowd := []*Wire{first}
		for len(crowd) < clients {
			crowd = append(crowd, Raw(t, addr)) // the kernel connects those whom the proxy cannot accept yet
		}
		askRaw(t, first) // a turn later it has accepted as many as it can
		const served = 50
		for _, w := range crowd[:served] {
			askRaw(t, w)
		}
		exhausted := time.NewTimer(2 * time.Second) // time to spin, if it does
		<-exhausted.C
		for i, w := range crowd { // each leaves and makes room for one who waits
			askRaw(t, w)
			if i >= served {
				askRaw(t, w)
			}
			w.Close()
		}
		p.Stop()
		// Each client and each request takes some turns, and so does each look whether there is room again.
		n, most := p.Turns(), 50*clients
		t.Logf("the engine turned %d times", n)
		if n > most {
			t.Errorf("more than %d turns: it spins", most)
		}
	})
}
