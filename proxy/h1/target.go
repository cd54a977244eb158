package h1

// part is where in a request target the next byte belongs.
type part uint8

const (
	partFirst part = iota
	partAsterisk
	partScheme
	partHost // authority of the absolute-form
	partPath
	partHex1 // behind % in a path
	partHex2
	partQuery
	partAuthority // of the authority-form
)

// target reads the request target up to the SP behind it (RFC 9112, section 3.2).
func (p *Parser) target(b []byte) Code {
	for p.pos < len(b) {
		var code Code
		switch p.part {
		case partFirst:
			code = p.targetForm(b[p.pos])
		case partPath:
			code = p.path(b)
		case partQuery:
			p.pos = scan(b, p.pos, isQuery)
			if p.pos == len(b) {
				return NeedMore
			}
			code = targetEnd(b[p.pos])
		case partAsterisk:
			code = targetEnd(b[p.pos])
		case partHex1, partHex2:
			code = p.escape(b)
		case partScheme:
			code = p.scheme(b[p.pos])
		default:
			code = p.authority(b)
		}
		if code == OK {
			p.endTarget()
			return OK
		}
		if code != NeedMore {
			return code
		}
	}
	return NeedMore
}

// The readers of parts answer OK when the byte at p.pos is the SP behind the target.

func (p *Parser) targetForm(c byte) Code {
	switch {
	case p.Method == CONNECT && class[c]&isHost != 0:
		p.Form, p.part = FormAuthority, partAuthority
		return NeedMore
	case p.Method == CONNECT && (c == '/' || c == '*'):
		return BadTarget
	case c == '/':
		p.part = partPath
		p.Path.Off = uint16(p.pos)
	case c == '*' && p.Method == OPTIONS:
		p.Form, p.part = FormAsterisk, partAsterisk
	case fold(c) == 'h':
		p.Form, p.part = FormAbsolute, partScheme
		return NeedMore
	case c == '\r':
		return MissingVersion
	case class[c]&(isPath|isQuery) != 0:
		return BadTarget
	default:
		return targetByte(c)
	}
	p.pos++
	return NeedMore
}

func (p *Parser) path(b []byte) Code {
	i := scan(b, p.pos, isPath)
	p.pos = i
	if i == len(b) {
		return NeedMore
	}
	switch b[i] {
	case '?':
		p.pathEnd(i)
	case '%':
		p.part = partHex1
	default:
		p.Path.Len = uint16(i) - p.Path.Off
		return targetEnd(b[i])
	}
	p.pos++
	return NeedMore
}

// pathEnd notes that the '?' at i ends the path and begins the query.
func (p *Parser) pathEnd(i int) {
	p.Path.Len = uint16(i) - p.Path.Off
	p.Query.Off = uint16(i + 1)
	p.part = partQuery
}

// escape reads the hexadecimal digits behind %. Paths are decoded on the way to a handler, and what cannot be
// decoded is read differently by everyone.
func (p *Parser) escape(b []byte) Code {
	c := b[p.pos]
	if class[c]&isHex == 0 {
		return BadEscape
	}
	if p.part == partHex1 {
		p.part = partHex2
	} else {
		p.part = partPath
	}
	p.pos++
	return NeedMore
}

// scheme compares byte by byte with "http://" and "https://".
func (p *Parser) scheme(c byte) Code {
	const text = "https://"
	k := p.pos - p.mark
	if p.Secure || k < 4 {
		if lower(c) != text[k] {
			return orTargetByte(c, BadScheme)
		}
	} else if k == 4 && lower(c) == 's' {
		p.Secure = true
	} else if k++; c != text[k] {
		return orTargetByte(c, BadScheme)
	}
	p.pos++
	if k == len(text)-1 {
		p.part = partHost
		p.mark = p.pos
	}
	return NeedMore
}

// authority reads the authority of either form up to what may follow it.
func (p *Parser) authority(b []byte) Code {
	i := scan(b, p.pos, isHost)
	p.pos = i
	if i == len(b) {
		return NeedMore
	}
	absolute := p.part == partHost
	c := b[i]
	if c != ' ' && (!absolute || c != '/' && c != '?') {
		return orTargetByte(c, BadAuthority)
	}
	p.Authority = span(p.mark, i)
	_, port, ok := splitAuthority(b[p.mark:i])
	if !ok || !absolute && port == 0 {
		return BadAuthority
	}
	if c == ' ' {
		return OK
	}
	p.Path.Off = uint16(i)
	if p.part = partPath; c == '?' {
		p.pathEnd(i)
	}
	p.pos++
	return NeedMore
}

// targetEnd judges the byte that ended a target: OK for the SP that is due.
func targetEnd(c byte) Code {
	if c == ' ' {
		return OK
	}
	return targetByte(c)
}

// orTargetByte is code for a byte that a target may hold, only not here.
func orTargetByte(c byte, code Code) Code {
	if class[c]&isQuery != 0 {
		return code
	}
	return targetByte(c)
}

// targetByte is the fault of a byte that a target may not hold.
func targetByte(c byte) Code {
	switch c {
	case '#':
		return Fragment
	case '\r':
		return MissingVersion
	}
	return orBareLF(c, BadTargetByte)
}

// endTarget closes the ranges at the SP at p.pos.
func (p *Parser) endTarget() {
	p.Target = span(int(p.Target.Off), p.pos)
	if p.Query.Off > 0 {
		p.Query = span(int(p.Query.Off), p.pos)
	}
	p.step = stepVersion
	p.pos++
	p.mark = p.pos
}
