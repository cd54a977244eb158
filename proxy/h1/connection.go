package h1

// optionsMax bounds the options of all Connection fields of a head together: each is compared with every field.
const optionsMax = 32

// options is what the Connection fields of a head have said so far.
type options struct {
	n             int
	closing, keep bool
	upgrade       bool
}

// connection applies the Connection fields (RFC 9110, section 7.6.1): whether the connection stays, and which
// other fields end here.
func (p *Parser) connection(b []byte) Code {
	o := options{keep: p.Minor > 0}
	if first, ok := p.Get(FieldConnection); ok {
		for i := first; i < p.N; i++ {
			if f := &p.Fields[i]; f.ID == FieldConnection {
				if code := p.options(b, f.Value.In(b), &o); code != OK {
					return code
				}
			}
		}
	}
	p.KeepAlive = o.keep && !o.closing
	if o.upgrade {
		return p.upgrade(b)
	}
	return OK
}

func (p *Parser) options(b, list []byte, o *options) Code {
	for more := true; more; {
		var option []byte
		option, list, more = cutComma(list)
		if o.n++; o.n > optionsMax {
			return TooManyOptions
		}
		switch {
		case len(option) == 0: // ignored, RFC 9110, section 5.6.1.2
		case sameToken(option, "close"):
			o.closing = true
		case sameToken(option, "keep-alive"):
			o.keep = true
		case sameToken(option, "upgrade"):
			o.upgrade = true
		default:
			if code := p.nominate(b, option); code != OK {
				return code
			}
		}
	}
	return OK
}

// nominate marks the fields that a Connection option names. A core field must not be lost that way: it would be
// present for us and absent for whoever is next, and a sender has no reason to name it.
func (p *Parser) nominate(b, option []byte) Code {
	if scan(option, 0, isToken) < len(option) {
		return BadConnection
	}
	id, code := lookup(option)
	if code != OK || is[id]&core != 0 {
		return ConnectionNamesField
	}
	for i := range p.N {
		f := &p.Fields[i]
		if f.ID == id && (id != FieldOther || equalFold(f.Name.In(b), option)) {
			f.Flags |= FieldHop
		}
	}
	return OK
}
