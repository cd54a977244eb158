package rule

import (
	"slices"
	"strconv"
	"strings"
)

// String writes e in the form that Parse reads, with as few parentheses as possible. A nil one is the rule that fits
// every request: PathPrefix(`/`).
func (e *Expr) String() string {
	if e == nil {
		return "PathPrefix(`/`)"
	}
	var b strings.Builder
	e.write(&b, OpOr)
	return b.String()
}

// write writes e as an argument of outer, in parentheses if it would be torn apart without.
func (e *Expr) write(b *strings.Builder, outer Op) {
	if e.Op == OpMatch {
		e.Pred.write(b)
		return
	}
	if e.Op == OpNot {
		b.WriteByte('!')
		e.Args[0].write(b, OpNot)
		return
	}
	closing := ""
	if outer == OpNot || outer == OpAnd && e.Op == OpOr {
		b.WriteByte('(')
		closing = ")"
	}
	for i, x := range e.Args {
		if i > 0 {
			b.WriteString(operator(e.Op))
		}
		x.write(b, e.Op)
	}
	b.WriteString(closing)
}

func operator(op Op) string {
	if op == OpAnd {
		return " && "
	}
	return " || "
}

// String writes p as a rule would have it, with a ! before it when p is turned round.
func (p *Predicate) String() string {
	var b strings.Builder
	p.write(&b)
	return b.String()
}

func (p *Predicate) write(b *strings.Builder) {
	if p.Not {
		b.WriteByte('!')
	}
	b.WriteString(p.Kind.String())
	b.WriteByte('(')
	for i, arg := range p.arguments() {
		if i > 0 {
			b.WriteString(", ")
		}
		writeString(b, arg)
	}
	b.WriteByte(')')
}

// String writes a as a rule, its host and path first; PathPrefix(`/`) when it has no condition at all.
func (a *Alternative) String() string {
	var parts []string
	for _, p := range []*Predicate{&a.Host, &a.Path} {
		if p.Kind != None {
			parts = append(parts, p.String())
		}
	}
	for i := range a.Tests {
		parts = append(parts, a.Tests[i].String())
	}
	if parts == nil {
		return (*Expr)(nil).String()
	}
	return strings.Join(parts, operator(OpAnd))
}

// brief is String, shortened for a sentence.
func (p *Predicate) brief() string {
	const mostArgs, mostBytes = 4, 60
	var b strings.Builder
	if p.Not {
		b.WriteByte('!')
	}
	b.WriteString(p.Kind.String() + "(")
	for i, arg := range p.arguments() {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == mostArgs {
			b.WriteString("…")
			break
		}
		if len(arg) > mostBytes {
			arg = strings.ToValidUTF8(arg[:mostBytes], "") + "…"
		}
		writeString(&b, arg)
	}
	return b.String() + ")"
}

// arguments are p's arguments as a user would write them.
func (p *Predicate) arguments() []string {
	var args []string
	if p.Kind.Named() {
		args = append(args, p.Name)
	}
	switch p.Kind {
	case PathPrefix:
		for _, v := range p.Values {
			if v == "" {
				v = "/"
			}
			args = append(args, v)
		}
	case TLSVersion:
		for _, n := range p.Numbers {
			args = append(args, VersionName(n))
		}
	case CipherSuite, CipherSuiteOnly:
		args = append(args, suiteNames(p.Numbers)...)
	case DestinationPort:
		args = append(args, portNames(p.Numbers)...)
	case ClientIP:
		for _, prefix := range p.Prefixes {
			args = append(args, prefixName(prefix))
		}
	default:
		args = append(args, p.Values...)
	}
	return slices.Clip(args)
}

// writeString writes s in backquotes if it can stand there, else in double quotes.
func writeString(b *strings.Builder, s string) {
	if strconv.CanBackquote(s) {
		b.WriteByte('`')
		b.WriteString(s)
		b.WriteByte('`')
		return
	}
	b.WriteString(strconv.Quote(s))
}
