package hello

// opening is how a connection begins that speaks something else. The first byte of each is no type of a record.
type opening struct {
	text string
	code Code
}

var openings = [...]opening{
	{"GET ", PlainHTTP}, {"POST ", PlainHTTP}, {"HEAD ", PlainHTTP}, {"PUT ", PlainHTTP}, {"DELETE ", PlainHTTP},
	{"OPTIONS ", PlainHTTP}, {"PATCH ", PlainHTTP}, {"CONNECT ", PlainHTTP}, {"TRACE ", PlainHTTP},
	{"PRI * HTTP/2.0\r\n", PlainHTTP}, // RFC 9113, section 3.4
	{"PROXY ", ProxyHeader}, {"\r\n\r\n\x00\r\nQUIT\n", ProxyHeader},
}

// otherwise says what a stream is that does not begin with a handshake record.
func otherwise(b []byte) Code {
	switch b[0] {
	case typeAlert:
		return AlertFirst
	case typeChangeCipherSpec, typeApplicationData, typeHeartbeat:
		return UnexpectedRecord
	case 0x80:
		return version2(b)
	}
	for i := range openings {
		o := &openings[i]
		n := min(len(b), len(o.text))
		switch {
		case string(b[:n]) != o.text[:n]:
		case n < len(o.text):
			return NeedMore
		default:
			return o.code
		}
	}
	return NotTLS
}

// version2 looks for an SSL 2.0 hello: two bytes of length with the highest bit set, and the type, which is 1
// (RFC 5246, appendix E.2).
func version2(b []byte) Code {
	switch {
	case len(b) < 3:
		return NeedMore
	case b[2] == typeClientHello:
		return SSLv2
	}
	return NotTLS
}
