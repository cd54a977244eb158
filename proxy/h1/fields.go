package h1

// fieldLines reads the header section up to its empty line (RFC 9112, section 5).
func (p *Parser) fieldLines(b []byte) Code {
	i := p.pos
	for {
		switch p.step {
		case stepField:
			if i == len(b) {
				return p.wait(i)
			}
			if class[b[i]]&isToken == 0 {
				if b[i] != '\r' {
					return p.nameFault(b[i])
				}
				i++
				p.step = stepEndLF
				continue
			}
			if p.N == p.fieldMax {
				return TooManyFields
			}
			p.mark = i
			p.step = stepName
			fallthrough
		case stepName:
			i = scan(b, i, isToken)
			if i == len(b) {
				return p.wait(i)
			}
			if b[i] != ':' {
				return p.nameFault(b[i])
			}
			if code := p.name(b, i); code != OK {
				return code
			}
			i++
			p.step = stepSpace
			fallthrough
		case stepSpace:
			for i < len(b) && isSpace(b[i]) {
				i++
			}
			if i == len(b) {
				return p.wait(i)
			}
			p.mark = i
			p.step = stepValue
			fallthrough
		case stepValue:
			i = scanText(b, i)
			if i == len(b) {
				return p.wait(i)
			}
			if b[i] != '\r' {
				return orBareLF(b[i], ControlByte)
			}
			i++
			p.step = stepValueLF
			fallthrough
		case stepValueLF:
			if i == len(b) {
				return p.wait(i)
			}
			if code := p.value(b, i); code != OK {
				return code
			}
			i++
			p.step = stepField
		default:
			return p.end(b, i)
		}
	}
}

func (p *Parser) wait(i int) Code {
	p.pos = i
	return NeedMore
}

// name takes note of the field name that ends at the colon at i.
func (p *Parser) name(b []byte, i int) Code {
	id, code := lookup(b[p.mark:i])
	if code != OK {
		return code
	}
	f := &p.Fields[p.N]
	f.Name = span(p.mark, i)
	f.ID = id
	f.Flags = 0
	if fields[id].is&hop != 0 {
		f.Flags = FieldHop
	}
	return OK
}

// value takes note of the field value whose line ends with the byte at i.
func (p *Parser) value(b []byte, i int) Code {
	if b[i] != '\n' {
		return BareCR
	}
	end := i - 1
	for end > p.mark && isSpace(b[end-1]) {
		end--
	}
	f := &p.Fields[p.N]
	f.Value = span(p.mark, end)
	if f.ID != FieldOther {
		if fields[f.ID].is&meaning != 0 {
			if code := p.meaning(b[p.mark:end], f.ID); code != OK {
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

// nameFault is the fault of a byte that a field name cannot hold.
func (p *Parser) nameFault(c byte) Code {
	first := p.step == stepField
	switch {
	case c == '\n':
		return BareLF
	case isSpace(c) && first && p.N == 0:
		return LeadingWhitespace
	case isSpace(c) && first:
		return ObsFold
	case isSpace(c):
		return SpaceBeforeColon
	case c == ':':
		return EmptyName
	case c == '\r':
		return MissingColon
	}
	return BadName
}

// end reads the last byte of the empty line.
func (p *Parser) end(b []byte, i int) Code {
	if i == len(b) {
		return p.wait(i)
	}
	if b[i] != '\n' {
		return BareCR
	}
	p.pos = i + 1
	p.Len = i + 1
	return OK
}
