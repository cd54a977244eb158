package hello

// Ref is a range of a message's bytes, relative to the message's first byte.
type Ref struct{ Off, Len uint16 }

// In is the range's bytes. They are the message's, not a copy.
func (r Ref) In(message []byte) []byte {
	end := int(r.Off) + int(r.Len)
	return message[r.Off:end:end]
}

// reader takes a range of a message apart from its front. What is too short reads as zero, leaves nothing to read and
// sets bad for good, so that one look at the end is enough.
type reader struct {
	b        []byte
	pos, end int
	bad      bool
}

func readerOf(b []byte, r Ref) reader {
	return reader{b: b, pos: int(r.Off), end: int(r.Off) + int(r.Len)}
}

// more reports whether anything is left.
func (r *reader) more() bool { return r.pos < r.end }

// done reports whether all reads succeeded and nothing is left.
func (r *reader) done() bool { return r.pos == r.end && !r.bad }

func (r *reader) take(n int) Ref {
	if n > r.end-r.pos {
		r.pos, r.bad = r.end, true
		return Ref{}
	}
	ref := Ref{uint16(r.pos), uint16(n)}
	r.pos += n
	return ref
}

func (r *reader) u8() uint8 {
	if r.pos == r.end {
		r.bad = true
		return 0
	}
	r.pos++
	return r.b[r.pos-1]
}

func (r *reader) u16() uint16 {
	if r.end-r.pos < 2 {
		r.pos, r.bad = r.end, true
		return 0
	}
	r.pos += 2
	return uint16(r.b[r.pos-2])<<8 | uint16(r.b[r.pos-1])
}

// vector8 is the content of a vector that one byte of length stands before, vector16 that of one with two.
func (r *reader) vector8() Ref  { return r.take(int(r.u8())) }
func (r *reader) vector16() Ref { return r.take(int(r.u16())) }
