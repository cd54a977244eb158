package h1

// fieldLines reads the header section up to its empty line (RFC 9112, section 5).
func (p *Parser) fieldLines(b []byte) Code {
	i, mark, step := p.pos, p.mark, p.step
	for {
		switch step {
		case stepField:
			if i == len(b) {
				return p.wait(i, mark, stepField)
			}
			if class[b[i]]&isToken == 0 {
				if b[i] != '\r' {
					return p.lineFault(b[i])
				}
				return p.end(b, i+1)
			}
			if p.N == p.fieldMax {
				return TooManyFields
			}
			mark = i
			fallthrough
		case stepName:
			i = scan(b, i, isToken)
			if i == len(b) {
				return p.wait(i, mark, stepName)
			}
			if code := p.name(b, mark, i); code != OK {
				return code
			}
			i++
			fallthrough
		case stepSpace:
			for i < len(b) && isSpace(b[i]) {
				i++
			}
			if i == len(b) {
				return p.wait(i, mark, stepSpace)
			}
			mark = i
			fallthrough
		case stepValue:
			i = scanText(b, i)
			if i == len(b) {
				return p.wait(i, mark, stepValue)
			}
			if b[i] != '\r' {
				return orBareLF(b[i], ControlByte)
			}
			i++
			fallthrough
		case stepValueLF:
			if code := p.value(b, mark, i); code != OK {
				return code
			}
			i++
			step = stepField
		default:
			return p.end(b, i)
		}
	}
}

// wait notes where to go on.
func (p *Parser) wait(pos, mark int, step step) Code {
	p.pos, p.mark, p.step = pos, mark, step
	return NeedMore
}

// name takes note of the field name from mark to i, where a colon is due.
func (p *Parser) name(b []byte, mark, i int) Code {
	if b[i] != ':' {
		return nameFault(b[i])
	}
	id, code := lookup(b[mark:i])
	if code != OK {
		return code
	}
	f := &p.Fields[p.N]
	f.Name = span(mark, i)
	f.ID = id
	f.Flags = FieldFlags(is[id] & hop) // hop is FieldHop
	return OK
}

// value takes note of the field value from mark to the CR before i, where LF is due.
func (p *Parser) value(b []byte, mark, i int) Code {
	if i == len(b) {
		return p.wait(i, mark, stepValueLF)
	}
	if b[i] != '\n' {
		return BareCR
	}
	end := i - 1
	for end > mark && isSpace(b[end-1]) {
		end--
	}
	f := &p.Fields[p.N]
	f.Value = span(mark, end)
	if f.ID != FieldOther {
		if is[f.ID]&meaning != 0 {
			if code := p.meaning(b[mark:end], f.ID); code != OK {
				return code
			}
		}
		if p.index[f.ID] == 0 {
			p.index[f.ID] = uint8(p.N + 1)
		}
	}
	p.N++
	return OK
}

// lineFault is the fault of a byte that no line can begin with.
func (p *Parser) lineFault(c byte) Code {
	switch {
	case isSpace(c) && p.N == 0:
		return LeadingWhitespace
	case isSpace(c):
		return ObsFold
	case c == ':':
		return EmptyName
	}
	return orBareLF(c, BadName)
}

// nameFault is the fault of a byte behind a field name that is no colon.
func nameFault(c byte) Code {
	switch {
	case isSpace(c):
		return SpaceBeforeColon
	case c == '\r':
		return MissingColon
	}
	return orBareLF(c, BadName)
}

// end reads the empty line's LF, which is due at i.
func (p *Parser) end(b []byte, i int) Code {
	if i == len(b) {
		return p.wait(i, i, stepEndLF)
	}
	if b[i] != '\n' {
		return BareCR
	}
	p.pos = i + 1
	p.Len = i + 1
	return OK
}
