package proxyproto

import "net/netip"

// parseAddr reads an address as text, which netip does only of strings. Leading zeros of IPv4 are refused, zones too.
func parseAddr(b []byte, v6 bool, to *netip.Addr) bool {
	if !v6 {
		var a [4]byte
		ok := parse4(b, a[:])
		*to = netip.AddrFrom4(a)
		return ok
	}
	var a [16]byte
	ok := parse6(b, &a)
	*to = netip.AddrFrom16(a)
	return ok
}

// parse4 reads four numbers with dots between them into to.
func parse4(b, to []byte) bool {
	for i := range 4 {
		end := 0
		for end < len(b) && b[end] != '.' {
			end++
		}
		n, ok := number(b[:end], 255)
		if !ok || (end < len(b)) != (i < 3) {
			return false
		}
		to[i] = byte(n)
		b = b[min(end+1, len(b)):]
	}
	return true
}

// parse6 reads groups of hexadecimal digits (RFC 4291, section 2.2). The last two may be written as IPv4, as senders do
// for mapped addresses.
func parse6(b []byte, to *[16]byte) bool {
	n, gap := 0, -1 // bytes read, and how many of them stand before the double colon
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap, b = 0, b[2:]
	}
	for len(b) > 0 {
		group, digits := 0, 0
		for digits < min(len(b), 4) && hexDigit(b[digits]) >= 0 {
			group = group<<4 | hexDigit(b[digits])
			digits++
		}
		switch {
		case digits == 0 || n == len(to):
			return false
		case digits < len(b) && b[digits] == '.':
			if n > 12 || !parse4(b, to[n:]) {
				return false
			}
			return spread(to, n+4, gap)
		}
		to[n], to[n+1] = byte(group>>8), byte(group)
		n, b = n+2, b[digits:]
		if len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return false
		}
		if b = b[1:]; b[0] == ':' {
			if gap >= 0 {
				return false
			}
			gap, b = n, b[1:]
		}
	}
	return spread(to, n, gap)
}

// spread puts zeros into the gap of an address of which n bytes were read. The gap stands for some.
func spread(to *[16]byte, n, gap int) bool {
	if gap < 0 || n == len(to) {
		return gap < 0 && n == len(to)
	}
	end := len(to)
	for n > gap {
		n, end = n-1, end-1
		to[end] = to[n]
	}
	clear(to[gap:end])
	return true
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

// number reads a decimal number of at most max, which is below 100000, without leading zeros.
func number(b []byte, max int) (n int, ok bool) {
	if len(b) == 0 || len(b) > 5 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, n <= max
}
