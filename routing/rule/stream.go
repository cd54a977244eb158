package rule

import "strings"

// ParseStream reads the rule of a tcp route, which is asked before there is a request: as Parse, with only those
// matchers that a ClientHello and an address answer (Kind.Stream); any other is a fault. The error is an *Error.
func ParseStream(text string) (*Expr, error) {
	p := parser{scanner: scanner{text: text}, stream: true}
	e, fault := p.parse()
	if fault != nil {
		return nil, fault
	}
	return e, nil
}

// notForStreams is the fault of a matcher in the rule of a tcp route.
func notForStreams(kind Kind, name token) *Error {
	hint := "use " + strings.Join(streamNames(), ", ")
	msg := name.value + " needs a request; this is a tcp route"
	switch kind {
	case Host:
		hint = "write SNI, the name that the client asks for in its ClientHello"
	case HostRegexp:
		hint = "write SNIRegexp, for the name that the client asks for in its ClientHello"
	case ClientCert, ClientCertRegexp:
		msg = name.value + " needs a finished handshake; this is a tcp route"
	}
	return refuse(name.at, len(name.value), msg, hint)
}

// streamNames are the names of the matchers that tcp routes may use.
func streamNames() (names []string) {
	for k := Host; k < kinds; k++ {
		if k.Stream() {
			names = append(names, k.String())
		}
	}
	return names
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
