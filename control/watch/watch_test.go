package watch

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// faked is a watcher in a bubble of synthetic time, with notifications that the test makes up.
type faked struct {
	t        *testing.T
	path     string
	happened chan string
	lost     chan error

	mu      sync.Mutex // the bubble lets one goroutine run at a time, which the race detector does not know
	failing error
	open    bool
	dirs    map[string]bool
	calls   []time.Duration // since the beginning
	log     bytes.Buffer
}

// fake runs test beside a watcher of one file, after its first call of Changed.
func fake(t *testing.T, failing error, test func(f *faked)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := &faked{
			t: t, path: filepath.Join(dir, "my.toml"), failing: failing,
			happened: make(chan string), lost: make(chan error), dirs: map[string]bool{},
		}
		f.write("first")
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		w := &watcher{open: f.opened, opts: Options{
			Paths: []string{f.path}, Log: slog.New(slog.NewTextHandler(f, nil)),
			Changed: func() {
				defer f.lock()()
				f.calls = append(f.calls, time.Since(start))
			},
		}}
		done := make(chan struct{})
		go func() { w.run(ctx); close(done) }()
		synctest.Wait()
		f.called(0)
		test(f)
		cancel()
		<-done
		if f.open {
			t.Error("the notifier was not closed")
		}
	})
}

func (f *faked) lock() (unlock func()) { f.mu.Lock(); return f.mu.Unlock }

func (f *faked) Write(p []byte) (int, error) {
	defer f.lock()()
	return f.log.Write(p)
}

func (f *faked) logged() string {
	defer f.lock()()
	return f.log.String()
}

// fails makes adding watches fail, or stop failing.
func (f *faked) fails(err error) {
	defer f.lock()()
	f.failing = err
}

// forgets is what the kernel does with a directory that was removed; it reports whether it was watched.
func (f *faked) forgets(dir string) bool {
	defer f.lock()()
	watched := f.dirs[dir]
	delete(f.dirs, dir)
	return watched
}

func (f *faked) opened() (*notifier, error) {
	defer f.lock()()
	if f.failing != nil {
		return nil, f.failing
	}
	f.open = true
	return &notifier{
		happened: f.happened, lost: f.lost, close: func() { f.open = false },
		add: func(dir string) error {
			defer f.lock()()
			if f.failing != nil {
				return f.failing
			}
			f.dirs[dir] = true
			return nil
		},
		remove: func(dir string) error {
			defer f.lock()()
			delete(f.dirs, dir)
			return nil
		},
		watched: func() []string {
			defer f.lock()()
			return slices.Sorted(maps.Keys(f.dirs))
		},
	}, nil
}

func (f *faked) write(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// after lets time pass.
func (f *faked) after(d time.Duration) { time.Sleep(d); synctest.Wait() }

// called compares the times of all calls of Changed.
func (f *faked) called(want ...time.Duration) {
	f.t.Helper()
	defer f.lock()()
	if !slices.Equal(f.calls, want) {
		f.t.Errorf("called at %v, want %v", f.calls, want)
	}
}

const ms = time.Millisecond

func TestQuietEndsABurst(t *testing.T) {
	fake(t, nil, func(f *faked) {
		f.happened <- f.path
		f.after(60 * ms)
		f.happened <- f.path
		f.after(60 * ms)
		f.called(0)
		f.after(40 * ms)
		f.called(0, 160*ms)
		f.happened <- f.path
		f.after(time.Second)
		f.called(0, 160*ms, 260*ms)
	})
}

func TestNeverQuiet(t *testing.T) {
	fake(t, nil, func(f *faked) {
		for range 30 {
			f.happened <- f.path
			f.after(50 * ms)
		}
		f.called(0, time.Second)
		f.after(time.Second)
		f.called(0, time.Second, 1550*ms)
	})
}

func TestOthersInTheDirectory(t *testing.T) {
	fake(t, nil, func(f *faked) {
		f.happened <- filepath.Join(filepath.Dir(f.path), "access.log")
		f.happened <- filepath.Join(filepath.Dir(f.path), "other.toml")
		f.after(time.Second)
		f.called(0)
		f.happened <- filepath.Dir(f.path) // the directory itself
		f.after(100 * ms)
		f.called(0, 1100*ms)
	})
}

func TestLostNotifications(t *testing.T) {
	fake(t, nil, func(f *faked) {
		f.lost <- errors.New("overflow")
		f.after(100 * ms)
		f.called(0, 100*ms)
	})
}

// Without notifications a change is noticed by looking.
func TestLooking(t *testing.T) {
	for name, failing := range map[string]error{"silent": nil, "failing": unix.EMFILE} {
		t.Run(name, func(t *testing.T) {
			fake(t, failing, func(f *faked) {
				f.after(6 * time.Second)
				f.write("something else")
				f.after(5 * time.Second)
				f.called(0, 10*time.Second+100*ms)
				if err := os.Remove(f.path); err != nil {
					t.Fatal(err)
				}
				f.after(5 * time.Second)
				f.called(0, 10*time.Second+100*ms, 15*time.Second+100*ms)
				f.after(time.Minute)
				f.called(0, 10*time.Second+100*ms, 15*time.Second+100*ms)
			})
		})
	}
}

// A limit of the kernel is named once, with advice, and when it is over.
func TestNoWatchToBeHad(t *testing.T) {
	for _, tt := range []struct {
		err    error
		advice string
	}{{unix.EMFILE, "max_user_instances"}, {unix.ENOSPC, "max_user_watches"}, {unix.EACCES, "read that directory"},
		{unix.EIO, "SIGHUP"}} {
		fake(t, tt.err, func(f *faked) {
			f.after(time.Minute)
			log := f.logged()
			if n := strings.Count(log, "level=WARN"); n != 1 || !strings.Contains(log, tt.advice) {
				t.Errorf("%d warnings:\n%s", n, log)
			}
			f.fails(nil)
			f.after(5 * time.Second)
			if !f.forgets(filepath.Dir(f.path)) || !strings.Contains(f.logged(), "watched again") {
				t.Errorf("not watched again:\n%s", f.logged())
			}
			f.fails(tt.err)
			f.after(5 * time.Second)
			if n := strings.Count(f.logged(), "level=WARN"); n != 2 {
				t.Errorf("%d warnings:\n%s", n, f.logged())
			}
		})
	}
}

// A change that comes while Changed is at work makes another call.
func TestChangeWhileWorking(t *testing.T) {
	fake(t, nil, func(f *faked) {
		f.happened <- f.path
		f.after(99 * ms)
		go func() { f.happened <- f.path; f.happened <- f.path }()
		f.after(time.Second)
		f.called(0, 199*ms)
	})
}
