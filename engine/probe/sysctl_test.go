//go:build sysctl

package probe

// These tests change a setting of the whole machine for some hundred microseconds, during which no process may open a
// ring. They are kept from ordinary runs by their build tag; `make test` runs them while nothing else of ours runs.

import (
	"os"
	"os/signal"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

const disabledPath = "/proc/sys/kernel/io_uring_disabled"

func init() {
	for _, v := range []string{"1", "2"} {
		obstacles["sysctl "+v] = func() (func(), error) { return disableUring(v) }
	}
}

// disableUring sets the sysctl, one process at a time, and sees to it that it is set back. For value 1, which
// spares root, the effective user is nobody until the result is called.
func disableUring(value string) (undo func(), err error) {
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "uringproxy-sysctl.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return nil, err
	}
	before, err := os.ReadFile(disabledPath)
	if err != nil {
		return nil, err
	}
	restore := func() {
		unix.Setresuid(-1, 0, -1) // only root may write it
		os.WriteFile(disabledPath, before, 0)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	go func() {
		<-ended
		restore()
		os.Exit(1)
	}()
	if err := os.WriteFile(disabledPath, []byte(value), 0); err != nil {
		return nil, err
	}
	if value == "1" {
		if err := unix.Setresuid(-1, 65534, -1); err != nil {
			restore()
			return nil, err
		}
	}
	return func() {
		restore()
		lock.Close()
	}, nil
}

func TestFallBackBySysctl(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may set kernel.io_uring_disabled")
	}
	before, err := os.ReadFile(disabledPath)
	if err != nil {
		t.Skipf("this kernel has no such sysctl (Linux 6.6): %v", err)
	}
	t.Cleanup(func() { // the child has done so already, unless it was killed
		if now, _ := os.ReadFile(disabledPath); string(now) != string(before) {
			os.WriteFile(disabledPath, before, 0)
		}
	})
	t.Run("2", func(t *testing.T) {
		runChild(t, "sysctl 2", false).expect(t, unix.EPERM, "kernel.io_uring_disabled=2", "sysctl -w")
	})
	t.Run("1", func(t *testing.T) {
		runChild(t, "sysctl 1", false).expect(t, unix.EPERM, "kernel.io_uring_disabled=1", "kernel.io_uring_group")
	})
	if now, _ := os.ReadFile(disabledPath); string(now) != string(before) {
		t.Errorf("the sysctl is %q afterwards, was %q", now, before)
	}
}
