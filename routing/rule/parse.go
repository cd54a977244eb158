package rule

import (
	"fmt"
	"unicode/utf8"
)

// Bounds of a rule's text.
const (
	MaxLength  = 64 << 10 // bytes
	MaxNesting = 100      // parentheses and ! within one another
)

// Error is a fault in a rule's text, or in a matcher's argument.
type Error struct {
	At   int    // byte offset in the text
	Len  int    // bytes of the text that are at fault; at least 1, also at the text's end
	Msg  string // what is wrong
	Hint string // what to do; may be empty
}

func (e *Error) Error() string {
	if e.Hint != "" {
		return e.Msg + "; " + e.Hint
	}
	return e.Msg
}

// Parse reads a rule. The error is an *Error.
//
//	rule    = and { "||" and } .
//	and     = operand { "&&" operand } .
//	operand = "!" operand | "(" rule ")" | matcher .
//	matcher = name "(" string { "," string } ")" .
func Parse(text string) (*Expr, error) { return parse(text, ofRequests) }

func (p *parser) parse() (*Expr, *Error) {
	text := p.text
	if len(text) > MaxLength {
		return nil, refusef(MaxLength, 1, "split it into several routes",
			"a rule has at most %d bytes, this has %d", MaxLength, len(text))
	}
	if at := invalidUTF8(text); at >= 0 {
		return nil, refuse(at, 1, "the rule is not valid UTF-8", `write other bytes as "\x80"`)
	}
	if fault := p.advance(); fault != nil {
		return nil, fault
	}
	if p.tok.kind == tokenEnd {
		return nil, refuse(0, 1, "the rule is empty", "leave it out to match every request")
	}
	e, fault := p.or()
	if fault != nil {
		return nil, fault
	}
	if p.tok.kind != tokenEnd {
		return nil, p.afterOperand()
	}
	return e, nil
}

func invalidUTF8(s string) int {
	for i, c := range s {
		if c == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}

// parser reads by recursive descent, one token ahead.
type parser struct {
	scanner
	tok   token
	depth int // parentheses and ! that we are in
	open  int // parentheses that we are in

	asks asks // which matchers there may be
}

func (p *parser) advance() (fault *Error) {
	p.tok, fault = p.next()
	return fault
}

// is reports whether the next token is this sign.
func (p *parser) is(sign string) bool { return p.tok.kind == tokenSign && p.tok.value == sign }

func (p *parser) or() (*Expr, *Error) { return p.list("||", OpOr, p.and) }

func (p *parser) and() (*Expr, *Error) { return p.list("&&", OpAnd, p.operand) }

// list reads items joined by an operator.
func (p *parser) list(sign string, op Op, item func() (*Expr, *Error)) (*Expr, *Error) {
	var items []*Expr
	for {
		e, fault := item()
		if fault != nil {
			return nil, fault
		}
		items = append(items, e)
		if !p.is(sign) {
			return join(op, items), nil
		}
		if fault := p.advance(); fault != nil {
			return nil, fault
		}
	}
}

func (p *parser) operand() (*Expr, *Error) {
	at := p.tok.at
	switch {
	case p.is("!"), p.is("("):
		if p.depth == MaxNesting {
			return nil, refusef(at, 1, "split the rule into several routes",
				"more than %d parentheses and ! within one another", MaxNesting)
		}
		p.depth++
		defer func() { p.depth-- }()
		if p.is("!") {
			return p.negation(at)
		}
		return p.group(at)
	case p.tok.kind == tokenName:
		return p.matcher()
	}
	hint := p.signHint()
	if p.tok.kind == tokenString {
		hint = "put it into a matcher, such as Host(`example.com`)"
	}
	return nil, p.found("a matcher such as Host(`example.com`), ! or (", hint)
}

func (p *parser) negation(at int) (*Expr, *Error) {
	if fault := p.advance(); fault != nil {
		return nil, fault
	}
	e, fault := p.operand()
	if fault != nil {
		return nil, fault
	}
	return not(e, at), nil
}

func (p *parser) group(at int) (*Expr, *Error) {
	p.open++
	defer func() { p.open-- }()
	if fault := p.advance(); fault != nil {
		return nil, fault
	}
	e, fault := p.or()
	if fault != nil {
		return nil, fault
	}
	if !p.is(")") {
		fault := p.afterOperand()
		if p.tok.kind == tokenEnd {
			fault.Hint = fmt.Sprintf("close the parenthesis of %q", p.excerpt(at))
		}
		return nil, fault
	}
	return e, p.advance()
}

// excerpt is the text from at on, as much as is needed to find it.
func (p *parser) excerpt(at int) string {
	const most = 24
	if len(p.text)-at <= most {
		return p.text[at:]
	}
	end := at + most
	for !utf8.RuneStart(p.text[end]) {
		end--
	}
	return p.text[at:end] + "…"
}

// matcher reads a call.
func (p *parser) matcher() (*Expr, *Error) {
	name := p.tok
	kind := kindOf(name.value)
	if kind == None {
		return nil, refusef(name.at, len(name.value), unknownHint(name.value), "there is no matcher %q", name.value)
	}
	if !p.asks.may(kind) {
		return nil, p.asks.tooEarly(kind, name)
	}
	if fault := p.advance(); fault != nil {
		return nil, fault
	}
	if !p.is("(") {
		return nil, p.found("( after "+name.value, "write for example "+kind.example())
	}
	args, fault := p.arguments(kind)
	if fault != nil {
		return nil, fault
	}
	return p.call(kind, name, args)
}

// arguments reads the strings of a call, up to and with its closing parenthesis.
func (p *parser) arguments(kind Kind) ([]token, *Error) {
	var args []token
	for {
		if fault := p.advance(); fault != nil {
			return nil, fault
		}
		if p.tok.kind != tokenString {
			return nil, p.found("a string in backquotes or double quotes", "write for example "+kind.example())
		}
		args = append(args, p.tok)
		if fault := p.advance(); fault != nil {
			return nil, fault
		}
		if p.is(")") {
			return args, p.advance()
		}
		if !p.is(",") {
			return nil, p.found(", or ) after a string", p.signHint())
		}
	}
}

// call makes the node of a matcher with its arguments, of which there is at least one.
func (p *parser) call(kind Kind, name token, args []token) (*Expr, *Error) {
	values := make([]string, len(args))
	for i, a := range args {
		values[i] = a.value
	}
	first, arg := "", 0
	if kind.Named() {
		first, values, arg = values[0], values[1:], 1
	}
	pred, index, fault := predicate(kind, first, values)
	switch {
	case fault == nil:
		return &Expr{Op: OpMatch, Pred: pred, At: name.at}, nil
	case index < 0 && len(values) < matchers[kind].least:
		last := args[len(args)-1]
		fault.At, fault.Len = last.at, last.end-last.at
	default:
		if index >= 0 {
			arg += index
		} else {
			arg = 0
		}
		at := p.place(args[arg], fault.At)
		end := p.place(args[arg], fault.At+fault.Len)
		fault.At, fault.Len = at, max(1, end-at)
	}
	return nil, fault
}

// afterOperand is the fault of a token that cannot follow a complete condition.
func (p *parser) afterOperand() *Error {
	switch {
	case p.is(")"):
		return p.found("&&, || or the end of the rule", "take this ) out, or open it with (")
	case p.tok.kind == tokenEnd:
		return p.found("&&, || or )", "")
	case p.tok.kind == tokenName && kindOf(p.tok.value) != None, p.is("("), p.is("!"):
		return p.found(p.follow(), "join conditions with && (both) or || (one of them)")
	case p.tok.kind == tokenName:
		return p.found(p.follow(), unknownHint(p.tok.value))
	}
	return p.found(p.follow(), p.signHint())
}

func (p *parser) follow() string {
	if p.open > 0 {
		return "&&, || or )"
	}
	return "&&, || or the end of the rule"
}

// signHint is what somebody probably meant by a sign that is out of place.
func (p *parser) signHint() string {
	switch p.tok.value {
	case "&":
		return "write && for and"
	case "|":
		return "write || for or"
	case ",", ";":
		return "join conditions with && (both) or || (one of them)"
	case "'", "‘", "’", "“", "”", "´":
		return "put strings in backquotes or double quotes"
	case "=", "~":
		return "write conditions as calls, such as Host(`example.com`)"
	case "&&", "||":
		return "there must be a condition on both sides"
	}
	return ""
}

// found is the fault of the next token, when something else was expected.
func (p *parser) found(expected, hint string) *Error {
	what := "the end of the rule"
	switch {
	case p.tok.kind == tokenEnd:
	case p.tok.end-p.tok.at > 40:
		what = "a string"
		if p.tok.kind == tokenName {
			what = "a long word"
		}
	default:
		what = p.text[p.tok.at:p.tok.end]
	}
	return refusef(p.tok.at, p.tok.end-p.tok.at, hint, "found %s, expected %s", what, expected)
}
