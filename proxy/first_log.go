package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
)

// A client of which nothing becomes for what it began with, or did not begin with, has a line in the log, as a
// malformed request has; like all lines it is dropped when the ring is full. Whom a limit turns away has none: nothing
// is wrong with him, and of him the figures tell.

// reject counts such a client and writes that line. Name is the host that the client has asked for, if that is known;
// detail is more about why.
func (w *Worker) reject(l *link, why metrics.Reason, name []byte, detail string) {
	w.m.Refuse(why)
	if w.log == nil {
		return
	}
	r := w.streamRecord(l, l.began, l.has(flagSecure))
	r.BytesIn, r.BytesOut = int64(l.rx), int64(l.tx)
	r.Host, r.Reason, r.Detail = name, why, append(w.additions[:0], detail...)
	w.appendLog(r)
}

// rejectFirst ends a client's connection for what it began with.
func (w *Worker) rejectFirst(l *link, c *engine.Conn, why metrics.Reason, detail string) {
	w.reject(l, why, nil, detail)
	w.endRefused(l, c)
}
