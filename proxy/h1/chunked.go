package h1

// Chunked follows a chunked body (RFC 9112, section 7.1), framing included, through any split. The zero value is
// ready for a body's first byte. It holds no pointers.
type Chunked struct {
	left   uint64 // data bytes to come in this chunk; the size so far while it is read; a trailer name's hash
	ext    uint16 // bytes of chunk extensions in this body
	bytes  uint16 // of the trailer section
	fields uint8  // in the trailer section
	digits uint8  // of the chunk size
	step   chunkStep
	code   Code // the fault, or OK while there is none
}

// Piece is a range of the bytes given to Chunked.Next.
type Piece struct{ Off, Len uint32 }

// In is the piece's bytes. They are b's, not a copy.
func (p Piece) In(b []byte) []byte { return b[p.Off : p.Off+p.Len] }

const (
	// ChunkExtensionsMax bounds the chunk extensions of one body together: nobody needs them, and they cost
	// a recipient work for no data.
	ChunkExtensionsMax = 16 << 10
	// TrailerBytesMax bounds a trailer section, TrailersMax its fields.
	TrailerBytesMax = 8 << 10
	TrailersMax     = 64
)

const sizeDigitsMax = 16

// chunkStep is where in a chunked body the next byte belongs.
type chunkStep uint8

const (
	chunkSize chunkStep = iota
	chunkExtStart
	chunkExtName
	chunkExtNameSpace
	chunkExtValueStart
	chunkExtValue
	chunkExtQuoted
	chunkExtEscaped
	chunkExtQuotedEnd
	chunkExtValueSpace
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart // first byte of a trailer line, or of the empty line
	trailerName
	trailerValue
	trailerLF
	trailerEndLF
	chunkDone
)

// Reset prepares c for another body.
func (c *Chunked) Reset() { *c = Chunked{} }

// Feed validates b and tells how many of its bytes belong to the body, framing and trailer section included. OK: the
// body ends with byte n-1. NeedMore: all of b was consumed. A fault is final; n is then the number of sound bytes.
func (c *Chunked) Feed(b []byte) (n int, code Code) {
	for {
		var k int
		_, k, code = c.Next(b[n:])
		n += k
		if code != NeedMore || n == len(b) {
			return n, code
		}
	}
}

// Next consumes b up to and including the next piece of chunk data, for relaying a body without its framing. data is
// that piece, empty when there is none, n the number of bytes consumed. NeedMore: go on with b[n:] or, when
// that is empty, with what comes next. OK and faults are as for Feed.
func (c *Chunked) Next(b []byte) (data Piece, n int, code Code) {
	if c.code != OK || c.step == chunkDone {
		return Piece{}, 0, c.code
	}
	for i := 0; i < len(b); i++ {
		if c.step == chunkData {
			k := min(c.left, uint64(len(b)-i))
			if c.left -= k; c.left == 0 {
				c.step = chunkDataCR
			}
			return Piece{uint32(i), uint32(k)}, i + int(k), NeedMore
		}
		if code := c.byte(b[i]); code != OK {
			c.code = code
			return Piece{}, i, code
		}
		if c.step == chunkDone {
			return Piece{}, i + 1, OK
		}
	}
	return Piece{}, len(b), NeedMore
}

// byte reads one byte outside chunk data.
func (c *Chunked) byte(b byte) Code {
	switch c.step {
	case chunkSize:
		return c.size(b)
	case chunkSizeLF:
		if b != '\n' {
			return BareCR
		}
		c.step, c.digits = chunkData, 0
		if c.left == 0 {
			c.step = trailerStart
		}
		return OK
	case chunkDataCR:
		if b != '\r' {
			return BadChunkEnd
		}
		c.step = chunkDataLF
		return OK
	case chunkDataLF:
		if b != '\n' {
			return BadChunkEnd
		}
		c.step = chunkSize
		return OK
	}
	if c.step >= trailerStart {
		return c.trailer(b)
	}
	if c.ext++; c.ext > ChunkExtensionsMax {
		return ChunkExtensionTooLong
	}
	return c.extension(b)
}

// size reads a byte of the chunk size: hexadecimal digits, then at once CRLF or an extension.
func (c *Chunked) size(b byte) Code {
	switch {
	case class[b]&isHex != 0:
		if c.digits++; c.digits > sizeDigitsMax || c.left>>59 != 0 {
			return ChunkTooLarge
		}
		d := b - '0'
		if d > 9 {
			d = fold(b) - 'a' + 10
		}
		c.left = c.left<<4 | uint64(d)
		return OK
	case c.digits == 0:
		return orBareLF(b, BadChunkSize)
	case b == '\r':
		c.step = chunkSizeLF
		return OK
	case b == ';':
		c.step = chunkExtStart
		return OK
	}
	return orBareLF(b, BadChunkSize)
}

// extension reads a byte of ";name", ";name=token" or ";name=\"text\"" (RFC 9112, section 7.1.1). White
// space is accepted where the grammar has BWS, except right behind the size.
func (c *Chunked) extension(b byte) Code {
	token, space := class[b]&isToken != 0, isSpace(b)
	switch c.step {
	case chunkExtStart:
		if token {
			c.step = chunkExtName
			return OK
		}
		if space {
			return OK
		}
	case chunkExtValueStart:
		switch {
		case space:
			return OK
		case token:
			c.step = chunkExtValue
			return OK
		case b == '"':
			c.step = chunkExtQuoted
			return OK
		}
	case chunkExtName, chunkExtValue:
		if token {
			return OK
		}
		return c.extensionEnd(b, space)
	case chunkExtQuoted, chunkExtEscaped:
		return c.quoted(b, space)
	default:
		return c.extensionEnd(b, space)
	}
	return orBareLF(b, BadChunkExtension)
}

// extensionEnd reads what may stand behind an extension's name or value.
func (c *Chunked) extensionEnd(b byte, space bool) Code {
	name := c.step == chunkExtName || c.step == chunkExtNameSpace
	spaced := c.step == chunkExtNameSpace || c.step == chunkExtValueSpace
	switch {
	case space && name:
		c.step = chunkExtNameSpace
	case space:
		c.step = chunkExtValueSpace
	case b == ';':
		c.step = chunkExtStart
	case b == '=' && name:
		c.step = chunkExtValueStart
	case b == '\r' && !spaced:
		c.step = chunkSizeLF
	default:
		return orBareLF(b, BadChunkExtension)
	}
	return OK
}

func (c *Chunked) quoted(b byte, space bool) Code {
	switch {
	case b < 0x20 && !space || b == 0x7f:
		return orBareLF(b, BadChunkExtension)
	case c.step == chunkExtEscaped:
		c.step = chunkExtQuoted
	case b == '\\':
		c.step = chunkExtEscaped
	case b == '"':
		c.step = chunkExtQuotedEnd
	}
	return OK
}
