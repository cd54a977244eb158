package hello

// IsGREASE reports whether a number is one of those that stand for nothing, so that servers stay tolerant of what they
// do not know (RFC 8701): 0x0a0a, 0x1a1a and so on.
func IsGREASE(n uint16) bool { return n&0x0f0f == 0x0a0a && n>>8 == n&0xff }

// Numbers are 16-bit numbers as they stand in a message, GREASE among them.
type Numbers []byte

// Len is how many there are.
func (n Numbers) Len() int { return len(n) / 2 }

// At is number i.
func (n Numbers) At(i int) uint16 { return uint16(n[2*i])<<8 | uint16(n[2*i+1]) }

// Protocols are the names of protocols offered, in the client's order of preference.
type Protocols []byte

// Next is the first name, and what is behind it. There is one as long as p is not empty.
func (p Protocols) Next() (name []byte, rest Protocols) {
	n := 1 + int(p[0])
	return p[1:n:n], p[n:]
}

// KeyShares are the client's keys for the groups that it expects the server to choose.
type KeyShares []byte

// Next is the first share, and what is behind it. There is one as long as k is not empty.
func (k KeyShares) Next() (group uint16, key []byte, rest KeyShares) {
	group, key, next := pair(k)
	return group, key, KeyShares(next)
}

// Extensions are all extensions in the client's order.
type Extensions []byte

// Next is the first extension's type and content, and what is behind it. There is one as long as e is not empty.
func (e Extensions) Next() (id uint16, content []byte, rest Extensions) {
	id, content, next := pair(e)
	return id, content, Extensions(next)
}

// pair takes a number and a vector off b.
func pair(b []byte) (number uint16, content, rest []byte) {
	n := 4 + int(b[2])<<8 + int(b[3])
	return uint16(b[0])<<8 | uint16(b[1]), b[4:n:n], b[n:]
}
