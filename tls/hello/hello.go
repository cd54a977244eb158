package hello

const (
	// MaxSuites is how many cipher suites a hello may offer; fewer than 400 are registered.
	MaxSuites = 512
	// MaxExtensions is how many extensions a hello may have.
	MaxExtensions = 128
	// MaxProtocols is how many protocols a hello may offer by ALPN.
	MaxProtocols = 64
	// MaxSchemes is how many signature schemes a hello may offer.
	MaxSchemes = 256
	// MaxKeyShares is how many key shares a hello may have.
	MaxKeyShares = 32

	maxSessionID = 32
	randomBytes  = 32
)

// Versions of the protocol.
const (
	VersionSSL30 = 0x0300
	VersionTLS10 = 0x0301
	VersionTLS11 = 0x0302
	VersionTLS12 = 0x0303
	VersionTLS13 = 0x0304
)

// Name says what a client wrote into server_name (RFC 6066, section 3).
type Name uint8

const (
	NameNone    Name = iota // no such extension
	NameHost                // a host name
	NameAddress             // an IP address, which does not belong there and is taken for no name
)

// ECH says what a client wrote into encrypted_client_hello (RFC 9849, section 5).
type ECH uint8

const (
	ECHNone  ECH = iota
	ECHOuter     // an inner hello is encrypted in it, or what looks like one; all that we see is the outer one
	ECHInner     // this is the inner hello: whoever decrypted it is in front of us
)

// Hello is what a ClientHello says (RFC 8446, section 4.1.2). Its ranges are of the message that was parsed. It holds
// no pointers.
type Hello struct {
	Legacy  uint16 // legacy_version, from TLS 1.0 on
	Version uint16 // the highest version offered, of those up to TLS 1.3; 0 when it offers none of these

	Suites    Ref // Numbers, at least one
	Versions  Ref // Numbers of supported_versions; without that extension all are empty, as with these:
	Groups    Ref // Numbers of supported_groups
	Schemes   Ref // Numbers of signature_algorithms
	Protocols Ref // of ALPN, read with type Protocols
	KeyShares Ref // read with type KeyShares

	Extensions     Ref    // all of them, read with type Extensions
	ExtensionCount uint16 // how many

	Name      Name
	ECH       ECH
	Tickets   bool // knows session tickets of TLS 1.2 (RFC 5077)
	Ticket    bool // has one to resume with
	PSK       bool // has pre-shared keys, which in practice are tickets of TLS 1.3
	EarlyData bool // sends data before the handshake's end

	sniLen uint8
	sni    [maxName]byte
}

// SNI is the host name asked for, in lower case without a trailing dot; empty unless Name is NameHost. It is part of h.
func (h *Hello) SNI() []byte { return h.sni[:h.sniLen] }

// Parse reads a complete ClientHello message, from its type on. The answer is OK, or the first fault: then what h says
// is worth nothing.
func (h *Hello) Parse(message []byte) Code {
	*h = Hello{}
	switch {
	case len(message) > 0 && message[0] != typeClientHello:
		return NotHello
	case len(message) > MaxMessage:
		return HelloTooLarge
	case len(message) < messageHeader:
		return BadLength
	case int(message[1])<<16|int(message[2])<<8|int(message[3]) != len(message)-messageHeader:
		return BadLength
	}
	r := reader{b: message, pos: messageHeader, end: len(message)}
	h.Legacy = r.u16()
	r.take(randomBytes)
	session := r.vector8()
	h.Suites = r.vector16()
	compression := r.vector8()
	switch {
	case r.bad:
		return BadLength
	case h.Legacy <= VersionSSL30:
		return BadVersion // RFC 8446, appendix D.5
	case session.Len > maxSessionID:
		return BadSessionID
	case h.Suites.Len == 0 || h.Suites.Len%2 != 0:
		return BadSuites
	case h.Suites.Len > 2*MaxSuites:
		return TooManySuites
	}
	if code := h.extensions(&r); code != OK {
		return code
	}
	h.Version = h.highest(message)
	return checkCompression(compression.In(message), h.Version)
}

// highest is the highest version offered that is known: the latest is not sent in Legacy (RFC 8446, section 4.2.1).
func (h *Hello) highest(message []byte) uint16 {
	if h.Versions.Len == 0 {
		return min(h.Legacy, VersionTLS12)
	}
	highest := uint16(0)
	versions := Numbers(h.Versions.In(message))
	for i := range versions.Len() {
		if v := versions.At(i); v > highest && v >= VersionSSL30 && v <= VersionTLS13 {
			highest = v
		}
	}
	return highest
}

// checkCompression wants null among the methods (RFC 5246, section 7.4.1.2), and nothing else where TLS 1.3 is offered
// (RFC 8446, section 4.1.2).
func checkCompression(methods []byte, version uint16) Code {
	if version == VersionTLS13 && len(methods) != 1 {
		return BadCompression
	}
	for _, m := range methods {
		if m == 0 {
			return OK
		}
	}
	return BadCompression
}
