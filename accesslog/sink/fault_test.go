package sink

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

var errDisk = errors.New("disk fault")

// flaky is an output that takes part of what it gets and fails, again and again.
type flaky struct {
	bytes.Buffer
	calls int
}

func (f *flaky) Write(p []byte) (int, error) {
	f.calls++
	if f.calls%3 == 0 {
		return f.Buffer.Write(p)
	}
	n, _ := f.Buffer.Write(p[:min(len(p), f.calls*13)])
	return n, errDisk
}

// start runs a writer on out, with rests too short to wait for.
func start(t *testing.T, w *Writer) *Writer {
	t.Helper()
	w.patience, w.retry = time.Minute, time.Microsecond
	w.requests, w.done = make(chan request, 1), make(chan struct{})
	if err := w.start(); err != nil {
		t.Fatal(err)
	}
	return w
}

func opens(outs ...io.Writer) func() (io.WriteCloser, error) {
	return func() (io.WriteCloser, error) {
		if len(outs) == 0 {
			return nil, errDisk
		}
		out := unclosed{outs[0]}
		outs = outs[1:]
		return out, nil
	}
}

func TestShortWritesAndFailuresLoseNothing(t *testing.T) {
	const n = 5000
	rs := newRings(t, 2)
	var out flaky
	var logged records
	w := start(t, &Writer{rings: rs, log: logged.logger(), open: opens(&out)})
	produce(rs, n)()
	closed(t, w)
	checkLines(t, out.String(), 2, n)
}

// A full disk: the failure is logged once, the shards go on, what they could not keep is counted.
func TestFullDisk(t *testing.T) {
	rs := newRings(t, 1)
	var logged records
	w := open(t, rs, Options{Path: "/dev/full", Log: logged.logger()})
	taken := 0
	for appendLine(rs.Ring(0), 0, taken) {
		taken++
	}
	err := w.Close()
	if err == nil || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("Close: %v, want the reason why lines are lost", err)
	}
	if got, want := w.Dropped(), uint64(taken+1); got != want {
		t.Errorf("%d lines lost, want %d", got, want)
	}
	if got := logged.count("cannot write access log"); got != 1 {
		t.Errorf("the failure was logged %d times, want once", got)
	}
	if logged.count("access log lines dropped") == 0 {
		t.Error("the loss was not logged")
	}
}

// cutter takes n bytes and fails from then on.
type cutter struct {
	bytes.Buffer
	n      int
	failed chan struct{}
}

func (c *cutter) Write(p []byte) (int, error) {
	k := min(len(p), c.n-c.Len())
	c.Buffer.Write(p[:k])
	if k == len(p) {
		return k, nil
	}
	if c.failed != nil {
		close(c.failed)
		c.failed = nil
	}
	return k, errDisk
}

// A line that was begun in one file is not ended in another.
func TestReopenAfterHalfALine(t *testing.T) {
	for cut := range 120 {
		rs := newRings(t, 1)
		for i := range 3 {
			appendLine(rs.Ring(0), 0, i)
		}
		first, _ := rs.Ring(0).Pending()
		one := bytes.IndexByte(first, '\n') + 1
		old := cutter{n: cut, failed: make(chan struct{})}
		failed := old.failed
		var fresh bytes.Buffer
		var logged records
		w := start(t, &Writer{rings: rs, log: logged.logger(), open: opens(&old, &fresh)})
		<-failed
		if err := w.Reopen(); err != nil {
			t.Fatal(err)
		}
		if err := w.Reopen(); !errors.Is(err, errDisk) {
			t.Errorf("Reopen: %v", err)
		}
		closed(t, w)

		partial := 0
		if cut%one != 0 {
			partial = 1
		}
		if got := w.Dropped(); got != uint64(partial) {
			t.Errorf("cut at %d: %d lines lost, want %d", cut, got, partial)
		}
		next := cut/one + partial
		for line := range strings.Lines(fresh.String()) {
			if _, i := number(t, strings.TrimSuffix(line, "\n")); i != next {
				t.Errorf("cut at %d: line %d, want %d", cut, i, next)
			}
			next++
		}
		if next != 3 {
			t.Errorf("cut at %d: lines to %d arrived, want 3", cut, next)
		}
		if logged.count("written again") != 1 {
			t.Errorf("cut at %d: the recovery was not logged once", cut)
		}
	}
}

func TestCloseGivesUpOnAStalledOutput(t *testing.T) {
	rs := newRings(t, 1)
	r, p, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	w := open(t, rs, Options{Path: "stdout", Stdout: p})
	w.patience = time.Millisecond
	for appendLine(rs.Ring(0), 0, 0) { // more than a pipe holds
	}
	if err := w.Close(); !errors.Is(err, errStalled) {
		t.Errorf("Close: %v, want %v", err, errStalled)
	}
	r.Close() // ends the write with EPIPE
	<-w.done
}
