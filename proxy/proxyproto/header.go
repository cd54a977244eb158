package proxyproto

import "net/netip"

// Header is what one says of the connection that is passed on.
type Header struct {
	// Version is 1 or 2. Parse sets it as soon as that is clear, whatever becomes of the header.
	Version uint8
	// Local tells that the sender has made the connection on its own behalf, such as to look whether we are there.
	Local bool
	// Source is who has connected, and Destination what to. Both are invalid when the header names no addresses of IP:
	// it is Local, does not know them, or they are of unix sockets. Then the connection's own are the ones to use. Both
	// are of one family; what came as IPv6 stays IPv6, be it mapped IPv4.
	Source, Destination netip.AddrPort
}

const (
	// MaxLen is the greatest number of bytes that a header may have, vectors included: the smallest segment that every
	// host must take (RFC 9293, section 3.7.1), which is as much as senders are sure to deliver at once.
	MaxLen = 536
	// MaxLine is the same for version 1, with the line's end.
	MaxLine = 107

	signature1 = "PROXY "
	signature2 = "\r\n\r\n\x00\r\nQUIT\n"
)

// Parse reads the header that b begins with, where b is all that has come on a connection so far. With OK, the header
// is its first n bytes. NeedMore is said only as long as more bytes could make a header of it, of at most MaxLen bytes;
// every other answer is final, whatever comes behind. But for its Version, h means nothing unless code is OK.
func Parse(b []byte) (h Header, n int, code Code) {
	if len(b) == 0 {
		return h, 0, NeedMore
	}
	switch b[0] {
	case signature1[0]:
		code = begins(b, signature1)
		h.Version = 1
	case signature2[0]:
		code = begins(b, signature2)
		h.Version = 2
	default:
		code = NotProxy
	}
	switch {
	case code != OK:
		return Header{}, 0, code
	case h.Version == 1:
		n, code = h.parse1(b)
	default:
		n, code = h.parse2(b)
	}
	return h, n, code
}

// begins tells whether b begins with text, or may when more of it has come.
func begins(b []byte, text string) Code {
	n := min(len(b), len(text))
	switch {
	case string(b[:n]) != text[:n]:
		return NotProxy
	case n < len(text):
		return NeedMore
	}
	return OK
}
