package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// ready is what the proxy's log says when it accepts connections.
const ready = "msg=ready"

// Proxy is a running uringproxy.
type Proxy struct {
	*process
	// Dir is the test's directory, Config the configuration file in it.
	Dir, Config string
}

// Start writes config to a file and runs "uringproxy run --config FILE" with args behind. It returns when the proxy
// accepts connections. When the test ends, the proxy is killed, unless Stop was called.
func Start(t testing.TB, config string, args ...string) *Proxy {
	t.Helper()
	p := Launch(t, config, args...)
	p.WaitOutput(ready, 1)
	return p
}

// StartWithFiles is Start for a proxy that may have only so many files open.
func StartWithFiles(t testing.TB, files int, config string, args ...string) *Proxy {
	t.Helper()
	p := launchProxy(t, files, nil, config, args)
	p.WaitOutput(ready, 1)
	return p
}

// Launch is Start for a proxy that need not come up.
func Launch(t testing.TB, config string, args ...string) *Proxy {
	t.Helper()
	return launchProxy(t, 0, nil, config, args)
}

// launchProxy starts a proxy, which may have only so many files open; 0: as many as the test. env is added to its
// environment.
func launchProxy(t testing.TB, files int, env []string, config string, args []string) *Proxy {
	t.Helper()
	p := &Proxy{Dir: t.TempDir()}
	p.Config = filepath.Join(p.Dir, "uringproxy.toml")
	if err := os.WriteFile(p.Config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(Build(t), append([]string{"run", "--config", p.Config}, args...)...)
	if files > 0 {
		limit := fmt.Sprintf("ulimit -n %d; exec \"$@\"", files)
		cmd = exec.Command("sh", append([]string{"-c", limit, "sh"}, cmd.Args...)...)
	}
	cmd.Dir, cmd.Env = p.Dir, append(os.Environ(), env...)
	p.process = launch(t, cmd)
	return p
}

// nothingHeld is what the log says at the end of a proxy that has given everything back.
const nothingHeld = "held.connections=0 held.exchanges=0 held.chunks=0 held.buffers=0"

// Stop asks the proxy to end and checks that it drains, cuts nothing off, gives everything back and exits with code 0.
func (p *Proxy) Stop() {
	p.t.Helper()
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(); code != 0 {
		p.t.Errorf("uringproxy exited with code %d after SIGTERM, want 0", code)
	}
	if out := p.Output(); !strings.Contains(out, nothingHeld) || strings.Contains(out, "requests cut off") {
		p.t.Errorf("uringproxy has not finished what it had begun, or kept something:\n%s", out)
	}
}

// Rewrite replaces the configuration file and asks the proxy to read it. How the proxy took it is in its output.
func (p *Proxy) Rewrite(config string) {
	p.t.Helper()
	p.Replace(config)
	p.Signal(syscall.SIGHUP)
}

// Replace puts another configuration file in the place of the old one, at once, so that nobody reads half of it.
func (p *Proxy) Replace(config string) {
	p.t.Helper()
	next := p.Config + ".new"
	if err := os.WriteFile(next, []byte(config), 0o600); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Rename(next, p.Config); err != nil {
		p.t.Fatal(err)
	}
}

// Engines runs test once with each engine that this machine has, as a subtest of the engine's name.
func Engines(t *testing.T, test func(t *testing.T, engine string)) {
	t.Run("epoll", func(t *testing.T) { test(t, "epoll") })
	t.Run("uring", func(t *testing.T) {
		if err := uringMissing(); err != nil {
			t.Skipf("io_uring cannot be used here: %v", err)
		}
		test(t, "uring")
	})
}

// uringMissing asks the kernel for a ring with an address that it must refuse: EFAULT means that rings can be had, any
// other error why they cannot.
func uringMissing() error {
	var none unsafe.Pointer
	_, _, errno := syscall.Syscall(sysIOURingSetup, 1, uintptr(none), 0)
	if errors.Is(errno, syscall.EFAULT) {
		return nil
	}
	return errno
}

const sysIOURingSetup = 425 // the same on every architecture
