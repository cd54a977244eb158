package h1

const (
	hostMax      = 255 // longest domain name, RFC 1035, section 2.3.4
	authorityMax = hostMax + len(":65535")
)

// splitAuthority splits an authority into host and port; port is 0 when there is none. It accepts less than RFC 3986,
// section 3.2: no user information, no percent-encoding and no delimiters in names, no zone, no empty port, and
// no empty host. IPv6 literals keep their brackets.
func splitAuthority(a []byte) (host []byte, port int, ok bool) {
	end := 0
	if len(a) > 0 && a[0] == '[' {
		for end < len(a) && a[end] != ']' {
			end++
		}
		if end == len(a) || !isIPv6(a[1:end]) {
			return nil, 0, false
		}
		end++
	} else {
		end = scan(a, 0, isName)
	}
	if end == 0 || end > hostMax {
		return nil, 0, false
	}
	if end == len(a) {
		return a, 0, true
	}
	if a[end] != ':' {
		return nil, 0, false
	}
	port = parsePort(a[end+1:])
	return a[:end], port, port > 0
}

// parsePort is the number of 1 to 65535 that b spells in at most five digits, else 0.
func parsePort(b []byte) int {
	if len(b) > 5 {
		return 0
	}
	n := 0
	for _, c := range b {
		if class[c]&isDigit == 0 {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	if n > 65535 {
		return 0
	}
	return n
}

// isIPv6 reports whether b is an IPv6 address in the notation of RFC 3986, section 3.2.2.
func isIPv6(b []byte) bool {
	groups, gap := 0, false
	for i := 0; ; {
		if i+1 < len(b) && b[i] == ':' && b[i+1] == ':' {
			if gap {
				return false
			}
			gap = true
			if i += 2; i == len(b) {
				break
			}
		} else if i > 0 {
			if i == len(b) {
				break
			}
			if b[i] != ':' {
				return false
			}
			i++
		}
		end := scan(b, i, isHex)
		if end < len(b) && b[end] == '.' {
			if !isIPv4(b[i:]) {
				return false
			}
			groups += 2
			break
		}
		if end == i || end-i > 4 {
			return false
		}
		groups++
		i = end
	}
	return groups == 8 && !gap || groups < 8 && gap
}

// isIPv4 reports whether b is four decimal numbers up to 255, without leading zeros, between dots.
func isIPv4(b []byte) bool {
	for part := 1; ; part++ {
		end := scan(b, 0, isDigit)
		n := 0
		for _, c := range b[:min(end, 4)] {
			n = n*10 + int(c-'0')
		}
		if end == 0 || n > 255 || end > 1 && b[0] == '0' {
			return false
		}
		if end == len(b) {
			return part == 4
		}
		if b[end] != '.' {
			return false
		}
		b = b[end+1:]
	}
}

// sameAuthority reports whether the target's authority and Host's value, both valid, name the same place: hosts
// without regard to case, a missing port being the scheme's. With CONNECT, which has no scheme, Host may lack it.
func (p *Parser) sameAuthority(target, field []byte) bool {
	th, tp, _ := splitAuthority(target)
	fh, fp, _ := splitAuthority(field)
	port := 80
	if p.Secure {
		port = 443
	}
	if p.Form == FormAuthority {
		port = tp
	}
	if tp == 0 {
		tp = port
	}
	if fp == 0 {
		fp = port
	}
	return tp == fp && equalFold(th, fh)
}
