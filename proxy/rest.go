package proxy

import (
	"time"

	"github.com/uringproxy/uringproxy/engine"
)

// restAfter is from when on a connection over TLS that nobody uses does without its ciphers, which are most of what it
// holds. Much sooner they would often be made anew, which takes as long as a small request's records.
const restAfter = 2 * time.Second

// unused gives a connection on which no exchange runs its time until it is closed. One over TLS is looked at before.
func (w *Worker) unused(l *link, slot uint32, patience time.Duration) {
	if l.has(flagSecure) {
		s := w.secure[slot]
		s.resting, s.unused = false, int64(patience-restAfter)
		patience = min(patience, restAfter)
	}
	w.wheel.Set(slot, w.sh.Now()+int64(patience))
}

// rest lets the ciphers of an unused connection go when it is time for that. It reports false when it is time to close
// the connection.
func (w *Worker) rest(l *link, c *engine.Conn, s *secure) bool {
	if s.resting || s.unused <= 0 {
		return false
	}
	s.resting = true
	left := s.unused
	if l.kind == kindClient && (w.leaving(l) || w.unsettled(c.Slot)) { // as for a head that has begun
		left = min(left, int64(w.sh.Snapshot().Timeouts.Header))
	}
	if !w.unsettled(c.Slot) {
		s.layer.Park()
	}
	w.wheel.Set(c.Slot, w.sh.Now()+left)
	return true
}
