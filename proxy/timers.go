package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
)

// Expired handles a deadline: what a link was waiting for has not come.
func (w *Worker) Expired(slot uint32) {
	if slot == w.ownTimer() {
		return // what it is for is done at the end of the turn
	}
	l, c := &w.links[slot], w.conns.At(slot)
	if l.has(flagSecure) && w.secureExpired(l, c) {
		return
	}
	switch l.kind {
	case kindClient:
		w.clientExpired(l, c)
	case kindUpstream:
		w.upstreamExpired(l, c)
	case kindAssociation:
		w.assocExpired(l, c)
	}
}

// markUnknown is a txMark before the first look. What counts as sent to a client is what it has acknowledged, for the
// kernel's send buffer would hide for minutes that nobody reads; asking costs a system call, so it is
// done when a window has passed, and judged from the second one on.
const markUnknown = ^uint64(0)

func (w *Worker) clientExpired(l *link, c *engine.Conn) {
	switch l.state {
	case stateIdle:
		w.m.Inc(metrics.ConnsClosedIdle)
		w.closeClient(l, c, false)
	case stateHead:
		w.refuse(w.exs.At(l.ex), 408, metrics.TimeoutRequestHead)
	case stateLinger: // not by a reset: it would destroy what a slow reader has not read yet
		w.closeClient(l, c, false)
	case stateBusy:
		w.clientStalled(l, c)
	case stateTunnel:
		w.tunnelExpired(l, c)
	case stateHeader, stateDetect:
		w.firstExpired(l, c)
	}
}

// clientStalled looks whether a busy client has kept to the least rate, in the directions in which we wait for it.
func (w *Worker) clientStalled(l *link, c *engine.Conn) {
	x := w.exs.At(l.ex)
	now, snap := w.sh.Now(), w.snapshot(x)
	if x.has(exWaiting) {
		if now-x.forwarded >= int64(snap.Timeouts.Connect) {
			w.refuse(x, 503, metrics.LimitUpstreamConns)
			return
		}
		w.wheel.Set(c.Slot, x.forwarded+int64(snap.Timeouts.Connect))
		return
	}
	span := int64(snap.Timeouts.BodyRateWindow)
	least := uint64(snap.Limits.BodyRateBytes) * uint64(span) / 1e9
	next := now + span
	if since := l.txSince; since != 0 {
		if due := since + span; due > now {
			next = min(next, due)
		} else if acked := l.tx - uint64(w.be.Unacked(c)); l.txMark != markUnknown && acked-l.txMark < least {
			w.abort(x, metrics.TimeoutSendResponse)
			return
		} else {
			l.txSince, l.txMark = now, acked
		}
	}
	if since := l.rxSince; since != 0 && !x.up.done {
		if due := since + span; due > now {
			next = min(next, due)
		} else if l.rx-l.rxMark < least {
			if x.has(exAnswered) {
				w.abort(x, metrics.TimeoutRequestBody)
			} else {
				w.refuse(x, 408, metrics.TimeoutRequestBody)
			}
			return
		} else {
			l.rxSince, l.rxMark = now, l.rx
		}
	}
	w.wheel.Set(c.Slot, next)
}

func (w *Worker) upstreamExpired(l *link, c *engine.Conn) {
	switch l.state {
	case statePooled:
		w.closeUpstream(l, c)
	case stateConnecting:
		w.noConnection(l, metrics.TimeoutConnect)
	case stateBusy:
		w.upstreamStalled(l, c)
	}
}

// upstreamStalled looks what a busy upstream is late with.
func (w *Worker) upstreamStalled(l *link, c *engine.Conn) {
	x := w.exs.At(l.ex)
	now, t := w.sh.Now(), &w.snapshot(x).Timeouts
	switch {
	case x.has(exAnswered):
		// Only an upstream that we are waiting for is late; a slow client keeps its deadline away.
		since := now
		if c.RecvArmed() || l.has(flagStarved) {
			since = l.rxSince
		}
		if now-since >= int64(t.ResponseIdle) {
			w.abort(x, metrics.TimeoutResponseBody)
			return
		}
		w.awaitBody(x, c.Slot, since)
	case x.sent != 0:
		w.upstreamFailed(x, 504, metrics.TimeoutResponseHead)
	case l.txSince != 0 && now-l.txSince >= int64(t.FirstByte):
		if l.tx == l.txMark {
			w.refuse(x, 504, metrics.TimeoutSendRequest)
			return
		}
		l.txSince, l.txMark = now, l.tx
		w.wheel.Set(c.Slot, now+int64(t.FirstByte))
	default:
		w.wheel.Set(c.Slot, now+int64(t.FirstByte))
	}
}

// awaitBody gives the upstream in slot its time for the next piece of a response's body.
func (w *Worker) awaitBody(x *exchange, slot uint32, since int64) {
	deadline := int64(0)
	if limit := w.snapshot(x).Timeouts.ResponseIdle; limit > 0 {
		deadline = since + int64(limit)
	}
	w.wheel.Set(slot, deadline)
}
