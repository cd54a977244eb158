package accesslog

import (
	"sync/atomic"

	"github.com/uringproxy/uringproxy/internal/invariant"
)

// cacheLine is the span that the processor moves between cores; two lines, because the prefetcher fetches pairs.
const cacheLine = 128

// Ring is a queue of bytes with one producer, the shard, and one consumer, the log's writer. Positions count
// bytes from the start of time; a position's place is position & mask.
type Ring struct {
	buf  []byte
	mask uint64
	bell *bell
	_    [cacheLine]byte

	// The producer's side.
	head    atomic.Uint64 // end of what may be read
	tailWas uint64        // a tail seen before; the real one may be further on
	dropped atomic.Uint64
	enc     encoder
	line    []byte // the line being built: its length must be known before it may enter
	_       [cacheLine]byte

	// The consumer's side.
	tail atomic.Uint64 // start of what has not been consumed
	_    [cacheLine]byte
}

func newRing(size int, f Format, b *bell) *Ring {
	return &Ring{
		buf: make([]byte, size), mask: uint64(size) - 1, bell: b,
		enc: newEncoder(f), line: make([]byte, 0, MaxLine),
	}
}

// Append adds rec's line. It reports false, and counts, when there was no room: the line is lost then. It neither
// blocks nor allocates, and is called by the ring's shard only.
func (r *Ring) Append(rec *Record) bool {
	line := r.enc.appendLine(r.line, rec)
	if invariant.Enabled && len(line) > MaxLine {
		invariant.Fail("access log line of %d bytes: at most %d were foreseen", len(line), MaxLine)
	}
	head := r.head.Load()
	end := head + uint64(len(line))
	if end-r.tailWas > uint64(len(r.buf)) {
		r.tailWas = r.tail.Load()
		if end-r.tailWas > uint64(len(r.buf)) {
			r.dropped.Store(r.dropped.Load() + 1)
			return false
		}
	}
	n := copy(r.buf[head&r.mask:], line)
	copy(r.buf, line[n:])
	r.head.Store(end)
	r.bell.appended(r)
	return true
}

// Dropped is the number of lines lost because the ring was full. Any goroutine may ask.
func (r *Ring) Dropped() uint64 { return r.dropped.Load() }

// Pending returns what waits to be consumed, in order, whole lines altogether: second is what lies behind the
// wrap. For the consumer only; the slices are valid until Consume.
func (r *Ring) Pending() (first, second []byte) {
	tail, head := r.tail.Load(), r.head.Load()
	at, n := tail&r.mask, head-tail
	if room := uint64(len(r.buf)) - at; n > room {
		return r.buf[at:], r.buf[:n-room]
	}
	return r.buf[at : at+n], nil
}

// Consume gives the space of the first n pending bytes back. For the consumer only.
func (r *Ring) Consume(n int) {
	tail := r.tail.Load() + uint64(n)
	if invariant.Enabled && tail > r.head.Load() {
		invariant.Fail("access log ring consumed %d bytes past its head", tail-r.head.Load())
	}
	r.tail.Store(tail)
}

// used is the number of pending bytes.
func (r *Ring) used() uint64 { return r.head.Load() - r.tail.Load() }

// crowded reports that the ring is more than half full.
func (r *Ring) crowded() bool { return r.used() > uint64(len(r.buf))/2 }
