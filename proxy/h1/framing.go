package h1

import "math"

// meaning judges the value of a field that decides framing or addressing.
func (p *Parser) meaning(v []byte, id FieldID) Code {
	repeated := p.index[id] != 0
	switch id {
	case FieldContentLength:
		if repeated {
			return RepeatedContentLength
		}
		return p.contentLength(v)
	case FieldTransferEncoding:
		if repeated {
			return RepeatedTransferEncoding
		}
		return p.transferEncoding(v)
	}
	if p.response {
		return OK // Host and Expect mean nothing in a response
	}
	if id == FieldHost {
		if repeated {
			return RepeatedHost
		}
		if _, _, ok := splitAuthority(v); !ok {
			return BadHost
		}
		return OK
	}
	if repeated || !sameToken(v, "100-continue") {
		return BadExpect
	}
	p.ExpectContinue = true
	return OK
}

// contentLength reads a length (RFC 9110, section 8.6): decimal digits only. A list of equal lengths, which
// a recipient may accept, and leading zeros, which some read as octal, are refused.
func (p *Parser) contentLength(v []byte) Code {
	if p.Chunked {
		return LengthAndEncoding
	}
	if len(v) == 0 || v[0] == '0' && len(v) > 1 {
		return BadContentLength
	}
	var n uint64
	for _, c := range v {
		d := uint64(c - '0')
		switch {
		case c == ',':
			return RepeatedContentLength
		case d > 9:
			return BadContentLength
		case n > (math.MaxInt64-d)/10:
			return ContentLengthTooLarge
		}
		n = n*10 + d
	}
	p.ContentLength = int64(n)
	return OK
}

// transferEncoding accepts "chunked" and nothing else (RFC 9112, section 6.1).
func (p *Parser) transferEncoding(v []byte) Code {
	switch {
	case p.Minor == 0:
		return EncodingInHTTP10
	case p.ContentLength >= 0:
		return LengthAndEncoding
	case sameToken(v, "chunked"):
		p.Chunked = true
		return OK
	case codingsThenChunked(v):
		return UnknownCoding
	}
	return BadTransferEncoding
}

// codingsThenChunked reports whether v is a list of codings of which the last and no other is chunked: well
// framed, but of a coding that is not implemented here.
func codingsThenChunked(v []byte) bool {
	for {
		item, rest, more := cutComma(v)
		if len(item) == 0 || scan(item, 0, isToken) < len(item) {
			return false
		}
		chunked := sameToken(item, "chunked")
		if chunked || !more {
			return chunked && !more
		}
		v = rest
	}
}

// cutComma splits v at its first comma. item is without white space around it.
func cutComma(v []byte) (item, rest []byte, more bool) {
	for i, c := range v {
		if c == ',' {
			return trim(v[:i]), v[i+1:], true
		}
	}
	return trim(v), nil, false
}
