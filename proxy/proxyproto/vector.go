package proxyproto

import (
	"encoding/binary"
	"hash/crc32"
)

// Types of vectors (section 2.2), those within the one about TLS behind it.
const (
	typeALPN      = 0x01
	typeAuthority = 0x02
	typeCRC32C    = 0x03
	typeTLS       = 0x20

	typeTLSVersion = 0x21
	typeCommonName = 0x22
	typeCipher     = 0x23

	vectorHeader = 3 // one byte of type, two of length
)

// What the client has, in the first byte of the vector about TLS (section 2.2.6).
const (
	clientTLS         = 1 << 0
	clientCertificate = 1<<1 | 1<<2 // on this connection, and in its session
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	zeros      [crc32.Size]byte
)

// checkVectors judges what stands behind the addresses of a header that is complete. At most one of the vectors is a
// checksum, which is that of the header with zeros in its place (section 2.2.3).
func checkVectors(header []byte, from int) Code {
	checksum := 0 // where it is
	for at := from; at < len(header); {
		if at+vectorHeader > len(header) {
			return BadVector
		}
		value := at + vectorHeader
		end := value + int(binary.BigEndian.Uint16(header[at+1:]))
		if end > len(header) {
			return BadVector
		}
		if header[at] == typeCRC32C {
			if checksum != 0 || end-value != crc32.Size {
				return BadVector
			}
			checksum = value
		}
		at = end
	}
	if checksum == 0 {
		return OK
	}
	sum := crc32.Update(0, castagnoli, header[:checksum])
	sum = crc32.Update(sum, castagnoli, zeros[:])
	sum = crc32.Update(sum, castagnoli, header[checksum+crc32.Size:])
	if sum != binary.BigEndian.Uint32(header[checksum:]) {
		return BadChecksum
	}
	return OK
}

// Facts are what version 2 can tell of a client beside its address. What is empty is not told.
type Facts struct {
	Authority []byte // the host that the client has asked for: the server name of its ClientHello
	ALPN      []byte // the protocol of the application

	// TLS tells that the client's TLS ended at the sender. What is below belongs to it.
	TLS         bool
	Version     []byte // such as "TLSv1.3"
	Cipher      []byte // in OpenSSL's words
	Certificate bool   // the client has shown one
	Verified    bool   // and it was believed
	CommonName  []byte // of its subject
}

// AppendV2 appends a header of version 2. One that is not local and has no two addresses says that they are not known;
// addresses of different families are both written as IPv6. f may be nil. The header has at most MaxLen bytes: a fact
// for which there is no room in it is left out.
func AppendV2(b []byte, h *Header, f *Facts) []byte {
	begin := len(b)
	b = append(b, signature2...)
	if h.Local {
		return append(b, version2|commandLocal, familyNone<<4|transportNone, 0, 0)
	}
	b = h.appendAddresses(append(b, version2|commandProxy))
	if f != nil {
		room := begin + MaxLen
		b = appendVector(b, room, typeAuthority, f.Authority)
		b = appendVector(b, room, typeALPN, f.ALPN)
		if f.TLS {
			b = f.appendTLS(b, room)
		}
	}
	binary.BigEndian.PutUint16(b[begin+fixedBytes-2:], uint16(len(b)-begin-fixedBytes))
	return b
}

// appendVector appends a vector with a value, if b is no longer than room with it.
func appendVector(b []byte, room int, kind byte, value []byte) []byte {
	if len(value) == 0 || len(b)+vectorHeader+len(value) > room {
		return b
	}
	b = append(b, kind, byte(len(value)>>8), byte(len(value)))
	return append(b, value...)
}

// appendTLS appends the vector about TLS, with vectors in it.
func (f *Facts) appendTLS(b []byte, room int) []byte {
	const fixed = 1 + 4 // what there is, and whether the certificate is believed: 0 when it is
	at := len(b)
	if at+vectorHeader+fixed > room {
		return b
	}
	client, doubt := byte(clientTLS), byte(1)
	if f.Certificate {
		client |= clientCertificate
		if f.Verified {
			doubt = 0
		}
	}
	b = append(b, typeTLS, 0, 0, client, 0, 0, 0, doubt)
	b = appendVector(b, room, typeTLSVersion, f.Version)
	b = appendVector(b, room, typeCipher, f.Cipher)
	if f.Certificate {
		b = appendVector(b, room, typeCommonName, f.CommonName)
	}
	binary.BigEndian.PutUint16(b[at+1:], uint16(len(b)-at-vectorHeader))
	return b
}
