package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
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
