package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/control"
	"github.com/uringproxy/uringproxy/plan"
)

// Listeners are added, removed, moved and brought back, and a response that comes through another one goes on.
func TestListenersComeAndGo(t *testing.T) {
	onEachEngine(t, func(t *testing.T, r *rig) {
		a, b, c := tcp(free(t)), tcp(free(t)), tcp(free(t))
		r.listeners(a)
		steady := dial(t, a)
		body := steady.stream()
		goOn := func() {
			t.Helper()
			dial(t, a).ask("/more", false)
			steady.piece(body)
		}

		r.listeners(a, b)
		kept := dial(t, b)
		kept.ask("/added", false)
		goOn()

		moving := dial(t, b)
		r.listeners(a, gone(b), c)
		kept.ended()
		dial(t, c).ask("/moved", false)
		moving.ask("/on-its-way", true)
		goOn()
		r.settled()
		refused(t, b)

		r.listeners(a, b, gone(c))
		dial(t, b).ask("/back", false)
		r.settled()
		refused(t, c)
		goOn()

		dial(t, a).ask("/end", false)
		if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
			t.Errorf("the stream ended with %q, %v", rest, err)
		}
		steady.ask("/next", false)
	})
}

// A response of a removed listener goes on to its end.
func TestStreamOutlivesItsListener(t *testing.T) {
	onEachEngine(t, func(t *testing.T, r *rig) {
		a, b := tcp(free(t)), unixSocket(filepath.Join(t.TempDir(), "b.sock"))
		r.listeners(a, b)
		streams := []*conn{dial(t, a), dial(t, b)}
		bodies := []*bufio.Reader{streams[0].stream(), streams[1].stream()}
		c := tcp(free(t))
		r.listeners(gone(a), gone(b), c)
		r.settled()
		refused(t, a)
		refused(t, b)
		for range streams {
			dial(t, c).ask("/end", false)
		}
		for i, s := range streams {
			if rest, err := io.ReadAll(bodies[i]); err != nil || len(rest) > 0 {
				t.Errorf("%q, %v", rest, err)
			}
			s.ended()
		}
	})
}

// Whoever connects while a listener is removed is served or refused, and never connected first and left alone then.
func TestNobodyIsResetByARemoval(t *testing.T) {
	onEachEngine(t, func(t *testing.T, r *rig) {
		var before []plan.Listener
		for _, l := range []plan.Listener{tcp(free(t)), unixSocket(filepath.Join(t.TempDir(), "l.sock"))} {
			r.listeners(append(before, l)...)
			dial(t, l).ask("/", false)
			var clients sync.WaitGroup
			begun := make(chan bool, 1)
			for range 8 {
				clients.Go(func() {
					for {
						c, err := dialTo(l)
						if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT) {
							return
						}
						if err != nil {
							t.Error(err)
							return
						}
						_, _ = io.WriteString(c, "GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
						res, err := http.ReadResponse(bufio.NewReader(c), nil)
						if err != nil || res.StatusCode != 200 {
							t.Errorf("neither served nor refused: %v", err)
						}
						c.Close()
						select {
						case begun <- true:
						default:
						}
					}
				})
			}
			<-begun
			before = append(before, gone(l))
			r.listeners(before...)
			clients.Wait()
			r.settled()
		}
	})
}

// A listener that cannot be opened changes nothing, not even for those beside it.
func TestBusyPort(t *testing.T) {
	onEachEngine(t, func(t *testing.T, r *rig) {
		busy, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer busy.Close()
		a, b, c := tcp(free(t)), tcp(free(t)), tcp(busy.Addr().String())
		r.listeners(a)
		kept := dial(t, a)
		kept.ask("/before", false)
		before := len(files(t))
		err = r.try(gone(a), b, c)
		var refusal *control.ListenError
		if !errors.As(err, &refusal) || refusal.Listener != c.Name || !errors.Is(err, unix.EADDRINUSE) ||
			!strings.Contains(err.Error(), "another process listens there") {
			t.Errorf("%v", err)
		}
		if after := len(files(t)); after != before {
			t.Errorf("%d descriptors, %d before", after, before)
		}
		refused(t, b)
		kept.ask("/after", false)
		dial(t, a).ask("/after", false)
		busy.Close()
		r.listeners(a, b, c)
		dial(t, b).ask("/b", false)
		dial(t, c).ask("/c", false)
		kept.ask("/kept", false)
	})
}

// A failure takes a listener back that was about to be revived.
func TestBusyPortBesideARevival(t *testing.T) {
	onEachEngine(t, func(t *testing.T, r *rig) {
		busy, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer busy.Close()
		a, b, c := tcp(free(t)), tcp(free(t)), tcp(busy.Addr().String())
		r.listeners(a, b)
		dial(t, b).ask("/", false)
		r.listeners(a, gone(b))
		if err := r.try(a, b, c); err == nil {
			t.Fatal("no error")
		}
		r.settled()
		refused(t, b)
		r.listeners(a, b)
		dial(t, b).ask("/", false)
	})
}

func TestUnixSocketsComeAndGo(t *testing.T) {
	onEachEngine(t, func(t *testing.T, r *rig) {
		dir := t.TempDir()
		a, b := unixSocket(filepath.Join(dir, "a.sock")), unixSocket(filepath.Join(dir, "b.sock"))
		abstract := unixSocket("@" + b.Unix)
		r.listeners(a, b, abstract)
		for _, l := range []plan.Listener{a, b, abstract} {
			dial(t, l).ask("/first", false)
		}
		r.listeners(gone(a), b, gone(abstract))
		if _, err := os.Lstat(a.Unix); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the removed socket's file: %v", err)
		}
		r.listeners(a, b, abstract) // at once, perhaps before the shards have let go
		for _, l := range []plan.Listener{a, b, abstract} {
			dial(t, l).ask("/again", false)
		}
		r.settled()

		// Somebody else's file stays.
		for _, path := range []string{a.Unix, b.Unix} {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r.listeners(gone(a), b, gone(abstract))
		r.settled()
		if err := r.try(a, b); err == nil || !strings.Contains(err.Error(), "is no socket") {
			t.Errorf("%v", err)
		}
		r.refuse()
		for _, path := range []string{a.Unix, b.Unix} {
			if text, err := os.ReadFile(path); err != nil || string(text) != "mine" {
				t.Errorf("%s: %q, %v", path, text, err)
			}
		}
	})
}

// However often listeners come and go, nothing is left of them.
func TestListenersLeaveNothingBehind(t *testing.T) {
	onEachEngine(t, func(t *testing.T, r *rig) {
		a, b, c := tcp(free(t)), tcp(free(t)), unixSocket(filepath.Join(t.TempDir(), "c.sock"))
		r.listeners(a)
		steady := dial(t, a)
		steady.ask("/", false)
		before := files(t)
		for i := range 200 {
			r.listeners(a, b, c)
			if i%20 == 0 {
				for _, l := range []plan.Listener{b, c} {
					client := dial(t, l)
					client.ask("/", false)
					client.c.Close()
				}
			}
			if i%3 == 0 {
				r.adopted()
			}
			r.listeners(a, gone(b), gone(c))
			if i%5 == 0 {
				r.adopted()
			}
			if i%40 == 0 {
				r.settled()
			}
		}
		r.settled()
		steady.ask("/", false)
		for _, run := range r.shards {
			for n := 0; n != 1; runtime.Gosched() {
				c := make(chan int)
				run.shard.Post(func() { c <- run.shard.Snapshots() })
				n = <-c
			}
		}
		after := files(t)
		for len(after) > len(before)+2 { // each shard may have pooled another connection to the upstream
			runtime.Gosched()
			after = files(t)
		}
	})
}
