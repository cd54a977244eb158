package server

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/control"
	"github.com/uringproxy/uringproxy/plan"
)

// sockets are the listening sockets of the process, by listener ID. The control plane opens and retires them, the
// shards take them and let go of them; a set of sockets is closed when it is retired and no shard accepts on it any
// more. The lock is taken when the configuration changes, and when somebody reads the metrics.
type sockets struct {
	shards int

	mu       sync.Mutex
	prepared map[int]*socketSet // for a snapshot that was not published yet
	open     map[int]*socketSet // what the current snapshot listens on
	retired  map[int][]*socketSet
	closed   bool
	overruns []uint64 // by shard: datagrams that came faster than they were received
}

// socketSet is what one listener listens on. Each shard has its own socket of a TCP or UDP listener (SO_REUSEPORT), so
// that the kernel spreads the connections, or the clients; a unix socket is one, shared by all.
type socketSet struct {
	fds   []int  // by shard
	held  []bool // by shard: it accepts on its socket
	file  socketFile
	muted bool

	datagrams bool     // UDP: a socket that is held is the shard's to close
	overruns  []uint32 // UDP: by shard, what the kernel had dropped when we last looked
}

func newSockets(shards int) *sockets {
	return &sockets{
		shards: shards, prepared: map[int]*socketSet{}, open: map[int]*socketSet{}, retired: map[int][]*socketSet{},
		overruns: make([]uint64, shards),
	}
}

// maxListeners is how many addresses a process can listen on during its life; see plan.Listener.
const maxListeners = 1 << 16

// prepare opens what snap listens on and is not open yet: everything, or nothing when there is an error.
func (s *sockets) prepare(snap *plan.Snapshot) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.discardPrepared()
	if s.closed {
		return nil // the process is ending, and accepts nobody
	}
	for id := range snap.Listeners {
		l := &snap.Listeners[id]
		if l.Vacant() || s.open[id] != nil {
			continue
		}
		set, err := s.revive(id), error(nil)
		if set == nil {
			set, err = openSet(id, l, s.shards)
		}
		if err != nil {
			s.discardPrepared()
			return &control.ListenError{Listener: l.Name, Err: err}
		}
		s.prepared[id] = set
	}
	return nil
}

// revive returns the retired set of a listener that has come back before all shards have let go of it; nil if there is
// none. A unix socket whose file is gone cannot come back, and a UDP socket is not ours any more.
func (s *sockets) revive(id int) *socketSet {
	for i, set := range s.retired[id] {
		if set.file.path == "" && !set.datagrams && set.unmute() {
			s.keepRetired(id, slices.Delete(s.retired[id], i, i+1))
			return set
		}
	}
	return nil
}

// discardPrepared takes back what was prepared and not published.
func (s *sockets) discardPrepared() {
	for id, set := range s.prepared {
		delete(s.prepared, id)
		s.retire(id, set)
	}
}

// publish makes what was prepared for snap current, and retires the sockets of listeners that it does not have.
func (s *sockets) publish(snap *plan.Snapshot) (opened, retired []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range snap.Listeners {
		l, set := &snap.Listeners[id], s.open[id]
		switch {
		case l.Vacant() && set != nil:
			delete(s.open, id)
			s.retire(id, set)
			retired = append(retired, id)
		case !l.Vacant() && s.prepared[id] != nil:
			s.open[id] = s.prepared[id]
			delete(s.prepared, id)
			opened = append(opened, id)
		}
	}
	return opened, retired
}

// retire closes a set when no shard accepts on it any more, at once if none does. Until then nobody new gets in.
func (s *sockets) retire(id int, set *socketSet) {
	set.mute()
	if set.users() == 0 {
		set.close()
		return
	}
	s.retired[id] = append(s.retired[id], set)
}

// take is for the shard of that number; see proxy.Sockets.
func (s *sockets) take(shard, id int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	set := s.open[id]
	if set == nil || set.fds[shard] < 0 {
		return -1
	}
	set.held[shard] = true
	return set.fds[shard]
}

// letGo is for the shard of that number; see proxy.Sockets.
func (s *sockets) letGo(shard, id, fd int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, set := range []*socketSet{s.open[id], s.prepared[id]} {
		if set != nil && set.fds[shard] == fd {
			s.release(set, shard)
		}
	}
	kept := s.retired[id][:0]
	for _, set := range s.retired[id] {
		if set.fds[shard] == fd {
			s.release(set, shard)
		}
		if set.users() > 0 {
			kept = append(kept, set)
		} else {
			set.close()
		}
	}
	s.keepRetired(id, kept)
}

// release notes that a shard has no use for its socket any more.
func (s *sockets) release(set *socketSet, shard int) {
	set.held[shard] = false
	if set.datagrams {
		s.look(set, shard)
		set.fds[shard] = -1
	}
}

func (s *sockets) keepRetired(id int, sets []*socketSet) {
	if s.retired[id] = sets; len(sets) == 0 {
		delete(s.retired, id)
	}
}

// close closes everything; the shards do not accept any more.
func (s *sockets) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, sets := range []map[int]*socketSet{s.prepared, s.open} {
		for _, set := range sets {
			set.close()
		}
		clear(sets)
	}
	for _, sets := range s.retired {
		for _, set := range sets {
			set.close()
		}
	}
	clear(s.retired)
}

// shardSockets are one shard's sockets.
type shardSockets struct {
	all   *sockets
	shard int
}

func (s shardSockets) Take(listener int) int  { return s.all.take(s.shard, listener) }
func (s shardSockets) LetGo(listener, fd int) { s.all.letGo(s.shard, listener, fd) }

// openSet opens a listener's socket for each shard, or none.
func openSet(id int, l *plan.Listener, shards int) (*socketSet, error) {
	if id >= maxListeners {
		return nil, fmt.Errorf("listen on %s: more than %d addresses since the start; a restart makes room",
			where(l), maxListeners)
	}
	set := &socketSet{
		held: make([]bool, shards), datagrams: l.Protocol == plan.UDP, overruns: make([]uint32, shards),
	}
	for shard := range shards {
		fd, err := set.openFor(l, shard)
		if err != nil {
			set.close()
			return nil, fmt.Errorf("listen on %s: %w%s", where(l), err, listenAdvice(err))
		}
		set.fds = append(set.fds, fd)
	}
	return set, nil
}

func (s *socketSet) openFor(l *plan.Listener, shard int) (int, error) {
	switch {
	case s.datagrams:
		return listenUDP(l.Addr)
	case l.Unix == "":
		return listenTCP(l.Addr)
	case shard > 0:
		return unix.FcntlInt(uintptr(s.fds[0]), unix.F_DUPFD_CLOEXEC, 0)
	}
	fd, err := listenUnix(l.Unix)
	if err == nil {
		s.file = newSocketFile(l.Unix)
	}
	return fd, err
}

func (s *socketSet) users() (n int) {
	for _, held := range s.held {
		if held {
			n++
		}
	}
	return n
}

// mute sees to it that nobody new gets in, so that the queues of connections can be worked off: a unix socket loses its
// file, and a TCP socket sees no SYN any more. Handshakes that are under way are finished. A client who comes now is
// silent for a second, and when it tries again, the socket is closed and it is refused, instead of connected first and
// reset then. A UDP socket is left alone: who is new there is the shard's to ignore.
func (s *socketSet) mute() {
	if s.muted || s.datagrams {
		return
	}
	s.muted = true
	if s.file.path != "" {
		s.file.remove()
		return
	}
	for _, fd := range s.fds {
		_ = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &noSYN) // without it some are reset
	}
}

// unmute takes mute back, as far as that can be done.
func (s *socketSet) unmute() bool {
	for _, fd := range s.fds {
		err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return false
		}
	}
	s.muted = false
	return true
}

// noSYN is a program for the kernel's packet filter: it drops what has SYN set. It is given the segment from the TCP
// header on, in which the flags are byte 13.
var noSYN = unix.SockFprog{Len: uint16(len(noSYNProgram)), Filter: &noSYNProgram[0]}

var noSYNProgram = [...]unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x02, Jt: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

// close removes the file first: once nobody listens any more, another process may put its own socket there.
func (s *socketSet) close() {
	s.file.remove()
	for shard, fd := range s.fds {
		if s.datagrams && (fd < 0 || s.held[shard]) {
			continue // it is its shard's
		}
		_ = unix.Close(fd) // a listening socket holds nothing that could be lost
	}
	s.fds = nil
}

// socketFile is the file of a unix socket, and how to know it again.
type socketFile struct {
	path     string // none for other sockets, those in the abstract namespace included
	dev, ino uint64
}

func newSocketFile(path string) (f socketFile) {
	var st unix.Stat_t
	if path[0] != '@' && unix.Lstat(path, &st) == nil {
		f = socketFile{path: path, dev: st.Dev, ino: st.Ino}
	}
	return f
}

// remove removes the file, unless it is gone or somebody has put another one there.
func (f *socketFile) remove() {
	var st unix.Stat_t
	if f.path != "" && unix.Lstat(f.path, &st) == nil && st.Dev == f.dev && st.Ino == f.ino {
		_ = os.Remove(f.path) // somebody else may have been faster
	}
	f.ino = 0 // the number may be given to another file
}
