package hello

const (
	// maxName is the length of the longest host name (RFC 1035, section 2.3.4, without the root label).
	maxName  = 253
	maxLabel = 63

	hostName = 0 // the only type of a server name
)

// nameByte is a byte of a label in lower case; 0 for what no label has. An underscore is in names that exist.
var nameByte = nameBytes()

func nameBytes() (t [256]byte) {
	for c := range t {
		switch {
		case c >= 'A' && c <= 'Z':
			t[c] = byte(c) | 0x20
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			t[c] = byte(c)
		}
	}
	return t
}

// serverName reads RFC 6066, section 3. Its list may have several names of several types, but there is one type, and
// each may be there once: one name it is, since a second one would be seen by some servers only.
func (h *Hello) serverName(r *reader) Code {
	list := r.vector16()
	if !r.done() {
		return BadServerName
	}
	entry := readerOf(r.b, list)
	kind, name := entry.u8(), entry.vector16()
	if !entry.done() || kind != hostName || name.Len == 0 {
		return BadServerName
	}
	return h.hostName(name.In(r.b))
}

// hostName checks a name and keeps it in lower case. A trailing dot is not allowed (RFC 6066, section 3) but harmless,
// and goes. Bytes that no host name has are refused rather than taken for no name, since what is behind a passthrough
// might see a name in them. An address is what some clients send that were given one.
func (h *Hello) hostName(name []byte) Code {
	h.Name = NameHost
	if n := len(name); name[n-1] == '.' {
		name = name[:n-1]
	}
	if len(name) == 0 || len(name) > maxName {
		return InvalidName
	}
	label, digits := 0, true
	for i, c := range name {
		if c == '.' {
			if label == 0 {
				return InvalidName
			}
			label, digits = 0, true
			h.sni[i] = c
			continue
		}
		b := nameByte[c]
		if label++; b == 0 || label > maxLabel {
			return h.addressOr(InvalidName, name)
		}
		digits = digits && b <= '9' && b >= '0'
		h.sni[i] = b
	}
	switch {
	case label == 0:
		return InvalidName
	case digits: // No top-level domain is a number, so this is an IPv4 address or passes for one.
		h.Name = NameAddress
		return OK
	}
	h.sniLen = uint8(len(name))
	return OK
}

// addressOr is code, unless name looks like an IPv6 address.
func (h *Hello) addressOr(code Code, name []byte) Code {
	colons := 0
	for _, c := range name {
		switch {
		case c == ':':
			colons++
		case c >= '0' && c <= '9', c|0x20 >= 'a' && c|0x20 <= 'f', c == '.', c == '[', c == ']':
		default:
			return code
		}
	}
	if colons < 2 {
		return code
	}
	h.Name = NameAddress
	return OK
}
