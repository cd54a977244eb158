package routing

import "strings"

// maxHost is the length of the longest host name (RFC 1035, section 2.3.4, without the root label) and more than that
// of any address.
const maxHost = 253

// canonicalHost brings an authority into the form of host patterns: in lower case, without port and trailing dot, an
// IPv6 address with its brackets. It is empty for what is no name: with an empty label, or too long. The result is
// part of host, or of buf.
func canonicalHost(host []byte, buf *[maxHost]byte) []byte {
	if len(host) > 0 && host[0] == '[' {
		for i, c := range host {
			if c == ']' {
				host = host[:i+1]
				break
			}
		}
	}
	upper, last := false, byte('.')
	for i, c := range host {
		switch {
		case c == ':' && host[0] != '[':
			host = host[:i]
		case c == '.' && last == '.':
			return nil
		case 'A' <= c && c <= 'Z':
			upper = true
		}
		if len(host) == i {
			break
		}
		last = c
	}
	if n := len(host); n > 0 && host[n-1] == '.' {
		host = host[:n-1]
	}
	if len(host) > maxHost {
		return nil
	}
	if upper {
		for i, c := range host {
			buf[i] = lower(c)
		}
		return buf[:len(host)]
	}
	return host
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// hostFits reports whether name, in canonical form, fits a host pattern.
func hostFits(pattern string, name []byte) bool {
	if suffix, ok := strings.CutPrefix(pattern, deepMark); ok {
		return len(above(suffix, name)) > 0
	}
	if suffix, ok := strings.CutPrefix(pattern, starMark); ok {
		label := above(suffix, name)
		return len(label) > 0 && !hasDot(label)
	}
	return string(name) == pattern
}

// above is what name has before the dot and suffix, or nil.
func above(suffix string, name []byte) []byte {
	n := len(name) - len(suffix) - 1
	if n <= 0 || name[n] != '.' || string(name[n+1:]) != suffix {
		return nil
	}
	return name[:n]
}

func hasDot(b []byte) bool {
	for _, c := range b {
		if c == '.' {
			return true
		}
	}
	return false
}

// equalFold compares a received token with one in lower case.
func equalFold(b []byte, lowered string) bool {
	if len(b) != len(lowered) {
		return false
	}
	for i, c := range b {
		if lower(c) != lowered[i] {
			return false
		}
	}
	return true
}
