// Package chunked reads the chunked transfer coding (RFC 9112, section 7.1) at whatever places it is cut, without
// keeping anything of it. The two ends of a benchmark, perf/load and perf/origin, share it.
//
// proxy/h1 has a reader of its own. This one is another on purpose: who checks the proxy must not share its mistakes.
// It imports nothing of ours.
package chunked

import "errors"

// ErrFraming is what Next returns for bytes that are not in this coding, or a chunk of more than 4 GiB.
var ErrFraming = errors.New("a chunk that breaks the rules")

// longest is the largest size that another digit may follow.
const longest = 1 << 28

// Decoder reads one body. The zero value is ready for it.
type Decoder struct {
	state state
	left  int64 // bytes of the chunk that are still to come; while its size is read, the size so far
}

type state uint8

const (
	beforeSize state = iota // no digit yet
	inSize
	inExtension
	inData
	afterData
	afterDataCR
	beforeField // at the begin of a line of the trailer section
	inField
	afterFieldsCR
	done
)

// Next reads from b up to the end of a chunk's data, or of the body, at most. It returns the data, which is a part of
// b, and how many bytes of b it has used: at least one, unless there is none or the body is complete.
func (d *Decoder) Next(b []byte) (data []byte, used int, err error) {
	for i, x := range b {
		switch d.state {
		case inData:
			n := min(d.left, int64(len(b)-i))
			if d.left -= n; d.left == 0 {
				d.state = afterData
			}
			return b[i : i+int(n)], i + int(n), nil
		case done:
			return nil, i, nil
		}
		if !d.step(x) {
			return nil, 0, ErrFraming
		}
	}
	return nil, len(b), nil
}

// Done reports whether the last chunk has come, and the trailer section after it.
func (d *Decoder) Done() bool { return d.state == done }

// step reads a byte that is not data. It reports whether the byte is allowed.
func (d *Decoder) step(x byte) bool {
	digit := hexDigit(x)
	switch {
	case d.state <= inSize && digit >= 0:
		d.left, d.state = d.left<<4+int64(digit), inSize
		return d.left>>4 < longest
	case d.state == inSize && (x == '\r' || x == ';'):
		d.state = inExtension
	case d.state == inExtension && x == '\n' && d.left == 0:
		d.state = beforeField
	case d.state == inExtension && x == '\n':
		d.state = inData
	case d.state == inExtension:
	case d.state == afterData && x == '\r':
		d.state = afterDataCR
	case d.state == afterDataCR && x == '\n':
		d.state = beforeSize
	case d.state == beforeField && x == '\r':
		d.state = afterFieldsCR
	case d.state == beforeField:
		d.state = inField
	case d.state == inField && x == '\n':
		d.state = beforeField
	case d.state == inField:
	case d.state == afterFieldsCR && x == '\n':
		d.state = done
	default:
		return false
	}
	return true
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
