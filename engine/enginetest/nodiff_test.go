package enginetest_test

import (
	"math/rand/v2"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/enginetest"
	"github.com/uringproxy/uringproxy/engine/epoll"
	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/engine/uring"
)

// lossless are the faults that change when and in which pieces things happen, but not what.
var lossless = sim.Faults{
	ShortRead: 0.3, ShortSend: 0.3, Delay: 0.3, NoBufs: 0.1, CancelData: 0.5, EndEarly: 0.2, NoFiles: 0.1,
}

// backends are those that this machine can run.
func backends(t testing.TB) map[string]enginetest.Harness {
	t.Helper()
	all := map[string]enginetest.Harness{
		"epoll":      enginetest.Kernel(func() engine.Backend { return epoll.New() }),
		"sim faulty": enginetest.Virtual(7, lossless),
	}
	support, err := uring.Probe()
	if err != nil {
		t.Logf("without io_uring: %v", err)
		return all
	}
	for _, tier := range []string{uring.T1, uring.T2, uring.T3} {
		if len(support.Lacks(tier)) == 0 {
			opt := uring.Options{Tier: tier}
			all["uring "+tier] = enginetest.Kernel(func() engine.Backend { return uring.New(opt) })
		}
	}
	return all
}

// FuzzNoDiff plays a script on every backend: what the contract determines must be the same everywhere.
func FuzzNoDiff(f *testing.F) { fuzz(f, enginetest.Play) }

// FuzzNoDiffDatagrams does so with UDP sockets.
func FuzzNoDiffDatagrams(f *testing.F) { fuzz(f, enginetest.PlayDatagrams) }

func fuzz(f *testing.F, play func(testing.TB, enginetest.Harness, []byte) string) {
	all := backends(f)
	reference := enginetest.Virtual(1, sim.Faults{})
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		script := make([]byte, 2*(8+rng.IntN(40)))
		for i := range script {
			script[i] = byte(rng.Uint32())
		}
		f.Add(script)
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		want := play(t, reference, script)
		for name, h := range all {
			if got := play(t, h, script); got != want {
				t.Errorf("%s differs.\n--- sim:\n%s\n--- %s:\n%s", name, want, name, got)
			}
		}
	})
}
