package routing

// Queries are compared as forms write them: pairs between '&', a key and a value around the first '=', '+' for a blank,
// %XX for a byte. An escape that is none stands for itself.

// pair cuts the first pair off a query.
func pair(query []byte) (key, value, rest []byte) {
	end := len(query)
	for i, c := range query {
		if c == '&' {
			end = i
			break
		}
	}
	if end < len(query) {
		rest = query[end+1:]
	}
	query = query[:end]
	for i, c := range query {
		if c == '=' {
			return query[:i], query[i+1:], rest
		}
	}
	return query, nil, rest
}

// decoded reads the byte that raw begins with, and how many bytes that took. raw is not empty.
func decoded(raw []byte) (c byte, n int) {
	switch {
	case raw[0] == '+':
		return ' ', 1
	case raw[0] == '%' && len(raw) > 2:
		hi, lo := unhex(raw[1]), unhex(raw[2])
		if hi|lo < 16 {
			return hi<<4 | lo, 3
		}
	}
	return raw[0], 1
}

// unhex is the value of a hexadecimal digit, or 16 or more.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= lower(c) && lower(c) <= 'f':
		return lower(c) - 'a' + 10
	}
	return 0xff
}

// equalDecoded reports whether raw, decoded, is want.
func equalDecoded(raw []byte, want string) bool {
	at := 0
	for len(raw) > 0 {
		c, n := decoded(raw)
		if at == len(want) || want[at] != c {
			return false
		}
		at++
		raw = raw[n:]
	}
	return at == len(want)
}

// decode is raw decoded, in buf if it fits there.
func decode(raw, buf []byte) []byte {
	plain := true
	for _, c := range raw {
		plain = plain && c != '%' && c != '+'
	}
	if plain {
		return raw
	}
	buf = buf[:0]
	for len(raw) > 0 {
		c, n := decoded(raw)
		buf = append(buf, c)
		raw = raw[n:]
	}
	return buf
}

// hashDecoded continues the hash h with raw, decoded.
func hashDecoded(h uint64, raw []byte) uint64 {
	for len(raw) > 0 {
		c, n := decoded(raw)
		h = hashByte(h, c)
		raw = raw[n:]
	}
	return h
}
