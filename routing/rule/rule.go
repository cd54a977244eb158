// Package rule is the language in which routes say what requests they are for: matchers such as Host(`example.com`),
// joined by &&, || and !.
//
// It reads a rule's text (Parse), builds one from plain values (Match, All, Any), and expands it into alternatives
// (Expand): conjunctions with one host pattern and one path pattern each, which is what routing compiles. The way there
// is the disjunctive normal form (dnf.go), whose conjunctions are taken apart by what of a request they look at
// (subject.go) and decided one by one (exclusive.go, residue.go, existential.go). It owns the
// meaning of every matcher's arguments and their canonical form, so that two predicates that say the same are equal.
//
// The package is pure: an Expr is immutable once built. It imports routing/urlpath, routing/regset and
// internal/suggest, and may be imported by both planes.
package rule

import "net/netip"

// Kind names a matcher.
type Kind uint8

const (
	None             Kind = iota // no condition
	Host                         // Values: host patterns in canonical form: "a.com", "*.a.com", "**.a.com", "[::1]"
	HostRegexp                   // Values: expressions, against the host in lower case without port and trailing dot
	Path                         // Values: normalized paths
	PathPrefix                   // Values: normalized paths without trailing slash, by segments; "": any path, "*" too
	PathPrefixRaw                // Values: normalized paths, matched byte by byte
	PathRegexp                   // Values: expressions, against the normalized path
	Method                       // Values: in capitals
	Header                       // Name in lower case; Values, one of which a field of that name must have; none: any
	HeaderRegexp                 // Name in lower case; Values: expressions, one of which must match one of the fields
	Query                        // Name: decoded key; Values, decoded, one of which it must have; none: any
	QueryRegexp                  // Name: decoded key; Values: expressions, against the decoded value
	ClientIP                     // Prefixes: the client's address must be in one of them
	DestinationPort              // Numbers: pairs, the first and the last of a range; the client's must be in one
	SNI                          // Values: host patterns, as Host
	SNIRegexp                    // Values: expressions, against the server name in lower case; "" when there is none
	ALPN                         // Values: protocols, one of which the client must offer
	TLSVersion                   // Numbers: protocol versions, one of which is the highest that the client offers
	CipherSuite                  // Numbers: suites, one of which the client must offer
	CipherSuiteOnly              // Numbers: suites, all that the client offers, Signals aside, must be among them
	JA4                          // Values: fingerprints in lower case
	ClientCert                   // Values: identities, one of which the client's verified certificate must have
	ClientCertRegexp             // Values: expressions, one of which must match one of these identities

	kinds // how many there are
)

// Kinds is how many kinds there are, None among them: the length of an array that is indexed by Kind.
const Kinds = int(kinds)

// Predicate is one matcher with its arguments in canonical form: sorted, each once.
type Predicate struct {
	Kind     Kind
	Not      bool // turns the meaning round; in alternatives only, an Expr has Not nodes
	Name     string
	Values   []string
	Prefixes []netip.Prefix
	Numbers  []uint16
}

// Op says what a node of an expression is.
type Op uint8

const (
	OpMatch Op = iota // Pred
	OpAnd             // all of Args
	OpOr              // one of Args at least
	OpNot             // not Args[0]
)

// Expr is a rule: a tree of matchers. It is immutable. A nil Expr fits every request.
type Expr struct {
	Op   Op
	Args []*Expr
	Pred Predicate
	// At is the byte offset of the node's first character in the text that Parse read.
	At int
}

// Alternative is a conjunction: a request fits if host, path and all tests do. Host and Path are its most specific
// positive conditions on host and path, with one value at most; None: it has no such condition. Alternatives share
// memory with one another and with the Expr, and are not to be changed.
type Alternative struct {
	Host  Predicate // None, Host or HostRegexp
	Path  Predicate // None, Path, PathPrefix, PathPrefixRaw or PathRegexp
	Tests []Predicate
}
