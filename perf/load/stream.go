package load

import (
	"errors"
	"time"
)

// stream is what a connection has received of a response without end.
type stream struct {
	chunks chunks
	piece  [PieceBytes]byte // the piece that is coming
	filled int
	next   int           // number of the piece that must come next
	last   time.Duration // when the last one came; negative when that was before this phase
	begun  bool          // the head has come
}

var (
	errChunk = errors.New("a chunk that breaks the rules")
	errPiece = errors.New("a piece that is not the next one of the stream")
	errEnd   = errors.New("the stream was ended")
)

// feed reads a part of the body and returns how many pieces it completed.
func (s *stream) feed(b []byte) (pieces int, err error) {
	for len(b) > 0 {
		data, used, err := s.chunks.next(b)
		if err != nil {
			return pieces, err
		}
		b = b[used:]
		for len(data) > 0 {
			n := copy(s.piece[s.filled:], data)
			data = data[n:]
			if s.filled += n; s.filled < PieceBytes {
				continue
			}
			var want [PieceBytes]byte
			if s.piece != [PieceBytes]byte(AppendPiece(want[:0], s.next)) {
				return pieces, errPiece
			}
			s.filled = 0
			s.next++
			pieces++
		}
	}
	return pieces, nil
}

// chunks reads the chunked transfer coding (RFC 9112, section 7.1) as it comes, at whatever places it is cut.
type chunks struct {
	state chunkState
	left  int // bytes of the chunk that are still to come; while its size is read, the size so far
}

type chunkState uint8

const (
	inSize chunkState = iota
	inExtension
	inData
	afterData
	afterDataCR
)

// next reads from b up to the end of a chunk's data at most. It returns the data, which is a part of b, and how much of
// b it has used, at least a byte. The last chunk is an error: what we read has no end.
func (c *chunks) next(b []byte) (data []byte, used int, err error) {
	for i, x := range b {
		switch c.state {
		case inSize:
			digit := hexDigit(x)
			switch {
			case digit >= 0 && c.left < 1<<24:
				c.left = c.left<<4 + digit
			case x == '\r' || x == ';':
				c.state = inExtension
			default:
				return nil, 0, errChunk
			}
		case inExtension:
			if x != '\n' {
				continue
			}
			if c.left == 0 {
				return nil, 0, errEnd
			}
			c.state = inData
		case inData:
			n := min(c.left, len(b)-i)
			if c.left -= n; c.left == 0 {
				c.state = afterData
			}
			return b[i : i+n], i + n, nil
		case afterData:
			if x != '\r' {
				return nil, 0, errChunk
			}
			c.state = afterDataCR
		case afterDataCR:
			if x != '\n' {
				return nil, 0, errChunk
			}
			c.state = inSize
		}
	}
	return nil, len(b), nil
}

func hexDigit(x byte) int {
	switch {
	case '0' <= x && x <= '9':
		return int(x - '0')
	case 'a' <= x && x <= 'f':
		return int(x-'a') + 10
	case 'A' <= x && x <= 'F':
		return int(x-'A') + 10
	}
	return -1
}
