package h1

import "encoding/binary"

// requestLine reads method, target and version (RFC 9112, section 3).
func (p *Parser) requestLine(b []byte) Code {
	for {
		var code Code
		switch p.step {
		case stepMethod:
			code = p.method(b)
		case stepTarget:
			code = p.target(b)
		default:
			return p.version(b)
		}
		if code != OK {
			return code
		}
	}
}

// emptyLine passes over one empty line before the request line, which some clients send behind a body (RFC 9112,
// section 2.2).
func (p *Parser) emptyLine(b []byte) Code {
	if len(b) == 0 {
		return NeedMore
	}
	if b[0] == '\r' {
		if len(b) == 1 {
			return NeedMore
		}
		if b[1] != '\n' {
			return BareCR
		}
		p.pos, p.line, p.mark = 2, 2, 2
	}
	p.step = stepMethod
	return OK
}

func (p *Parser) method(b []byte) Code {
	i := scan(b, p.pos, isToken)
	p.pos = i
	switch {
	case i-p.line > MethodBytesMax:
		return MethodTooLong
	case i == len(b):
		return NeedMore
	case i == p.line && i > 0 && b[i] == '\r':
		return EmptyLine
	case b[i] == '\n':
		return BareLF
	case b[i] != ' ' || i == p.line:
		return BadMethod
	}
	p.MethodRef = span(p.line, i)
	p.Method = methodOf(b[p.line:i])
	p.step = stepTarget
	p.pos, p.mark = i+1, i+1
	p.Target.Off = uint16(i + 1)
	return OK
}

const (
	http10 = uint64('H') | 'T'<<8 | 'T'<<16 | 'P'<<24 | '/'<<32 | '1'<<40 | '.'<<48 | '0'<<56
	http11 = http10 | 1<<56
	crlf   = '\r' | '\n'<<8
)

// version reads the version, which begins at p.mark, and the line's end.
func (p *Parser) version(b []byte) Code {
	at := p.mark
	le := binary.LittleEndian
	if v := b[at:]; len(v) >= 10 && le.Uint64(v) == http11 && le.Uint16(v[8:]) == crlf {
		p.Minor = 1
		p.pos = at + 10
		p.step = stepField
		return OK
	}
	for i := p.pos; i < len(b); i++ {
		c := b[i]
		switch k := i - at; {
		case k < 8:
			if code := p.versionByte(k, c); code != OK {
				return code
			}
		case k == 8:
			if c != '\r' {
				return orBareLF(c, BadVersion)
			}
		default:
			if c != '\n' {
				return BareCR
			}
			p.pos = i + 1
			p.step = stepField
			return OK
		}
	}
	p.pos = len(b)
	return NeedMore
}

// versionByte judges byte number k, below 8, of a version: "HTTP/1." and a digit, in exactly this case.
func (p *Parser) versionByte(k int, c byte) Code {
	digit := class[c]&isDigit != 0
	switch {
	case k == 5 && digit && c != '1':
		return UnsupportedVersion
	case k < 7 && c == "HTTP/1."[k]:
		return OK
	case k == 7 && digit:
		p.Minor = min(c-'0', 1)
		return OK
	}
	return orBareLF(c, BadVersion)
}

// orBareLF is code, unless the byte that was out of place is LF.
func orBareLF(c byte, code Code) Code {
	if c == '\n' {
		return BareLF
	}
	return code
}

// checkRequest judges the head as a whole: one host, named consistently (RFC 9112, section 3.2).
func (p *Parser) checkRequest(b []byte) Code {
	if p.Minor == 0 {
		p.ExpectContinue = false // RFC 9110, section 10.1.1
	}
	if p.Method == CONNECT {
		if code := p.checkConnect(); code != OK {
			return code
		}
	}
	at, ok := p.Get(FieldHost)
	switch {
	case !ok && p.Minor > 0:
		return MissingHost
	case !ok:
		return OK
	case p.Form == FormOrigin || p.Form == FormAsterisk:
		p.Authority = p.Fields[at].Value
		return OK
	}
	if !p.sameAuthority(p.Authority.In(b), p.Fields[at].Value.In(b)) {
		return HostMismatch
	}
	if p.Form == FormAbsolute {
		p.Fields[at].Flags |= FieldDrop
	}
	return OK
}

// checkConnect judges the framing of CONNECT, which has no content (RFC 9110, section 9.3.6): a body to one is the
// beginning of the tunnel to another. A Content-Length of 0 is not passed on.
func (p *Parser) checkConnect() Code {
	if p.Chunked || p.ContentLength > 0 {
		return ConnectBody
	}
	if i, ok := p.Get(FieldContentLength); ok {
		p.Fields[i].Flags |= FieldDrop
	}
	return OK
}
