package h1

// The name of a trailer field may arrive in any number of pieces, and Chunked has no room to keep them. It
// keeps a hash, and refuses every name whose hash is that of a field which has no place in a trailer
// section. A collision can only refuse too much.

// FNV-1a, 64 bits.
const (
	hashStart = 14695981039346656037
	hashPrime = 1099511628211
)

// hashByte adds a byte of a name, without regard to case, and taking all punctuation for hyphens.
func hashByte(h uint64, c byte) uint64 {
	if class[c]&isAlnum == 0 {
		c = '-'
	}
	return (h ^ uint64(fold(c))) * hashPrime
}

// vouched are fields without an ID that upstreams believe where a proxy vouches for a client's certificate. It drops
// what a client says in them from the head.
var vouched = [...]string{
	"client-cert", "client-cert-chain", "x-client-cert-subject", "x-client-cert-san", "x-client-cert-fingerprint",
}

var forbidden = forbiddenHashes()

func forbiddenHashes() (t [int(fieldIDs) + len(vouched)]uint64) {
	for id := range fields {
		if fields[id].is&early != 0 {
			t[id] = hashName(fields[id].name)
		}
	}
	for i, name := range vouched {
		t[int(fieldIDs)+i] = hashName(name)
	}
	return t
}

func hashName(name string) uint64 {
	h := uint64(hashStart)
	for i := range len(name) {
		h = hashByte(h, name[i])
	}
	return h
}

// trailer reads a byte of the trailer section, by the same rules as a header section's.
func (c *Chunked) trailer(b byte) Code {
	if c.bytes++; c.bytes > TrailerBytesMax {
		return TrailerTooLarge
	}
	switch c.step {
	case trailerStart:
		return c.trailerLine(b)
	case trailerName:
		if class[b]&isToken != 0 {
			c.left = hashByte(c.left, b)
			return OK
		}
		return c.trailerColon(b)
	case trailerValue:
		if b == '\r' {
			c.step = trailerLF
		} else if b < 0x20 && b != '\t' || b == 0x7f {
			return orBareLF(b, ControlByte)
		}
		return OK
	}
	if b != '\n' {
		return BareCR
	}
	if c.step == trailerEndLF {
		c.step = chunkDone
	} else {
		c.step = trailerStart
	}
	return OK
}

// trailerLine reads the first byte of a line.
func (c *Chunked) trailerLine(b byte) Code {
	switch {
	case class[b]&isToken != 0:
		if c.fields++; c.fields > TrailersMax {
			return TooManyTrailers
		}
		c.left = hashByte(hashStart, b)
		c.step = trailerName
		return OK
	case b == '\r':
		c.step = trailerEndLF
		return OK
	case isSpace(b) && c.fields == 0:
		return LeadingWhitespace
	case isSpace(b):
		return ObsFold
	case b == ':':
		return EmptyName
	}
	return orBareLF(b, BadName)
}

// trailerColon reads the byte that ended a name.
func (c *Chunked) trailerColon(b byte) Code {
	switch {
	case b == '\r':
		return MissingColon
	case isSpace(b):
		return SpaceBeforeColon
	case b != ':':
		return orBareLF(b, BadName)
	}
	for _, h := range forbidden {
		if h == c.left {
			return TrailerForbidden
		}
	}
	c.step = trailerValue
	return OK
}
