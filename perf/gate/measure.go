package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/uringproxy/uringproxy/perf/report"
	"github.com/uringproxy/uringproxy/perf/result"
)

// patience is how long a command may take to end after it was asked to.
const patience = 20 * time.Second

// measure runs the benchmark of the build that is judged, with the base and the other proxies beside it, so that all
// take turns round by round. The result is left in a file.
func (o *options) measure(ctx context.Context, ours, base *build, file string, progress io.Writer) error {
	args := []string{"bench", "--scenario", o.scenarios, "--json", file}
	if o.rounds > 0 {
		args = append(args, "--rounds", strconv.Itoa(o.rounds))
	}
	if o.seconds > 0 {
		args = append(args, "--seconds", strconv.FormatFloat(o.seconds, 'g', -1, 64))
	}
	if o.only != "" {
		args = append(args, "--only", o.only)
	}
	if base != nil {
		args = append(args, "--peer", "base="+base.path)
	}
	for _, p := range o.peers {
		args = append(args, "--peer", p)
	}
	cmd := exec.CommandContext(ctx, ours.path, args...)
	cmd.Stdout, cmd.Stderr = progress, progress
	// Ctrl-C is ours to pass on, once. If we are killed, the kernel tells it to end: when the thread is gone that has
	// started it, which therefore has to stay.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = patience
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s bench: %w", filepath.Base(ours.path), err)
	}
	return nil
}

// readRuns reads results that were kept.
func readRuns(files []string) (all []*result.Run, err error) {
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		r, err := report.Read(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("read result %s: %w", name, err)
		}
		all = append(all, r)
	}
	return all, nil
}
