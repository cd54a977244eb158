package uring

import (
	"runtime"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/enginetest"
)

func TestSuite(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) { runSuite(t, Options{Tier: tier}) })
}

// TestSuiteOldest runs the suite as on Linux 5.19, where a stream is made of single receives and task work is
// not deferred.
func TestSuiteOldest(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		if tier == T1 {
			runSuite(t, Options{Tier: tier, oldest: true})
		}
	})
}

func TestSuiteMinWait(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		if tier == T2 {
			enginetest.Run(t, enginetest.Kernel(func() engine.Backend {
				runtime.LockOSThread()
				b := New(Options{Tier: tier, MinWait: 20 * time.Microsecond})
				b.Expect(gatherShare * gatherMost)
				return watched{b, t}
			}))
		}
	})
}

func runSuite(t *testing.T, opt Options) {
	enginetest.Run(t, enginetest.Kernel(func() engine.Backend {
		runtime.LockOSThread() // a ring belongs to its thread; it ends with the case's goroutine
		return watched{New(opt), t}
	}))
}

// watched checks at the end of a case that the kernel needed no worker thread.
type watched struct {
	*Backend
	t *testing.T
}

func (w watched) Shutdown() {
	if n := workers(w.t); n != 0 {
		w.t.Errorf("the kernel runs %d worker threads for the ring", n)
	}
	w.Backend.Shutdown()
}
