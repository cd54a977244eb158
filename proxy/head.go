package proxy

import "github.com/uringproxy/uringproxy/engine/mem"

const noBuf = mem.NoBuf

var noHead = held{buf: noBuf}

// gather appends input to a head that is being received: the next chunk, as far as there is room. A head must lie in
// one piece, and nearly always it does: it came whole in the first buffer, and nothing is copied. One in pieces is
// copied together, into a Head buffer when it outgrows a Small one. It reports false when there is no buffer.
func (w *Worker) gather(h *held, in *queue) bool {
	if h.buf == noBuf {
		h.span, h.buf = w.shift(in)
		return true
	}
	room := w.roomBehind(h)
	if room == 0 {
		if h.buf.Class() == mem.Head {
			return true // full: the parser refuses heads of this size
		}
		if !w.relocate(h, mem.SmallBytes/2) {
			return false
		}
		room = w.roomBehind(h)
	}
	span := w.chunks.At(in.head).span
	n := min(span.Len, room)
	copy(w.mem.All()[h.span.End():], w.mem.Bytes(mem.Span{Off: span.Off, Len: n}))
	h.span.Len += n
	w.consume(in, n)
	return true
}

// roomBehind is how many bytes can still be appended to h in its buffer. In a Bulk buffer, behind whose data that of
// others may follow, there is none.
func (w *Worker) roomBehind(h *held) uint32 {
	if h.buf.Class() == mem.Bulk {
		return 0
	}
	return w.mem.Data(h.buf).End() - h.span.End()
}

// splitHead cuts h behind its first n bytes, where the parser found its end. What follows, the beginning of a body or
// of another message, goes back to the front of the input. To be edited in place a head needs headroom and a buffer
// that is not shared, so one that came in a Bulk buffer moves out of it, and of a Record buffer, of which
// there are few.
func (w *Worker) splitHead(h *held, in *queue, n int) bool {
	rest := mem.Span{Off: h.span.Off + uint32(n), Len: h.span.Len - uint32(n)}
	h.span.Len = uint32(n)
	if rest.Len > 0 {
		w.mem.Hold(h.buf)
		if !w.unshift(in, rest, h.buf) {
			return false
		}
	}
	class := h.buf.Class()
	return class != mem.Bulk && class != mem.Record || w.relocate(h, 0)
}

// floor is the lowest offset to which a head in h may grow. Only the first message in a buffer has headroom: before a
// later one lie bytes that may still be on their way out. from, slot + 1, is the link that it came on: over TLS the
// first message begins behind the header of its record.
func (w *Worker) floor(h *held, from uint32) int {
	data := w.mem.Data(h.buf)
	if h.span.Off != data.Off && h.span.Off != data.Off+w.lead(from-1) {
		return int(h.span.Off)
	}
	return int(data.Off) - mem.Headroom
}

// relocate copies a head to the beginning of a fresh buffer, where it has headroom, and room behind it for so many more
// bytes. The large buffers are few: a head that is short so far, which the end of a buffer has cut, takes none.
func (w *Worker) relocate(h *held, more uint32) bool {
	class := mem.Small
	if h.span.Len+more > mem.SmallBytes {
		class = mem.Head
	}
	to, ok := w.mem.Take(class)
	if !ok {
		return false
	}
	at := w.mem.Data(to)
	copy(w.mem.All()[at.Off:], w.mem.Bytes(h.span))
	w.mem.Drop(h.buf)
	*h = held{mem.Span{Off: at.Off, Len: h.span.Len}, to}
	return true
}

func (w *Worker) dropHead(h *held) {
	w.mem.Drop(h.buf)
	*h = noHead
}
