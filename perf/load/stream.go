package load

import (
	"errors"
	"fmt"
	"time"

	"github.com/uringproxy/uringproxy/perf/chunked"
)

// stream is what a connection has received of a response without end.
type stream struct {
	chunks chunked.Decoder
	piece  [PieceBytes]byte // the piece that is coming
	filled int
	next   int           // number of the piece that must come next
	last   time.Duration // when the last one came; negative when that was before this phase
}

var (
	errPiece = errors.New("a piece that is not the next one of the stream")
	errEnd   = errors.New("the stream was ended")
)

// feed reads a part of the body and returns how many pieces it completed.
func (s *stream) feed(b []byte) (pieces int, err error) {
	for len(b) > 0 {
		data, used, err := s.chunks.Next(b)
		if err != nil {
			return pieces, err
		}
		if s.chunks.Done() {
			return pieces, errEnd
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

// streamed looks at what has come of a stream.
func (g *Generator) streamed(c *conn, b []byte) {
	s := &c.stream
	if !c.answer.inBody {
		used, whole, err := g.readHead(c, b)
		switch {
		case err != nil:
			g.ended(c, err)
			return
		case !whole:
			return
		case c.answer.head.status != 200 || c.answer.head.length >= 0:
			g.ended(c, fmt.Errorf("not a stream: %.80q", b))
			return
		}
		b = b[used:]
	}
	pieces, err := s.feed(b)
	if err != nil {
		g.ended(c, err)
		return
	}
	if pieces > 0 {
		t := g.tallyOf(g.clock)
		if s.last >= 0 {
			t.Gap = max(t.Gap, g.clock-s.last)
		}
		s.last = g.clock
		t.Pieces += pieces
	}
}
