package proxyproto

import (
	"bytes"
	"net/netip"
)

// parse1 is Parse for the line of text of version 1 (section 2.1), which is judged when its end is there.
func (h *Header) parse1(b []byte) (n int, code Code) {
	b = b[:min(len(b), MaxLine)]
	end := bytes.IndexAny(b, "\r\n")
	switch {
	case end < 0 || b[end] == '\r' && end == len(b)-1:
		if len(b) == MaxLine {
			return 0, LineTooLong
		}
		return 0, NeedMore
	case b[end] == '\n' || b[end+1] != '\n':
		return 0, BadLineEnd
	}
	return end + 2, h.line(b[len(signature1):end])
}

// line reads what stands between the signature and the line's end.
func (h *Header) line(b []byte) Code {
	protocol, rest, more := bytes.Cut(b, space)
	v6 := false
	switch string(protocol) {
	case "UNKNOWN": // what follows is to be ignored
		return OK
	case "TCP4":
	case "TCP6":
		v6 = true
	default:
		return BadProtocol
	}
	var addrs [2]netip.Addr
	for i := range addrs {
		if !more {
			return BadLine
		}
		var field []byte
		if field, rest, more = bytes.Cut(rest, space); !parseAddr(field, v6, &addrs[i]) {
			return BadAddress
		}
	}
	if !more {
		return BadLine
	}
	source, rest, more := bytes.Cut(rest, space)
	if !more {
		return BadLine
	}
	from, ok1 := number(source, 65535)
	to, ok2 := number(rest, 65535)
	if !ok1 || !ok2 {
		return BadPort
	}
	h.Source = netip.AddrPortFrom(addrs[0], uint16(from))
	h.Destination = netip.AddrPortFrom(addrs[1], uint16(to))
	return OK
}

var space = []byte{' '}

// AppendV1 appends a header of version 1 that says that src has connected to dst. Without two addresses it says that
// they are not known; those of different families are both written as IPv6.
func AppendV1(b []byte, src, dst netip.AddrPort) []byte {
	switch from, to, family := pair(src, dst); family {
	case familyIPv4:
		return appendLine(append(b, signature1+"TCP4 "...), from, to, src.Port(), dst.Port())
	case familyIPv6:
		return appendLine(append(b, signature1+"TCP6 "...), from, to, src.Port(), dst.Port())
	}
	return append(b, signature1+"UNKNOWN\r\n"...)
}

func appendLine(b []byte, src, dst netip.Addr, from, to uint16) []byte {
	b = append(src.AppendTo(b), ' ')
	b = append(dst.AppendTo(b), ' ')
	b = append(appendNumber(b, from), ' ')
	return append(appendNumber(b, to), '\r', '\n')
}

func appendNumber(b []byte, n uint16) []byte {
	if n >= 10 {
		b = appendNumber(b, n/10)
	}
	return append(b, '0'+byte(n%10))
}
