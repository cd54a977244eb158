// Package urlpath brings the path of a request target into the one form in which rules compare it and upstreams get it.
//
// In normal form (RFC 3986, sections 6.2.2 and 5.2.4) unreserved characters are not percent-encoded, the digits of the
// escapes that remain are in upper case, no two slashes stand in a row, and no segment is "." or "..". Escapes are
// decoded once and before segments are looked at, so that "/%2e%2e/" is "/../" here as it is for those who decode
// first. What different readers would still take for different paths is refused: see Fault.
//
// The package is pure and imports the standard library only; it may be imported by both planes.
package urlpath

import "encoding/binary"

// Policy says what becomes of a path's doubtful parts. The zero value refuses them and merges slashes.
type Policy struct {
	KeepSlash   bool // %2F and %5C stay as they are; else they are refused
	KeepNUL     bool // %00 stays as it is; else it is refused
	KeepDoubles bool // "//" stays as it is; else slashes in a row become one
}

// Fault says why a path is refused.
type Fault uint8

const (
	OK           Fault = iota
	EncodedSlash       // %2F or %5C: the end of a segment to those who decode first
	EncodedNUL         // %00: the end of the path in C
	BadEscape          // % without two hexadecimal digits
	DotParameter       // "/.;" or "/..;": a dot segment to those who cut parameters off
)

// String is the fault in a few words, for logs; empty for OK.
func (f Fault) String() string {
	return [...]string{
		"", "encoded slash in the path", "encoded NUL in the path", "invalid percent-encoding in the path",
		"dot segment with a parameter in the path",
	}[f]
}

// One byte in each of eight.
const (
	each     = 0x0101010101010101
	highBits = each << 7
	slashes  = each * '/'
	percents = each * '%'
)

// zeros has the high bit of each byte of v set that is zero, and perhaps of the one behind such a byte.
func zeros(v uint64) uint64 { return (v - each) &^ v }

// Normal reports whether Normalize would leave path as it is and refuse nothing under any policy. It costs one pass,
// eight bytes at a time as long as there is no escape, and no slash with a slash or a dot behind it.
func Normal(path []byte) bool {
	i := 0
	for ; i+9 <= len(path); i += 8 {
		if suspect(path[i : i+9]) {
			return normalRest(path[i:])
		}
	}
	if i > 0 {
		i = len(path) - 9 // the last word overlaps the one before; only the last byte is behind it
		return !suspect(path[i:]) && path[i+8] != '%' || normalRest(path[i:])
	}
	return normalRest(path)
}

// suspect reports whether one of the first eight bytes is a percent sign, or a slash before a slash or dot; it may say
// so of others too. A dot is a slash without its lowest bit.
func suspect(b []byte) bool {
	v, next := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[1:])
	percent, slash, behind := v^percents, v^slashes, (next|each)^slashes
	return (zeros(percent)|zeros(slash)&zeros(behind))&highBits != 0
}

// normalRest is Normal, byte by byte.
func normalRest(b []byte) bool {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '%':
			if !normalEscape(b[i:]) {
				return false
			}
			i += 2
		case '/':
			rest := b[i+1:]
			if len(rest) > 0 && rest[0] <= '/' && (rest[0] == '/' || dots(rest) > 0) {
				return false
			}
		}
	}
	return true
}

// normalEscape reports whether b begins with an escape that stays as it is.
func normalEscape(b []byte) bool {
	v, ok := unescape(b)
	return ok && !unreserved(v) && v != 0 && v != '/' && v != '\\' && b[1] < 'a' && b[2] < 'a'
}

// dots is the length of the dots of b's first segment if that is "." or "..", or one of these with a parameter; else 0.
func dots(b []byte) int {
	n := 0
	for n < len(b) && n < 2 && b[n] == '.' {
		n++
	}
	if n == 0 || n == len(b) || b[n] == '/' || parameter(b[n:]) {
		return n
	}
	return 0
}

// parameter reports whether b begins with a semicolon, encoded or not.
func parameter(b []byte) bool {
	return b[0] == ';' || len(b) > 2 && b[0] == '%' && b[1] == '3' && b[2]|0x20 == 'b'
}

// Normalize appends path in its normal form to dst; dst may be path[:0]. path begins with a slash, or is "*" or empty,
// which stay. What is appended is never longer than path. With a fault nothing is appended.
func Normalize(dst, path []byte, p Policy) ([]byte, Fault) {
	base := len(dst)
	seg := base // where the last segment begins
	for i := 0; i < len(path); i++ {
		switch c := path[i]; c {
		default:
			dst = append(dst, c)
		case '%':
			v, ok := unescape(path[i:])
			if !ok {
				return dst[:base], BadEscape
			}
			if fault := p.judge(v); fault != OK {
				return dst[:base], fault
			}
			dst = appendByte(dst, v)
			i += 2
		case '/':
			switch n, fault := closeSegment(dst, base, seg); {
			case fault != OK:
				return dst[:base], fault
			case n < len(dst): // a dot segment, whose slash is that of the one before
				dst = dst[:n]
			case n == seg && n > base && !p.KeepDoubles:
			default:
				dst = append(dst, '/')
			}
			seg = len(dst)
		}
	}
	n, fault := closeSegment(dst, base, seg)
	if fault != OK {
		n = base
	}
	return dst[:n], fault
}

// judge says whether an escape that stands for v is refused.
func (p Policy) judge(v byte) Fault {
	switch {
	case v == 0 && !p.KeepNUL:
		return EncodedNUL
	case (v == '/' || v == '\\') && !p.KeepSlash:
		return EncodedSlash
	}
	return OK
}

// closeSegment looks at the segment dst[seg:], which is complete, and returns how much of dst stays: all of it, or what
// stood before "." or before ".." and the segment that this takes back. dst[:base] is not ours.
func closeSegment(dst []byte, base, seg int) (int, Fault) {
	if seg == len(dst) || dst[seg] != '.' || seg == base {
		return len(dst), OK
	}
	n := dots(dst[seg:])
	switch {
	case n == 0:
		return len(dst), OK
	case n < len(dst)-seg:
		return 0, DotParameter
	case n == 2 && seg-1 > base:
		for seg--; dst[seg-1] != '/'; seg-- {
		}
	}
	return seg, OK
}

// appendByte appends v as it is written in a path: unreserved characters plainly, others as escapes.
func appendByte(dst []byte, v byte) []byte {
	if unreserved(v) {
		return append(dst, v)
	}
	const digits = "0123456789ABCDEF"
	return append(dst, '%', digits[v>>4], digits[v&15])
}

// unescape reads the escape with which b begins.
func unescape(b []byte) (byte, bool) {
	if len(b) < 3 {
		return 0, false
	}
	hi, lo := hexValue[b[1]], hexValue[b[2]]
	return hi<<4 | lo&15, hi|lo < 16
}

// unreserved reports whether v never needs to be encoded (RFC 3986, section 2.3).
func unreserved(v byte) bool {
	switch {
	case 'a' <= v|0x20 && v|0x20 <= 'z', '0' <= v && v <= '9', v == '-', v == '.', v == '_', v == '~':
		return true
	}
	return false
}

// hexValue is what a hexadecimal digit stands for; more than 15 for all other bytes.
var hexValue = func() (t [256]uint8) {
	for i := range t {
		switch c := byte(i); {
		case '0' <= c && c <= '9':
			t[i] = c - '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			t[i] = c | 0x20 - 'a' + 10
		default:
			t[i] = 0xff
		}
	}
	return t
}()
