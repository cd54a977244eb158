// Package peer runs the programs of a measurement: each on its core, ended with whoever started it, and asked for the
// processor time and the memory that it and its descendants use.
//
// It knows nothing of what is measured. Only packages under perf import it.
package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a program may take to end when it is asked to, before it and all it started are killed.
const patience = 5 * time.Second

// Group is the processes of one measurement and the folder that they share. Its methods are safe for concurrent use.
type Group struct {
	Dir string

	mu        sync.Mutex
	processes []*Process
	stopped   bool
}

// NewGroup makes a group with an empty folder, which programs that give up root can read.
func NewGroup(prefix string) (*Group, error) {
	dir, err := os.MkdirTemp("", prefix+"-")
	if err != nil {
		return nil, fmt.Errorf("make folder: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("open folder to others: %w", err)
	}
	return &Group{Dir: dir}, nil
}

// Stop ends every process of the group, the last one started first, and removes the folder. Nothing can be started
// afterwards. It may be called again.
func (g *Group) Stop() {
	g.mu.Lock()
	processes := g.processes
	g.processes, g.stopped = nil, true
	g.mu.Unlock()
	for i := len(processes) - 1; i >= 0; i-- {
		processes[i].Stop()
	}
	_ = os.RemoveAll(g.Dir) // what is left is in the system's folder for such things
}

// Process is a program that was started.
type Process struct {
	Ended <-chan struct{} // closed when the program has ended

	cmd    *exec.Cmd
	output tail

	mu   sync.Mutex
	gone bool // the process's group was killed, and the ids of both may be somebody else's soon
}

// Start starts a program on one core. Stderr, and stdout if the caller has no use for it, are kept for error messages.
//
// The program leads a process group, so that ctrl-C reaches nobody but us, and gets SIGTERM when the thread that
// started it ends, that is with this process: a thread is kept for it, whose affinity it inherits.
func (g *Group) Start(core int, cmd *exec.Cmd) (*Process, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return nil, errors.New("start " + cmd.Args[0] + ": the measurement was stopped")
	}
	ended := make(chan struct{})
	p := &Process{Ended: ended, cmd: cmd}
	cmd.Stderr = &p.output
	if cmd.Stdout == nil {
		cmd.Stdout = &p.output
	}
	cmd.WaitDelay = time.Second // for descendants that outlive it and have its stderr open
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread goes with the goroutine
		var cores unix.CPUSet
		cores.Set(core)
		err := unix.SchedSetaffinity(0, &cores)
		if err == nil {
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			p.awaitEnd()
			_ = cmd.Wait() // the state tells more than the error
			close(ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s on core %d: %w", cmd.Args[0], core, err)
	}
	g.processes = append(g.processes, p)
	return p, nil
}

// Pid is the process's id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Signal sends a signal to the process, and not to its descendants.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// awaitEnd waits for the process's end and then kills what is left of its group. The process is still a zombie then:
// until it is reaped, its id and its group's are nobody else's.
func (p *Process) awaitEnd() {
	err := error(unix.EINTR)
	for err == unix.EINTR {
		err = unix.Waitid(unix.P_PID, p.Pid(), nil, unix.WEXITED|unix.WNOWAIT, nil)
	}
	if err == nil { // otherwise nobody knows whose the id is
		p.killGroup(true)
	}
}

// killGroup kills the process's group, the last time before the process is reaped. It reports whether there was a group
// that is known to be ours.
func (p *Process) killGroup(last bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return false
	}
	p.gone = last
	_ = syscall.Kill(-p.Pid(), syscall.SIGKILL) // all of it may have ended
	return true
}

// Stop asks the process to end, and kills its group if it does not for a while. It returns when the process has ended,
// with which what is left of its group ends as well.
func (p *Process) Stop() {
	_ = p.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.Ended:
		return
	case <-time.After(patience):
	}
	p.killGroup(false)
	<-p.Ended
}

// Failure is an error that says what the process was to do, how it is, and what it said.
func (p *Process) Failure(what string) error {
	state := "still runs"
	select {
	case <-p.Ended:
		state = p.cmd.ProcessState.String()
	default:
	}
	return fmt.Errorf("%s: %s (%s): %s", p.cmd.Args[0], what, state, p.output.String())
}

// Await asks for url, in the name of host, until it is answered with 200. An empty host means that of the URL. config
// is for a URL that is https.
func (p *Process) Await(ctx context.Context, config *tls.Config, url, host string, limit time.Duration) error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: config}}
	return p.Until(ctx, url, limit, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("make request: %w", err)
		}
		req.Host = host
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("answered with %d", res.StatusCode)
		}
		return nil
	})
}

// Until calls ask, which asks the process for what, until it returns no error.
func (p *Process) Until(ctx context.Context, what string, limit time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	last := "no answer"
	for {
		if err := ask(ctx); err == nil {
			return nil
		} else if ctx.Err() == nil {
			last = err.Error()
		}
		select {
		case <-p.Ended:
			return p.Failure("ended before it answered")
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return context.Cause(ctx)
			}
			return p.Failure(fmt.Sprintf("not ready within %s: %s (%s)", limit, last, what))
		case <-time.After(25 * time.Millisecond):
		}
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if extra := len(t.buf) - tailBytes; extra > 0 {
		t.buf = append(t.buf[:0], t.buf[extra:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.buf)
}
