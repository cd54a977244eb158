package proxy

import (
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
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
	w.letCiphersGo(c.Slot)
	w.wheel.Set(c.Slot, w.sh.Now()+left)
	return true
}

// restTunnel lets the ciphers of both ends of t go when nothing has passed for long.
func (w *Worker) restTunnel(t *tunnel) {
	if w.sh.Now()-t.moved < int64(restAfter) {
		return
	}
	for _, slot := range [...]uint32{t.client, t.upstream - 1} {
		if w.links[slot].has(flagSecure) {
			w.letCiphersGo(slot)
		}
	}
}

// letCiphersGo lets the ciphers of the link in slot go, unless there is something to be opened.
func (w *Worker) letCiphersGo(slot uint32) {
	if !w.unsettled(slot) && w.secure[slot].layer.Park() {
		w.m.Inc(metrics.CiphersLetGo)
	}
}
