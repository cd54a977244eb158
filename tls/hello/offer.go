package hello

// Offer is what rules want to know of a hello. Its fields are those of routing.Hello, so that a pointer to the one
// converts to a pointer to the other.
type Offer struct {
	SNI     []byte   // in lower case, without a trailing dot; empty when the client named no host
	ALPN    [][]byte // protocols offered, in the client's order
	Version uint16   // highest version offered
	Suites  []uint16 // cipher suites offered
	JA4     []byte   // in lower case, as rules have it; empty unless asked for
}

// Board is the memory that an Offer points into. It is some kilobytes, so whoever asks rules keeps one and uses it
// again.
type Board struct {
	offer     Offer
	protocols [MaxProtocols][]byte
	suites    [MaxSuites]uint16
	ja4       [JA4Bytes]byte
}

// Show puts what h says of message on the board, with its fingerprint if that is wanted, for a hello that came by TCP.
// The offer is part of the board, h and message: it is good until one of them is used for something else.
func (b *Board) Show(h *Hello, message []byte, ja4 bool) *Offer {
	o := &b.offer
	*o = Offer{SNI: h.SNI(), ALPN: b.protocols[:0], Version: h.Version, Suites: b.suites[:h.Suites.Len/2]}
	for p := Protocols(h.Protocols.In(message)); len(p) > 0; {
		var name []byte
		name, p = p.Next()
		o.ALPN = append(o.ALPN, name)
	}
	suites := Numbers(h.Suites.In(message))
	for i := range o.Suites {
		o.Suites[i] = suites.At(i)
	}
	if ja4 {
		h.JA4(message, OverTCP, &b.ja4)
		lower(b.ja4[8:10])
		o.JA4 = b.ja4[:]
	}
	return o
}

// lower writes letters in lower case. Of a fingerprint, only what is taken from a protocol's name may be in upper case.
func lower(text []byte) {
	for i, c := range text {
		if c >= 'A' && c <= 'Z' {
			text[i] = c | 0x20
		}
	}
}
