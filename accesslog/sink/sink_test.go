package sink

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/accesslog"
)

func newRings(t *testing.T, n int) *accesslog.Rings {
	t.Helper()
	rs, err := accesslog.NewRings(n, accesslog.MinRing, accesslog.Combined)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rs.Close(); err != nil {
			t.Error(err)
		}
	})
	return rs
}

func open(t *testing.T, rs *accesslog.Rings, o Options) *Writer {
	t.Helper()
	w, err := Open(rs, o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func closed(t *testing.T, w *Writer) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// appendLine appends the line that number reads, and reports whether the ring took it.
func appendLine(r *accesslog.Ring, shard, i int) bool {
	return r.Append(&accesslog.Record{Method: []byte("GET"), Target: fmt.Appendf(nil, "/%d/%d", shard, i)})
}

// number reads which line of which shard line is.
func number(t *testing.T, line string) (shard, i int) {
	t.Helper()
	_, rest, _ := strings.Cut(line, `"GET /`)
	target, end, _ := strings.Cut(rest, " ")
	if _, err := fmt.Sscanf(target, "%d/%d", &shard, &i); err != nil || end != `HTTP/1.0" - - "-" "-"` {
		t.Fatalf("damaged line %q", line)
	}
	return shard, i
}

// checkLines checks that text is lines 0 to n-1 of each shard, in order.
func checkLines(t *testing.T, text string, shards, n int) {
	t.Helper()
	next := make([]int, shards)
	for line := range strings.Lines(text) {
		shard, i := number(t, strings.TrimSuffix(line, "\n"))
		if i != next[shard] {
			t.Fatalf("shard %d: line %d where %d is due", shard, i, next[shard])
		}
		next[shard]++
	}
	for shard, got := range next {
		if got != n {
			t.Errorf("shard %d: %d lines, want %d", shard, got, n)
		}
	}
}

// produce appends n lines to each ring, one goroutine for each, waiting for room as a shard would not.
func produce(rs *accesslog.Rings, n int) (wait func()) {
	var wg sync.WaitGroup
	for shard := range rs.Len() {
		wg.Go(func() {
			for i := 0; i < n; {
				if appendLine(rs.Ring(shard), shard, i) {
					i++
				} else {
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	return wg.Wait
}

func TestFileGetsEveryLine(t *testing.T) {
	const shards, n = 3, 10_000
	rs := newRings(t, shards)
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(path, []byte("kept\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := open(t, rs, Options{Path: path})
	produce(rs, n)()
	closed(t, w)
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text, kept := strings.CutPrefix(string(got), "kept\n")
	if !kept {
		t.Error("the file was not appended to")
	}
	checkLines(t, text, shards, n)
}

func TestNewFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	closed(t, open(t, newRings(t, 1), Options{Path: path}))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode&^0o640 != 0 {
		t.Errorf("mode %o, want at most 640", mode)
	}
}

func TestStreams(t *testing.T) {
	var out, errs bytes.Buffer
	for path, buf := range map[string]*bytes.Buffer{"stdout": &out, "stderr": &errs} {
		rs := newRings(t, 1)
		w := open(t, rs, Options{Path: path, Stdout: &out, Stderr: &errs})
		appendLine(rs.Ring(0), 0, 0)
		if err := w.Reopen(); err != nil {
			t.Error(err)
		}
		appendLine(rs.Ring(0), 0, 1)
		closed(t, w)
		checkLines(t, buf.String(), 1, 2)
	}
}

// Log rotation while lines come: each is in one of the files, none in two, none split.
func TestReopenLosesNothing(t *testing.T) {
	const n, rotations = 20_000, 10
	rs := newRings(t, 2)
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	w := open(t, rs, Options{Path: path})
	wait := produce(rs, n)
	for i := range rotations {
		if err := os.Rename(path, filepath.Join(dir, strconv.Itoa(i))); err != nil {
			t.Fatal(err)
		}
		if err := w.Reopen(); err != nil {
			t.Fatal(err)
		}
	}
	wait()
	closed(t, w)
	var text strings.Builder
	for i := range rotations + 1 {
		name := filepath.Join(dir, strconv.Itoa(i))
		if i == rotations {
			name = path
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > 0 && b[len(b)-1] != '\n' {
			t.Errorf("file %d ends within a line", i)
		}
		text.Write(b)
	}
	checkLines(t, text.String(), 2, n)
}

func TestFailedReopenKeepsTheOldFile(t *testing.T) {
	rs := newRings(t, 1)
	dir := t.TempDir()
	path := filepath.Join(dir, "access.log")
	w := open(t, rs, Options{Path: path})
	moved := filepath.Join(dir, "moved")
	if err := errors.Join(os.Rename(path, moved), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := w.Reopen(); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("error %v, want one that names the fault", err)
	}
	appendLine(rs.Ring(0), 0, 0)
	closed(t, w)
	got, err := os.ReadFile(moved)
	if err != nil {
		t.Fatal(err)
	}
	checkLines(t, string(got), 1, 1)
}

func TestOpenFails(t *testing.T) {
	_, err := Open(newRings(t, 1), Options{Path: filepath.Join(t.TempDir(), "no", "access.log")})
	if err == nil || !strings.Contains(err.Error(), "open access log: ") {
		t.Errorf("error %v", err)
	}
}

func TestClosedWriterRefuses(t *testing.T) {
	w := open(t, newRings(t, 1), Options{Path: "stdout", Stdout: io.Discard})
	closed(t, w)
	if err := w.Reopen(); !errors.Is(err, errClosed) {
		t.Errorf("Reopen: %v", err)
	}
	if err := w.Close(); !errors.Is(err, errClosed) {
		t.Errorf("second Close: %v", err)
	}
}

// A writer that has parked is called by the next line; nobody looks for it.
func TestParkedWriterIsCalled(t *testing.T) {
	rs := newRings(t, 1)
	var out bytes.Buffer
	w := &Writer{rings: rs, out: unclosed{&out}}
	if err := w.listen(); err != nil {
		t.Fatal(err)
	}
	defer w.bell.Close()
	for i := range 50 {
		w.idle = longest
		go appendLine(rs.Ring(0), 0, i)
		for !w.drain() {
			w.sleep(false) // without end, were the call lost
		}
	}
	checkLines(t, out.String(), 1, 50)
}

// A writer that begins with nothing to write looks again by itself: a first line that comes while it naps waits for
// nobody's call.
func TestFirstNapEnds(t *testing.T) {
	rs := newRings(t, 1)
	var out bytes.Buffer
	w := &Writer{rings: rs, out: unclosed{&out}}
	if err := w.listen(); err != nil {
		t.Fatal(err)
	}
	defer w.bell.Close()
	w.sleep(false) // without end, were the first nap's length zero
	appendLine(rs.Ring(0), 0, 0)
	if w.sleep(false); !w.drain() {
		t.Error("nothing was there to write")
	}
	checkLines(t, out.String(), 1, 1)
}

// records collects what is logged.
type records struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *records) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

func (r *records) count(s string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(r.text.String(), s)
}
