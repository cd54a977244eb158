package server

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/plan"
)

// holder is a shard as sockets know it: it takes what the last snapshot that it has seen listens on, and lets go of the
// rest some time later.
type holder struct {
	shardSockets
	fds  map[int]int // by listener
	gone map[int]bool
}

func (h *holder) adopt(snap *plan.Snapshot) {
	for id := range snap.Listeners {
		had, have := h.fds[id]
		if snap.Listeners[id].Vacant() {
			h.gone[id] = have
			continue
		}
		delete(h.gone, id)
		fd := h.Take(id)
		if have && fd == had {
			continue
		}
		if have {
			h.letGo(id)
		}
		if fd >= 0 {
			h.fds[id] = fd
		}
	}
}

func (h *holder) letGo(id int) {
	fd := h.fds[id]
	own := strings.HasSuffix(listensOn(fd), "/udp")
	h.LetGo(id, fd)
	if own {
		_ = unix.Close(fd)
	}
	delete(h.fds, id)
	delete(h.gone, id)
}

// leave lets go of some, or all, of the listeners that have gone.
func (h *holder) leave(whether func() bool) {
	for id, gone := range h.gone {
		if gone && whether() {
			h.letGo(id)
		}
	}
}

// TestAnySeriesOfListeners: whatever comes and goes, and whichever shard sees which part of it, a shard never holds a
// socket that is closed or another listener's, and in the end nothing is open.
func TestAnySeriesOfListeners(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	dir := t.TempDir()
	known := []plan.Listener{
		tcp(free(t)), tcp(free(t)), unixSocket(filepath.Join(dir, "a")), unixSocket("@" + dir), udpListener(free(t)),
	}
	taken := tcp(free(t))
	other, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0) // somebody who does not share the port
	if err != nil {
		t.Fatal(err)
	}
	at := &unix.SockaddrInet4{Port: int(taken.Addr.Port()), Addr: taken.Addr.Addr().As4()}
	if err := unix.Bind(other, at); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(other)
	if err := unix.Listen(other, 1); err != nil {
		t.Fatal(err)
	}
	before := openFiles(t)
	s := newSockets(2)
	shards := []*holder{}
	for i := range 2 {
		shards = append(shards, &holder{shardSockets{s, i}, map[int]int{}, map[int]bool{}})
	}
	published := &plan.Snapshot{Listeners: []plan.Listener{}}
	change := func(in func() bool) {
		next := &plan.Snapshot{}
		for _, l := range known {
			if !in() {
				l = gone(l)
			}
			next.Listeners = append(next.Listeners, l)
		}
		last := gone(taken)
		if rnd.IntN(4) == 0 {
			last = taken
		}
		next.Listeners = append(next.Listeners, last)
		err := s.prepare(next)
		if (err != nil) != !last.Vacant() {
			t.Fatalf("prepared: %v", err)
		}
		if err == nil {
			s.publish(next)
			published = next
		}
	}
	half := func() bool { return rnd.IntN(2) == 0 }
	for range 2000 {
		switch h := shards[rnd.IntN(2)]; rnd.IntN(3) {
		case 0:
			change(half)
		case 1:
			h.adopt(published)
		case 2:
			h.leave(half)
		}
		for _, h := range shards {
			for id, fd := range h.fds {
				if want, got := where(&known[id]), listensOn(fd); got != want {
					t.Fatalf("shard %d holds %s in the place of %s", h.shard, got, want)
				}
			}
		}
	}
	for len(published.Listeners) == 0 || len(s.open) > 0 {
		change(func() bool { return false })
	}
	for _, h := range shards {
		h.adopt(published)
		h.leave(func() bool { return true })
	}
	if now := openFiles(t); now != before || len(s.prepared)+len(s.open)+len(s.retired) > 0 {
		t.Errorf("%d files are open, before there were %d; %+v", now, before, s)
	}
	if _, err := os.Lstat(known[2].Unix); !os.IsNotExist(err) {
		t.Errorf("the socket's file: %v", err)
	}
}

func openFiles(t *testing.T) int {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// listensOn is the address of a listening socket, as where writes it.
func listensOn(fd int) string {
	suffix := ""
	if kind, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); kind == unix.SOCK_DGRAM {
		suffix = "/udp"
	} else if yes, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || yes == 0 {
		return fmt.Sprint("no listening socket: ", err)
	}
	addr, err := unix.Getsockname(fd)
	if err != nil {
		return err.Error()
	}
	switch a := addr.(type) {
	case *unix.SockaddrUnix:
		return "unix:" + a.Name
	case *unix.SockaddrInet4:
		return fmt.Sprintf("127.0.0.1:%d%s", a.Port, suffix)
	}
	return fmt.Sprintf("%T", addr)
}
