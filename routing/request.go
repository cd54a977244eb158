package routing

import "net/netip"

// Request is what rules look at. Its slices are read during Match only. What stands below Method needs to be filled in
// only as far as Table.Needs asks for. Match uses the Request's own memory, so each goroutine has its own, and better
// uses it again than makes another.
type Request struct {
	// Host is a Host field's value or an authority as received; it may be empty.
	Host []byte
	// Path is the target's path after normalization (see urlpath), without the query. It is never empty.
	Path []byte
	// Method is the method as received.
	Method []byte

	Query  []byte     // as received, without the question mark
	Client netip.Addr // the peer's address; invalid for a unix socket's client. No IPv4-mapped IPv6 address.
	Port   uint16     // the port that the client has connected to; 0 for a unix socket's client
	Fields []Field    // the header section
	TLS    *Hello     // nil on a plain connection
	// ClientCert are the names in the client's certificate: URI, DNS and email names of its SAN extension, then the
	// common name of its subject. It is empty unless the certificate was verified.
	ClientCert [][]byte

	host  [maxHost]byte
	value [queryBytes]byte
}

// Field is a header field as received, without white space around the value.
type Field struct{ Name, Value []byte }

// Hello is what rules want to know of a ClientHello.
type Hello struct {
	SNI     []byte   // in lower case, without a trailing dot; empty when the client named no server
	ALPN    [][]byte // protocols offered, in the client's order
	Version uint16   // highest version offered
	Suites  []uint16 // cipher suites offered
	JA4     []byte   // in lower case; needed only as far as Table.Needs says NeedJA4
}

// Needs says which parts of a Request a table's rules look at, beyond host, path and method, or for MatchHello beyond
// the server name.
type Needs uint8

const (
	NeedQuery Needs = 1 << iota
	NeedClient
	NeedFields
	NeedTLS
	NeedJA4  // beside NeedTLS; it costs hashing some hundred bytes
	NeedCert // ClientCert
	NeedPort
	needHello // of streams: that there is a ClientHello, and its server name

	needBits = 8
)
