package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// process is a program that runs beside a test.
type process struct {
	t      testing.TB
	name   string
	cmd    *exec.Cmd
	output output
	ended  chan struct{} // closed when it has ended; cmd.ProcessState is valid then
}

// launch starts a program. At the test's end it is killed if it still runs, and its output is shown if the test failed.
//
// The program gets SIGKILL when the thread that started it ends, that is with the test binary: a test that
// panics or times out leaves nothing behind. So one thread is kept for it.
func launch(t testing.TB, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, name: cmd.Args[0], cmd: cmd, ended: make(chan struct{})}
	p.output.changed = make(chan struct{})
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the state tells more than the error
			close(p.ended)
			p.output.wake()
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	t.Cleanup(p.cleanup)
	return p
}

func (p *process) cleanup() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
	if p.t.Failed() {
		p.t.Logf("output of %s:\n%s", strings.Join(p.cmd.Args, " "), p.output.String())
	}
}

// Pid is the process's id.
func (p *process) Pid() int { return p.cmd.Process.Pid }

// Output is what the process has written so far, to stdout and stderr.
func (p *process) Output() string { return p.output.String() }

// Signal sends a signal.
func (p *process) Signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("send %v to %s: %v", sig, p.name, err)
	}
}

// Freeze stops the process, and returns when it does nothing any more: a signal takes effect some time after it was
// sent.
func (p *process) Freeze() {
	p.t.Helper()
	p.Signal(syscall.SIGSTOP)
	for {
		err := unix.Waitid(unix.P_PID, p.cmd.Process.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil)
		if err == nil {
			return
		}
		if err != unix.EINTR {
			p.t.Fatalf("wait until %s has stopped: %v", p.name, err)
		}
	}
}

// Wait waits for the process to end and returns its exit code; -1 when a signal ended it.
func (p *process) Wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(hang):
		p.t.Fatalf("%s does not end", p.name)
	}
	return p.cmd.ProcessState.ExitCode()
}

// WaitOutput waits until the process has written text for the nth time, counted from 1.
func (p *process) WaitOutput(text string, n int) {
	p.t.Helper()
	p.waitOutput(text, n, hang)
}

// waitOutput is WaitOutput for what may take that long.
func (p *process) waitOutput(text string, n int, long time.Duration) {
	p.t.Helper()
	limit := time.After(long)
	for {
		changed := p.output.next()
		if strings.Count(p.output.String(), text) >= n {
			return
		}
		select {
		case <-changed:
		case <-p.ended:
			if strings.Count(p.output.String(), text) < n {
				p.t.Fatalf("%s ended with code %d and never wrote %q", p.name, p.cmd.ProcessState.ExitCode(), text)
			}
		case <-limit:
			p.t.Fatalf("%s has not written %q", p.name, text)
		}
	}
}

// output collects what a process writes and tells when there is more.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{} // closed and replaced at each change
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	o.buf.Write(p)
	o.mu.Unlock()
	o.wake()
	return len(p), nil
}

func (o *output) wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *output) next() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.changed
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
