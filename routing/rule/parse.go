package rule

import "errors"

// Error is a fault in a rule's text, or in a matcher's argument.
type Error struct {
	At   int    // byte offset in the text
	Len  int    // bytes of the text that are at fault; at least 1
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
func Parse(text string) (*Expr, error) { return nil, errors.New("not implemented") }

// Match makes the Expr of one matcher with several values, one of which must fit, after checking the values. name is
// for matchers that have one. The error is an *Error whose At counts in the value at fault, which index names.
func Match(kind Kind, name string, values ...string) (e *Expr, index int, err error) {
	return nil, 0, errors.New("not implemented")
}

// All joins expressions with &&, leaving out nil ones; nil when there is none.
func All(exprs ...*Expr) *Expr { return nil }

// Any joins expressions with ||; nil when there is none.
func Any(exprs ...*Expr) *Expr { return nil }

// Expansion is a rule as alternatives.
type Expansion struct {
	Alternatives []Alternative
	// Impossible says, for each alternative that was left out because nothing can fit it, why.
	Impossible []string
}

// MaxAlternatives bounds what one rule may expand to.
const MaxAlternatives = 1 << 16

// Expand turns e into alternatives. The error says that there would be more than MaxAlternatives.
func (e *Expr) Expand() (Expansion, error) { return Expansion{}, errors.New("not implemented") }

// String writes e in the form that Parse reads, with as few parentheses as possible.
func (e *Expr) String() string { return "" }
