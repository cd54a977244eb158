package h1

import "encoding/binary"

// statusLine reads version, status code and reason phrase (RFC 9112, section 4). The reason may be empty, and then
// the SP before it missing.
func (p *Parser) statusLine(b []byte) Code {
	if p.step == stepStatus {
		if code := p.status(b); code != OK {
			return code
		}
	}
	if p.step == stepReason {
		i := scanText(b, p.pos)
		p.pos = i
		if i == len(b) {
			return NeedMore
		}
		if b[i] != '\r' {
			return orBareLF(b[i], ControlByte)
		}
		p.Reason = span(p.mark, i)
		p.pos++
		p.step = stepReasonLF
	}
	if p.pos == len(b) {
		return NeedMore
	}
	if b[p.pos] != '\n' {
		return BareCR
	}
	p.pos++
	p.step = stepField
	return OK
}

// statusBytes is the length of version, SP and status code.
const statusBytes = 12

// status reads up to the byte behind the status code. Every response begins at offset 0.
func (p *Parser) status(b []byte) Code {
	if p.pos == 0 && len(b) > statusBytes {
		if v := binary.LittleEndian.Uint64(b); v == http11 || v == http10 {
			p.Minor = uint8(v >> 56 & 1)
			p.pos = 8
		}
	}
	for ; p.pos < len(b); p.pos++ {
		k, c := p.pos, b[p.pos]
		code := OK
		switch {
		case k < 8:
			code = p.versionByte(k, c)
		case k == 8 && c == ' ':
		case k == 9 && c == '0':
			code = BadStatusLine
		case k > 8 && k < statusBytes && class[c]&isDigit != 0:
			p.Status = p.Status*10 + uint16(c-'0')
		case k == statusBytes && c == ' ':
			p.step = stepReason
			p.pos++
			p.mark = p.pos
			return OK
		case k == statusBytes && c == '\r':
			p.Reason.Off = statusBytes
			p.step = stepReasonLF
			p.pos++
			return OK
		default:
			code = orBareLF(c, BadStatusLine)
		}
		if code != OK {
			return code
		}
	}
	return NeedMore
}

// checkResponse judges the framing against the status: 1xx and 204 have no body, whatever the fields say
// (RFC 9110, section 8.6; RFC 9112, section 6.1). A Content-Length of 0 there is common and harmless, but
// is not passed on.
func (p *Parser) checkResponse() Code {
	if p.Status >= 200 && p.Status != 204 {
		return OK
	}
	if p.Chunked || p.ContentLength > 0 {
		return BodyForbidden
	}
	if i, ok := p.Get(FieldContentLength); ok {
		p.Fields[i].Flags |= FieldDrop
	}
	return OK
}
