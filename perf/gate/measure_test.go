package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// script is a program that a shell runs.
func script(t *testing.T, text string) *build {
	t.Helper()
	name := filepath.Join(t.TempDir(), "uringproxy")
	write(t, name, "#!/bin/sh\n"+text)
	if err := os.Chmod(name, 0o700); err != nil {
		t.Fatal(err)
	}
	return &build{path: name}
}

func TestBenchIsAskedForAllOfThem(t *testing.T) {
	o, err := parse([]string{"--rounds", "3", "--seconds", "0.5", "--peer", "nginx=/x/nginx", "--peer", "traefik=/x/t",
		"--only", "nginx"}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	var progress bytes.Buffer
	ours := script(t, "echo $*\n")
	if err := o.measure(context.Background(), ours, &build{path: "/b"}, "r.json", &progress); err != nil {
		t.Fatal(err)
	}
	const want = "bench --scenario all --json r.json --rounds 3 --seconds 0.5 --only nginx --peer base=/b " +
		"--peer nginx=/x/nginx --peer traefik=/x/t\n"
	if got := progress.String(); got != want {
		t.Errorf("%q, expected %q", got, want)
	}
}

func TestBenchFails(t *testing.T) {
	var progress bytes.Buffer
	err := (&options{}).measure(context.Background(), script(t, "echo no cores >&2; exit 1\n"), nil, "r", &progress)
	if err == nil || !strings.Contains(err.Error(), "run uringproxy bench") || progress.String() != "no cores\n" {
		t.Errorf("%v, progress %q", err, &progress)
	}
}

// Whoever interrupts the gate interrupts the benchmark, which then ends all that it started.
func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	started := &onWrite{then: cancel}
	err := (&options{}).measure(ctx, script(t, "trap 'echo interrupted; exit 130' INT\necho started\n"+
		"while :; do sleep 0.01; done\n"), nil, "r", started)
	if err == nil || started.text.String() != "started\ninterrupted\n" {
		t.Errorf("%v, progress %q", err, &started.text)
	}
}

// benchScript names in our environment the program that is to be run as the benchmark; then this is no test.
const benchScript = "GATE_TEST_BENCH"

func TestMain(m *testing.M) {
	path := os.Getenv(benchScript)
	if path == "" {
		os.Exit(m.Run())
	}
	ctx, stop := untilSignal()
	defer stop()
	err := (&options{}).measure(ctx, &build{path: path}, nil, "r", os.Stdout)
	os.Exit(finish(err, os.Stdout, os.Stderr))
}

// Whoever ends the gate ends the benchmark, even in a way that the gate cannot notice.
func TestBenchEndsWithTheGate(t *testing.T) {
	// The kernel tells of a parent's death once for each thread that has been the parent on the way.
	bench := script(t, "trap 'echo interrupted; exit 130' INT\n"+
		"trap 'trap \"\" TERM; echo terminated; exit 143' TERM\necho started\n"+
		"i=0; while [ $i -lt 1000 ]; do i=$((i+1)); sleep 0.01; done; echo left alone\n")
	for _, tc := range []struct {
		how  syscall.Signal
		want string
	}{
		{syscall.SIGTERM, "started\ninterrupted\ngate: nothing measured\n"},
		{syscall.SIGINT, "started\ninterrupted\ngate: nothing measured\n"},
		{syscall.SIGKILL, "started\nterminated\n"},
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), benchScript+"="+bench.path)
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		out := bufio.NewReader(pipe)
		first, err := out.ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		if err := cmd.Process.Signal(tc.how); err != nil {
			t.Error(err)
		}
		rest, err := io.ReadAll(out) // until the benchmark has ended too
		if got := first + string(rest); got != tc.want || err != nil {
			t.Errorf("%s: %q, %v, expected %q", tc.how, got, err, tc.want)
		}
		_ = cmd.Wait() // its fate is what was done to it
	}
}

// The benchmark of row 11 ends with all that it has started.
func TestMatchesAreInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	started := &onWrite{then: cancel}
	command := []string{"sh", "-c", "(echo started; sleep 5; echo left alone); echo gone on"}
	_, err := measureMatches(ctx, command, started)
	if err == nil || started.text.String() != "started\n" {
		t.Errorf("%v, progress %q", err, &started.text)
	}
}

// onWrite collects what is written, and calls then the first time.
type onWrite struct {
	text bytes.Buffer
	then func()
}

func (w *onWrite) Write(p []byte) (int, error) {
	if w.text.Len() == 0 {
		w.then()
	}
	return w.text.Write(p)
}
