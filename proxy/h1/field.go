package h1

import "github.com/uringproxy/uringproxy/internal/invariant"

// FieldID names the fields that the proxy looks at.
type FieldID uint8

// FieldOther is every field without a constant here.
const (
	FieldOther FieldID = iota
	FieldHost
	FieldConnection
	FieldKeepAlive
	FieldProxyConnection
	FieldTE
	FieldTrailer
	FieldTransferEncoding
	FieldUpgrade
	FieldHTTP2Settings
	FieldProxy
	FieldContentLength
	FieldExpect
	FieldXForwardedFor
	FieldXForwardedProto
	FieldXForwardedHost
	FieldXForwardedPort
	FieldForwarded
	FieldXRealIP
	FieldXRequestID
	FieldVia
	FieldUserAgent
	FieldReferer
	FieldDate
	FieldServer
	FieldAccept
	FieldAuthorization
	FieldWWWAuthenticate
	FieldProxyAuthenticate
	FieldProxyAuthorization
	FieldCookie
	FieldSetCookie
	FieldContentType
	FieldContentEncoding
	FieldContentRange

	fieldIDs
)

// FieldFlags say what becomes of a field when its message is forwarded.
type FieldFlags uint8

const (
	// FieldHop marks a field that ends here (RFC 9110, section 7.6.1): Connection, Keep-Alive,
	// Proxy-Connection, TE, Upgrade, HTTP2-Settings and every field that Connection names; and Proxy, which
	// is none but becomes HTTP_PROXY in CGI. It is not forwarded. The caller may clear the flag, for an
	// upgrade that it means to pass on. Transfer-Encoding and Trailer are not marked: a chunked body is
	// forwarded with its framing.
	FieldHop FieldFlags = 1 << iota
	// FieldDrop is set by the caller on a field that it does not want forwarded. The parser sets it on a
	// Content-Length of 0 in a 1xx or 204 response or a CONNECT request, and on the Host beside a target in
	// absolute-form.
	FieldDrop
)

// Field is one field line.
type Field struct {
	Name, Value Ref // Value without the white space around it; both are empty once Rewrite removed the field
	ID          FieldID
	Flags       FieldFlags
}

// traits say what is special about a field of a known name.
type traits uint8

const (
	// hop: never forwarded. The same bit as FieldHop.
	hop = traits(FieldHop) << iota
	// core: decides framing, addressing, identity or what is known of the client. Connection must not name it,
	// since dropping it would change what the next recipient sees, and no other name may imitate it.
	core
	// early: must be known before the body, so it has no place behind it (RFC 9110, section 6.5.1).
	early
	// meaning: the parser itself reads the value.
	meaning
)

type known struct {
	name string // in lower case
	is   traits
}

var fields = [fieldIDs]known{
	FieldHost:               {"host", core | early | meaning},
	FieldConnection:         {"connection", hop | core | early},
	FieldKeepAlive:          {"keep-alive", hop | early},
	FieldProxyConnection:    {"proxy-connection", hop | early},
	FieldTE:                 {"te", hop | early},
	FieldTrailer:            {"trailer", early},
	FieldTransferEncoding:   {"transfer-encoding", core | early | meaning},
	FieldUpgrade:            {"upgrade", hop | early},
	FieldHTTP2Settings:      {"http2-settings", hop | early},
	FieldProxy:              {"proxy", hop | early},
	FieldContentLength:      {"content-length", core | early | meaning},
	FieldExpect:             {"expect", core | early | meaning},
	FieldXForwardedFor:      {"x-forwarded-for", core | early},
	FieldXForwardedProto:    {"x-forwarded-proto", core | early},
	FieldXForwardedHost:     {"x-forwarded-host", core | early},
	FieldXForwardedPort:     {"x-forwarded-port", core | early},
	FieldForwarded:          {"forwarded", core | early},
	FieldXRealIP:            {"x-real-ip", core | early},
	FieldXRequestID:         {"x-request-id", 0},
	FieldVia:                {"via", core | early},
	FieldUserAgent:          {"user-agent", 0},
	FieldReferer:            {"referer", 0},
	FieldDate:               {"date", 0},
	FieldServer:             {"server", 0},
	FieldAccept:             {"accept", 0},
	FieldAuthorization:      {"authorization", core | early},
	FieldWWWAuthenticate:    {"www-authenticate", early},
	FieldProxyAuthenticate:  {"proxy-authenticate", early},
	FieldProxyAuthorization: {"proxy-authorization", early},
	FieldCookie:             {"cookie", core | early},
	FieldSetCookie:          {"set-cookie", early},
	FieldContentType:        {"content-type", early},
	FieldContentEncoding:    {"content-encoding", early},
	FieldContentRange:       {"content-range", early},
}

// is holds the traits once more, where reading them costs one line of the cache.
var is = pickTraits()

func pickTraits() (t [fieldIDs]traits) {
	for id := range fields {
		t[id] = fields[id].is
	}
	return t
}

// Known names are found by a perfect hash of length, first and last but one byte, so that a name costs one comparison
// at most. None of them has a hyphen in these two places, so its imitations fall into the same slot.
const slotBits = 7

var slots = fillSlots()

func fillSlots() (t [1 << slotBits]FieldID) {
	for id := FieldOther + 1; id < fieldIDs; id++ {
		name := fields[id].name
		s := slot(name[0], name[len(name)-2], len(name))
		if invariant.Enabled && t[s] != FieldOther {
			invariant.Fail("field name %s collides with %s", name, fields[t[s]].name)
		}
		t[s] = id
	}
	return t
}

func slot(first, late byte, n int) int {
	return (n + 5*int(fold(first)) + 8*int(fold(late))) & (1<<slotBits - 1)
}

// lookup is the ID of name, which is a token. ImitatedName is the answer to a name that a recipient which makes
// variables of names, as CGI does, would take for a core field.
func lookup(name []byte) (FieldID, Code) {
	n := len(name)
	if n < 2 {
		return FieldOther, OK
	}
	id := slots[slot(name[0], name[n-2], n)]
	if id == FieldOther {
		return FieldOther, OK
	}
	known := fields[id].name
	if sameToken(name, known) {
		return id, OK
	}
	if is[id]&core != 0 && imitates(name, known) {
		return FieldOther, ImitatedName
	}
	return FieldOther, OK
}

// imitates reports whether b is name with other punctuation for some hyphens: all of it becomes an underscore
// in a variable's name.
func imitates(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i, c := range b {
		if fold(c) != name[i] && (name[i] != '-' || class[c]&isAlnum != 0) {
			return false
		}
	}
	return true
}
