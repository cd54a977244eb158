package load

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/tls/record"
)

// sealedBytes is how much is sealed and sent at once.
const sealedBytes = 80 << 10

// openRecords opens the records in b, and returns their plain text in one piece, which begins where b does. What is no
// whole record is kept for when the rest of it comes. An error is why nothing will come behind the plain text.
func (c *conn) openRecords(b []byte) (plain []byte, err error) {
	n := 0
	for rest := b; len(rest) > 0; {
		r := c.layer.Open(rest)
		switch r.Kind {
		case record.NeedMore:
			c.held = append(c.held, rest...)
			return b[:n], nil
		case record.Data:
			n += copy(b[n:], rest[r.Off:][:r.Len])
		case record.Quiet:
		case record.Closed:
			return b[:n], errClosed
		default:
			return b[:n], fmt.Errorf("%s: alert %s", r.Kind, r.Alert)
		}
		rest = rest[r.N:]
	}
	return b[:n], nil
}

// write gives the socket a part of requests, or when they are encrypted as much of it as suits. It returns how much of
// it is under way, also with an error; 0 as well when only what was sealed before is.
func (g *Generator) write(c *conn, part []byte) (took int, err error) {
	if g.secure == nil {
		n, err := unix.Write(c.fd, part)
		return max(n, 0), err
	}
	s, out := g.secure, c.sealed
	if len(out) == 0 {
		s.span[0] = part
		var refusal record.Refusal
		out, took, refusal = c.layer.SealTo(s.sealed, s.span[:], int64(g.clock))
		if refusal != record.Sealed {
			return 0, fmt.Errorf("nothing more can be sealed: %s", refusal)
		}
	}
	n, err := unix.Write(c.fd, out)
	c.sealed = append(c.sealed[:0], out[max(n, 0):]...)
	return took, err
}

// unsent reports whether there are parts of requests that the socket has not taken.
func (c *conn) unsent() bool { return c.sent < c.size || len(c.sealed) > 0 }
