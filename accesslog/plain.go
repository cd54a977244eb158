package accesslog

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// plain marks the bytes that both formats write as they are: printable ASCII without quote and backslash.
var plain = func() (t [256]bool) {
	for c := ' '; c <= '~'; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return
}()

const (
	each = 0x0101010101010101 // a one in every byte of a word
	tops = 0x80 * each
)

// plainPrefix is the length of the longest prefix of s that needs no escaping.
func plainPrefix(s []byte) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		if m := special(binary.LittleEndian.Uint64(s[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(s); i++ {
		if !plain[s[i]] {
			return i
		}
	}
	return i
}

// special is zero when all eight bytes of x are plain; else its lowest bit lies in the first that is not. Each term
// finds bytes by a borrow into the top bit, which may spill into later bytes but never into earlier ones.
func special(x uint64) uint64 {
	quote, backslash, del := x^'"'*each, x^'\\'*each, x^0x7f*each
	found := (x - ' '*each) &^ x
	found |= (quote - each) &^ quote
	found |= (backslash - each) &^ backslash
	found |= (del - each) &^ del
	return (found | x) & tops
}

// cut shortens s to at most n bytes, less where that would split a character.
func cut(s []byte, n int) []byte {
	for i := n; i > n-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return s[:i]
		}
	}
	return s[:n]
}
