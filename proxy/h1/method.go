package h1

// Method is a request method, as far as the proxy needs to tell them apart.
type Method uint8

// MethodOther is any method without a constant here. Methods are case-sensitive (RFC 9110, section 9.1): "get" is one.
const (
	MethodOther Method = iota
	GET
	HEAD
	POST
	PUT
	DELETE
	CONNECT
	OPTIONS
	TRACE
	PATCH
)

// MethodBytesMax is the length of the longest method that is accepted.
const MethodBytesMax = 32

// Idempotent reports whether a request may be sent again when it is not known whether the first one was
// received (RFC 9110, section 9.2.2).
func (m Method) Idempotent() bool {
	switch m {
	case GET, HEAD, PUT, DELETE, OPTIONS, TRACE:
		return true
	}
	return false
}

func methodOf(b []byte) Method {
	switch string(b) {
	case "GET":
		return GET
	case "HEAD":
		return HEAD
	case "POST":
		return POST
	case "PUT":
		return PUT
	case "DELETE":
		return DELETE
	case "CONNECT":
		return CONNECT
	case "OPTIONS":
		return OPTIONS
	case "TRACE":
		return TRACE
	case "PATCH":
		return PATCH
	}
	return MethodOther
}
