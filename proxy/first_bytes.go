package proxy

import (
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// beginning is what a connection's first bytes say that it is.
type beginning uint8

const (
	beginsUnclear beginning = iota // more of them are needed
	beginsTLS                      // a ClientHello, which is still to be read
	beginsHTTP                     // a request
	beginsOther                    // none of them
	beginsSilent                   // there are no first bytes
)

var beginningCounters = [...]metrics.Counter{
	beginsTLS: metrics.DetectedTLS, beginsHTTP: metrics.DetectedHTTP, beginsOther: metrics.DetectedOther,
	beginsSilent: metrics.DetectedSilent,
}

// detect looks at a client's first bytes. It reports whether to go on with them.
func (w *Worker) detect(l *link, c *engine.Conn) bool {
	b, ok := w.front(l)
	if !ok {
		w.refuseFirst(l, c, metrics.LimitBuffers)
		return false
	}
	latest := w.sh.Now() + int64(w.sh.Snapshot().Timeouts.Detect)
	w.wheel.Set(c.Slot, min(w.wheel.Deadline(c.Slot), latest))
	begins := tellBeginning(b, w.listenerOf(l).Protocol != plan.TCP) // it may have been auto until now
	if begins == beginsUnclear {
		return false
	}
	w.decide(l, c, begins)
	return !l.closing()
}

// decide goes on with a client of which it is known what it is.
func (w *Worker) decide(l *link, c *engine.Conn, begins beginning) {
	w.m.Inc(beginningCounters[begins])
	w.firstKnown(l)
	switch begins {
	case beginsTLS:
		w.greet(l, c)
	case beginsHTTP:
		w.expectRequest(l, c)
	default:
		w.passOn(l, c)
	}
}

// passOn has a connection without a ClientHello go where the tcp routes say.
func (w *Worker) passOn(l *link, c *engine.Conn) {
	if route := w.streamRoute(l, nil); route >= 0 {
		w.beginStream(l, c, route, nil)
		return
	}
	w.rejectFirst(l, c, metrics.NoRoute, "")
}

const (
	recordHandshake = 22 // the type of the record that a ClientHello comes in (RFC 8446, section 5.1)
	recordMajor     = 3  // the first byte of its version
)

// tellBeginning says what a connection is that begins with b; beginsHTTP only where requests are looked for. What looks
// like TLS is nothing else, however its ClientHello goes on.
func tellBeginning(b []byte, http bool) beginning {
	switch {
	case b[0] == recordHandshake && len(b) == 1:
		return beginsUnclear
	case b[0] == recordHandshake && b[1] == recordMajor:
		return beginsTLS
	case http:
		return tellRequest(b)
	}
	return beginsOther
}

// methodMost is the greatest length of a method that is taken for one without being known.
const methodMost = 24

// methods are those that are followed by a space in the first bytes of a request, whatever comes then. PRI is HTTP/2's
// (RFC 9113, section 3.4), which is answered as any request of a version that is not spoken.
var methods = [...]string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE", "PRI"}

// targets are how the target of a request with another method begins (RFC 9112, section 3.2): other protocols have
// words in capitals too.
var targets = [...]string{"/", "http://", "https://"}

// tellRequest tells a request by its method, and one with a method that is not known by its target too.
func tellRequest(b []byte) beginning {
	n := 0
	for n < len(b) && (b[n] >= 'A' && b[n] <= 'Z' || n > 0 && (b[n] == '-' || b[n] == '_')) {
		n++
	}
	switch {
	case n == 0 || n > methodMost:
		return beginsOther
	case n == len(b):
		return beginsUnclear
	case b[n] != ' ':
		return beginsOther
	}
	for _, m := range methods {
		if string(b[:n]) == m {
			return beginsHTTP
		}
	}
	target := b[n+1:]
	for _, t := range targets {
		if m := min(len(target), len(t)); string(target[:m]) == t[:m] {
			if m < len(t) {
				return beginsUnclear
			}
			return beginsHTTP
		}
	}
	return beginsOther
}
