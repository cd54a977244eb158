package server

import (
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// niceness is how much the threads beside the shards' give way to them. Where they share a core, the share of a thread
// with a niceness of 10 is a tenth of a shard's: reading a configuration takes longer then, and requests do not.
const niceness = 10

// giveWay makes all threads but the shards' nicer. Those that the Go runtime starts later inherit it, since it has none
// of them started by a locked thread, as the shards' are. It is done when the shards run: a thread may become nicer,
// but without privileges never less so.
func (s *Server) giveWay() {
	var shards []int
	for _, r := range s.shards {
		shards = append(shards, r.shard.Thread())
	}
	done := map[int]bool{}
	for again := true; again; { // a thread may have been started by one that was not nicer yet
		again = false
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return
		}
		for _, task := range tasks {
			id, err := strconv.Atoi(task.Name())
			if err != nil || done[id] || slices.Contains(shards, id) {
				continue
			}
			done[id], again = true, true
			yieldable(id)
		}
	}
}

// yieldable makes a thread nicer. Where it cannot, because the thread has ended, or seccomp forbids it, nothing
// changes.
func yieldable(thread int) {
	if before, err := unix.Getpriority(unix.PRIO_PROCESS, thread); err == nil {
		// The system call answers with 20 minus the niceness.
		_ = unix.Setpriority(unix.PRIO_PROCESS, thread, min(20-before+niceness, 19))
	}
}
