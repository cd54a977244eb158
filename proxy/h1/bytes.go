package h1

import (
	"encoding/binary"
	"math/bits"
)

// Classes of bytes, one bit each in class.
const (
	isToken uint8 = 1 << iota // tchar, RFC 9110, section 5.6.2
	isHex                     // HEXDIG of either case
	isPath                    // bytes of a path that need no second look: not %, ? and what ends or spoils it
	isQuery                   // bytes of a query: visible ASCII but #
	isHost                    // bytes of host and port: unreserved, colon and brackets
	isName                    // bytes of a host that is no IPv6 literal
	isDigit
	isAlnum
)

var class = classes()

func classes() (t [256]uint8) {
	for c := range t {
		alpha := c|0x20 >= 'a' && c|0x20 <= 'z'
		digit := c >= '0' && c <= '9'
		hex := digit || c|0x20 >= 'a' && c|0x20 <= 'f'
		set := func(bit uint8, in bool) {
			if in {
				t[c] |= bit
			}
		}
		set(isDigit, digit)
		set(isAlnum, alpha || digit)
		set(isHex, hex)
		set(isToken, alpha || digit || has("!#$%&'*+-.^_`|~", c))
		set(isName, alpha || digit || has("-._~", c))
		set(isHost, alpha || digit || has("-._~:[]", c))
		visible := c > ' ' && c < 0x7f
		set(isQuery, visible && c != '#')
		set(isPath, visible && !has(`#?%\`, c))
	}
	return t
}

func has(set string, c int) bool {
	for i := range len(set) {
		if int(set[i]) == c {
			return true
		}
	}
	return false
}

// scan is the index of the first byte of b from i on that is not of the class, or len(b). Four look-ups at a time
// do not wait for one another.
func scan(b []byte, i int, in uint8) int {
	for i+4 <= len(b) {
		s := b[i : i+4]
		if class[s[0]]&class[s[1]]&class[s[2]]&class[s[3]]&in == 0 {
			break
		}
		i += 4
	}
	for i < len(b) && class[b[i]]&in != 0 {
		i++
	}
	return i
}

const (
	ones   = 0x0101010101010101
	highs  = 0x80 * ones
	spaces = ' ' * ones
)

// scanText is the index of the first byte of b from i on that is neither HTAB, SP, visible nor obs-text, or
// len(b).
func scanText(b []byte, i int) int {
	for {
		i = skipText(b, i)
		if i == len(b) || b[i] != '\t' {
			return i
		}
		i++
	}
}

// skipText is scanText but stops at HTAB too. Values make up most of a head, hence eight bytes at a time: a
// byte below 0x20 or equal to 0x7f sets its high bit in m. The lowest bit set is exact, since a borrow
// spoils higher bytes only.
func skipText(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i : i+8])
		del := x ^ 0x7f*ones
		if m := ((x-spaces)&^x | (del-ones)&^del) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)>>3
		}
	}
	for i < len(b) && b[i] >= 0x20 && b[i] != 0x7f {
		i++
	}
	return i
}

// fold turns upper case into lower case. Of the bytes of a token only letters change into letters, so
// that two tokens are the same but for case when their folded bytes are.
func fold(c byte) byte { return c | 0x20 }

// sameToken reports whether b, a token, is name but for the case of its letters. name consists of
// lower-case letters, digits and hyphens.
func sameToken(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i, c := range b {
		if fold(c) != name[i] {
			return false
		}
	}
	return true
}

// lower is c in lower case; all other bytes than letters stay.
func lower(c byte) byte {
	if c-'A' < 26 {
		c += 'a' - 'A'
	}
	return c
}

// equalFold reports whether a and b differ in the case of ASCII letters at most.
func equalFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// trim is b without the SP and HTAB at both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' }
