package rule

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// Match makes the Expr of one matcher with several values, one of which must fit, after checking the values. name is
// for matchers that have one. The error is an *Error whose At counts in the value at fault, which index names; -1
// stands for the name, or for too few values.
func Match(kind Kind, name string, values ...string) (e *Expr, index int, err error) {
	p, index, fault := predicate(kind, name, values)
	if fault != nil {
		return nil, index, fault
	}
	return &Expr{Op: OpMatch, Pred: p}, 0, nil
}

// predicate checks a matcher's arguments and brings them into canonical form.
func predicate(kind Kind, name string, values []string) (p Predicate, index int, fault *Error) {
	p.Kind = kind
	if kind == None || int(kind) >= len(matchers) {
		return p, -1, refuse(0, 1, "there is no such matcher", "")
	}
	m := matchers[kind]
	if m.named {
		if p.Name, fault = canonicalName(kind, name); fault != nil {
			return p, -1, fault
		}
	}
	if kind == Query && len(values) == 0 {
		if fault := oldQuery(name); fault != nil {
			return p, -1, fault
		}
	}
	if len(values) < m.least {
		return p, -1, refuse(0, 1, m.name+" has no value", "write for example "+kind.example())
	}
	for i, v := range values {
		if fault := p.add(v); fault != nil {
			fault.Len = max(1, min(fault.Len, len(v)-fault.At))
			return p, i, fault
		}
	}
	p.normalize()
	return p, 0, nil
}

// add appends a value, checked and in canonical form.
func (p *Predicate) add(v string) (fault *Error) {
	text := v
	switch p.Kind {
	case Host:
		text, fault = canonicalHost(v)
	case SNI:
		text, fault = canonicalSNI(v)
	case Path, PathPrefix, PathPrefixRaw:
		text, fault = canonicalPath(p.Kind, v)
	case Method:
		text, fault = canonicalMethod(v)
	case Header:
		fault = checkFieldValue(v)
	case HostRegexp, PathRegexp, HeaderRegexp, QueryRegexp, SNIRegexp, ClientCertRegexp:
		fault = checkRegexp(p.Kind, v)
	case ALPN:
		fault = checkProtocol(v)
	case ClientCert:
		fault = checkIdentity(v)
	case JA4:
		text, fault = canonicalJA4(v)
	case ClientIP:
		prefix, fault := parsePrefix(v)
		p.Prefixes = append(p.Prefixes, prefix)
		return fault
	case DestinationPort:
		first, last, fault := parsePorts(v)
		p.Numbers = append(p.Numbers, first, last)
		return fault
	case TLSVersion:
		version, fault := parseVersion(v)
		p.Numbers = append(p.Numbers, version)
		return fault
	case CipherSuite, CipherSuiteOnly:
		suites, fault := parseSuites(v)
		if fault == nil && p.Kind == CipherSuiteOnly && IsSignal(suites[0]) {
			fault = refuse(0, len(v), "this number is no suite: clients send it to signal something",
				"leave it out; such numbers do not count")
		}
		p.Numbers = append(p.Numbers, suites...)
		return fault
	}
	p.Values = append(p.Values, text)
	return fault
}

// normalize sorts the values and leaves each there once.
func (p *Predicate) normalize() {
	slices.Sort(p.Values)
	p.Values = slices.Compact(p.Values)
	if p.Kind == PathPrefix && len(p.Values) > 0 && p.Values[0] == "" {
		p.Values = p.Values[:1]
	}
	slices.SortFunc(p.Prefixes, comparePrefixes)
	p.Prefixes = slices.Compact(p.Prefixes)
	if p.Kind == DestinationPort {
		p.Numbers = joinPorts(p.Numbers)
		return
	}
	slices.Sort(p.Numbers)
	p.Numbers = slices.Compact(p.Numbers)
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// All joins expressions with &&, leaving out nil ones; nil when there is none.
func All(exprs ...*Expr) *Expr {
	return join(OpAnd, slices.DeleteFunc(slices.Clone(exprs), func(e *Expr) bool { return e == nil }))
}

// Any joins expressions with ||; nil when there is none. Since a nil one fits every request, so does the result if
// there is one: it is nil then.
func Any(exprs ...*Expr) *Expr {
	if slices.Contains(exprs, nil) {
		return nil
	}
	return join(OpOr, exprs)
}

// join makes one node of several; those of the same operator become part of it.
func join(op Op, exprs []*Expr) *Expr {
	switch len(exprs) {
	case 0:
		return nil
	case 1:
		return exprs[0]
	}
	e := &Expr{Op: op, At: exprs[0].At}
	for _, x := range exprs {
		if x.Op == op {
			e.Args = append(e.Args, x.Args...)
		} else {
			e.Args = append(e.Args, x)
		}
	}
	return e
}

// not turns an expression round.
func not(e *Expr, at int) *Expr {
	if e.Op == OpNot {
		return e.Args[0]
	}
	return &Expr{Op: OpNot, Args: []*Expr{e}, At: at}
}

// refuse makes a fault.
func refuse(at, size int, msg, hint string) *Error {
	return &Error{At: at, Len: max(1, size), Msg: msg, Hint: hint}
}

func refusef(at, size int, hint, format string, args ...any) *Error {
	return refuse(at, size, fmt.Sprintf(format, args...), hint)
}
