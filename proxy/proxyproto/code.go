package proxyproto

// Code is what became of a header: complete, incomplete, or one of the faults for which its connection is ended.
type Code uint8

const (
	NeedMore Code = iota // no fault so far, but it goes on
	OK                   // the header is complete

	NotProxy // the connection begins with something else

	// Version 1.
	LineTooLong
	BadLineEnd
	BadProtocol
	BadAddress
	BadPort
	BadLine

	// Version 2.
	BadVersion
	BadCommand
	BadFamily
	TooLong
	TooShort
	BadVector
	BadChecksum

	codes
)

var reasons = [codes]string{
	NeedMore: "incomplete PROXY header",
	OK:       "complete",

	NotProxy: "no PROXY header",

	LineTooLong: "line of more than 107 bytes",
	BadLineEnd:  "CR or LF alone",
	BadProtocol: "protocol other than TCP4, TCP6 and UNKNOWN",
	BadAddress:  "malformed address, or one of the other family",
	BadPort:     "malformed port",
	BadLine:     "line with something missing or something more",

	BadVersion:  "binary header of another version than 2",
	BadCommand:  "command other than LOCAL and PROXY",
	BadFamily:   "unknown address family or transport",
	TooLong:     "binary header of more than 536 bytes",
	TooShort:    "binary header that is too short for its addresses",
	BadVector:   "vectors (TLV) whose lengths do not add up",
	BadChecksum: "wrong checksum",
}

// String is the reason in a few words, for logs and tests.
func (c Code) String() string {
	if c >= codes {
		return "unknown fault"
	}
	return reasons[c]
}

// Fault reports whether c says that the header is refused.
func (c Code) Fault() bool { return c > OK }
