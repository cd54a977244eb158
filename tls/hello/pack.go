package hello

import "encoding/binary"

// packedHeader is in front of a packed offer: version, number of suites, lengths of name and fingerprint.
const packedHeader = 2 + 2 + 1 + 1

// PackedLen is the length of what Pack appends: some 120 bytes for most clients, and MaxPacked at most.
func (o *Offer) PackedLen() int {
	n := packedHeader + len(o.SNI) + len(o.JA4) + 2*len(o.Suites)
	for _, name := range o.ALPN {
		n += 1 + len(name)
	}
	return n
}

// MaxPacked is the greatest length of a packed offer that Show made.
const MaxPacked = packedHeader + maxName + JA4Bytes + 2*MaxSuites + MaxMessage

// Pack appends the offer to dst as one string of bytes: what a connection keeps of its hello. It allocates nothing if
// there is room.
func (o *Offer) Pack(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, o.Version)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(o.Suites)))
	dst = append(dst, byte(len(o.SNI)), byte(len(o.JA4)))
	dst = append(dst, o.SNI...)
	dst = append(dst, o.JA4...)
	for _, suite := range o.Suites {
		dst = binary.BigEndian.AppendUint16(dst, suite)
	}
	for _, name := range o.ALPN {
		dst = append(dst, byte(len(name)))
		dst = append(dst, name...)
	}
	return dst
}

// Unpack puts a packed offer on the board. The offer is part of the board and of packed: it is good until one of them
// is used for something else. ok is false when packed is nothing that Pack made.
func (b *Board) Unpack(packed []byte) (offer *Offer, ok bool) {
	if len(packed) < packedHeader {
		return nil, false
	}
	o := &b.offer
	*o = Offer{Version: binary.BigEndian.Uint16(packed)}
	suites := int(binary.BigEndian.Uint16(packed[2:]))
	name, ja4 := int(packed[4]), int(packed[5])
	packed = packed[packedHeader:]
	if suites > MaxSuites || len(packed) < name+ja4+2*suites {
		return nil, false
	}
	o.SNI, packed = packed[:name:name], packed[name:]
	o.JA4, packed = packed[:ja4:ja4], packed[ja4:]
	o.Suites = b.suites[:suites]
	for i := range o.Suites {
		o.Suites[i] = Numbers(packed).At(i)
	}
	o.ALPN = b.protocols[:0]
	for packed = packed[2*suites:]; len(packed) > 0; {
		n := 1 + int(packed[0])
		if n > len(packed) || len(o.ALPN) == MaxProtocols {
			return nil, false
		}
		o.ALPN = append(o.ALPN, packed[1:n:n])
		packed = packed[n:]
	}
	return o, true
}
