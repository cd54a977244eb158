package rule

import (
	"slices"
	"strings"
)

// asks says which matchers a rule may have, by what is known when it is asked.
type asks uint8

const (
	ofRequests    asks = iota // all of them
	ofConnections             // those that a ClientHello and addresses answer
	ofDatagrams               // those that addresses answer
)

// may reports whether a rule may have a matcher.
func (a asks) may(k Kind) bool {
	switch a {
	case ofConnections:
		return k.Stream()
	case ofDatagrams:
		return k.Datagram()
	}
	return true
}

// names are the names of the matchers that a rule may have.
func (a asks) names() (names []string) {
	for k := Host; k < kinds; k++ {
		if a.may(k) {
			names = append(names, k.String())
		}
	}
	return names
}

// ParseStream reads the rule of a tcp route, which is asked before there is a request: as Parse, with only those
// matchers that a ClientHello and addresses answer (Kind.Stream); any other is a fault. The error is an *Error.
func ParseStream(text string) (*Expr, error) { return parse(text, ofConnections) }

// ParseDatagram reads the rule of a udp route: as Parse, with only those matchers that addresses answer
// (Kind.Datagram); any other is a fault. The error is an *Error.
func ParseDatagram(text string) (*Expr, error) { return parse(text, ofDatagrams) }

func parse(text string, a asks) (*Expr, error) {
	p := parser{scanner: scanner{text: text}, asks: a}
	e, fault := p.parse()
	if fault != nil {
		return nil, fault
	}
	return e, nil
}

// tooEarly is the fault of a matcher in the rule of a tcp or udp route that cannot be asked there.
func (a asks) tooEarly(kind Kind, name token) *Error {
	what, route := "a request", "a tcp route"
	hint := "use " + strings.Join(a.names(), ", ")
	switch {
	case a == ofDatagrams:
		route = "a udp route"
		if kind.TLS() {
			what = "a TLS connection"
		}
	case kind == Host:
		hint = "write SNI, the name that the client asks for in its ClientHello"
	case kind == HostRegexp:
		hint = "write SNIRegexp, for the name that the client asks for in its ClientHello"
	case kind == ClientCert, kind == ClientCertRegexp:
		what = "a finished handshake"
	}
	return refuse(name.at, len(name.value), name.value+" needs "+what+"; this is "+route, hint)
}

// LooksAtTLS reports whether a matcher of e looks at a TLS handshake.
func (e *Expr) LooksAtTLS() bool {
	if e == nil {
		return false
	}
	return e.Op == OpMatch && e.Pred.Kind.TLS() || slices.ContainsFunc(e.Args, (*Expr).LooksAtTLS)
}

// OverHost is e with the server name in the place of the host: SNI becomes Host, and SNIRegexp HostRegexp. So the rule
// of a tcp route stands in a table where a rule on hosts would, found by its name and ordered by how specific that is.
// It is for compiling: a name that is asked of a host fits what it fits as a server name, and nothing else is changed.
func (e *Expr) OverHost() *Expr { return e.renamed(map[Kind]Kind{SNI: Host, SNIRegexp: HostRegexp}) }

// OverSNI turns OverHost round, for showing.
func (a Alternative) OverSNI() Alternative {
	a.Host = a.Host.OverSNI()
	tests := make([]Predicate, len(a.Tests))
	for i := range tests {
		tests[i] = a.Tests[i].OverSNI()
	}
	a.Tests = tests
	return a
}

// OverSNI is p with its kind as the rule of a tcp route has it.
func (p Predicate) OverSNI() Predicate {
	switch p.Kind {
	case Host:
		p.Kind = SNI
	case HostRegexp:
		p.Kind = SNIRegexp
	}
	return p
}

// renamed is e with other kinds in the place of some. It shares memory with e.
func (e *Expr) renamed(kinds map[Kind]Kind) *Expr {
	if e == nil {
		return nil
	}
	r := *e
	if kind, ok := kinds[e.Pred.Kind]; ok {
		r.Pred.Kind = kind
	}
	if len(e.Args) > 0 {
		r.Args = make([]*Expr, len(e.Args))
	}
	for i, arg := range e.Args {
		r.Args[i] = arg.renamed(kinds)
	}
	return &r
}
