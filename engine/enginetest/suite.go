// Package enginetest is the one suite that every backend passes: the contract of package engine, turned into cases.
//
// A case drives a backend as a shard does, through a rig that keeps its own account of each connection and fails at
// the first event that the contract does not allow. The other ends of the connections belong to a World: plain
// non-blocking sockets for the backends that talk to a kernel, and virtual peers for engine/sim. Whatever a case does,
// it ends by closing everything and finds every slot, buffer and descriptor given back.
//
// Nothing here depends on the machine's speed: a case waits for what must come, within a limit that only a
// hang reaches. The package is imported by tests only.
package enginetest

import (
	"runtime"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
)

// Harness says what the suite runs on.
type Harness struct {
	// New makes a backend that is not open yet, and the world that its sockets lead to.
	New func(t testing.TB) (engine.Backend, World)
	// Kernel is true when the sockets are the kernel's. Only then are there descriptors to run out of,
	// signals, and allocations that count.
	Kernel bool
	// Faulty is true when connects may be refused and connections reset for no reason, as engine/sim
	// does with faults switched on. Only cases that live with it are run then.
	Faulty bool
}

// Kernel is the harness of a backend on real sockets.
func Kernel(open func() engine.Backend) Harness {
	return Harness{
		Kernel: true,
		New:    func(t testing.TB) (engine.Backend, World) { return open(), newSockets(t) },
	}
}

// scope says on which harnesses a case makes sense.
type scope uint8

const (
	always scope = iota
	exact        // not with faults
	kernel       // only on real sockets
)

type testCase struct {
	name  string
	scope scope
	run   func(t *testing.T, h Harness)
}

func cases() []testCase {
	var all []testCase
	for _, group := range [][]testCase{
		acceptCases, connectCases, receiveCases, bufferCases, sendCases, pipeCases, leftCases, closeCases, pollCases,
		loadCases, datagramCases, datagramManyCases, datagramLoadCases,
	} {
		all = append(all, group...)
	}
	return all
}

// Run runs the suite, one subtest a case.
func Run(t *testing.T, h Harness) {
	for _, c := range cases() {
		if c.scope == exact && h.Faulty || c.scope == kernel && !h.Kernel {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			c.run(t, h)
		})
	}
}
