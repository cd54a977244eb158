package proxy

import (
	"github.com/uringproxy/uringproxy/accesslog"
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
	r, took := &w.record, w.sh.Now()-l.began
	*r = accesslog.Record{
		Time: w.sh.Wall() - took, Duration: took, Upstream: -1, FirstByte: -1, Overhead: -1,
		BytesIn: int64(l.rx), BytesOut: int64(l.tx), Client: clientAddr(l), Scheme: "tcp", Protocol: protocolTCP,
		Host: name, Reason: why, Detail: append(w.additions[:0], detail...),
	}
	if l.has(flagSecure) {
		r.Scheme, r.Protocol = "tls", protocolTLS
	}
	w.appendLog(r)
}

// rejectFirst ends a client's connection for what it began with.
func (w *Worker) rejectFirst(l *link, c *engine.Conn, why metrics.Reason, detail string) {
	w.reject(l, why, nil, detail)
	w.endRefused(l, c)
}
