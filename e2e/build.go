// Package e2e runs the real program against real clients and upstreams, for tests only.
//
// Start runs uringproxy itself, Nginx and HAProxy run as its upstreams, Checking and Scripted are upstreams of our own
// (one that proves that nothing was mixed up, one that misbehaves as told), and Raw is a client that speaks raw bytes.
//
// Invariants: everything listens on the loopback interface or on unix sockets in the test's own directory; what a test
// started is gone when it ends, also when the test binary is killed; the time limits here only end tests that hang,
// and no result depends on how fast the machine is.
//
// It is imported by tests only.
package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// hang is how long anything may take before it counts as hanging.
const hang = 30 * time.Second

const module = "github.com/uringproxy/uringproxy"

var build struct {
	sync.Once
	dir, binary string
	err         error
	output      []byte
}

// Build builds cmd/uringproxy, once for all tests, and returns the program's path. It is built with the race detector
// and with the tag invariant when the tests are.
func Build(t testing.TB) string {
	t.Helper()
	build.Do(func() {
		if build.dir, build.err = os.MkdirTemp("", "uringproxy-e2e-"); build.err != nil {
			return
		}
		build.binary = filepath.Join(build.dir, "uringproxy")
		args := append(append([]string{"build", "-o", build.binary}, raceFlags...), tagFlags...)
		build.output, build.err = exec.Command("go", append(args, module+"/cmd/uringproxy")...).CombinedOutput()
	})
	if build.err != nil {
		t.Fatalf("build uringproxy: %v\n%s", build.err, build.output)
	}
	return build.binary
}

// Main is for TestMain: it runs the tests and removes what Build made, or it is a Crowd's member.
func Main(m *testing.M) int {
	if spec := os.Getenv(crowdEnv); spec != "" {
		return crowdMember(spec)
	}
	code := m.Run()
	if build.dir != "" {
		_ = os.RemoveAll(build.dir)
	}
	return code
}
