package regset

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"
)

// Error is an expression that cannot be compiled.
type Error struct {
	Index int    // of the pattern
	At    int    // byte offset in the pattern of what is at fault
	Len   int    // its length
	Msg   string // what is wrong
	Hint  string // what to do; may be empty
}

func (e *Error) Error() string {
	if e.Hint != "" {
		return e.Msg + "; " + e.Hint
	}
	return e.Msg
}

// Check says whether pattern can be compiled, without doing it. The error is an *Error.
func Check(pattern string) error {
	if _, fault := parse(pattern); fault != nil {
		return fault
	}
	return nil
}

// parse parses a pattern and checks that it is not too large.
func parse(pattern string) (*syntax.Regexp, *Error) {
	whole := Error{Len: len(pattern)}
	if len(pattern) > MaxLength {
		whole.Msg = fmt.Sprintf("the expression is %d bytes long, more than %d", len(pattern), MaxLength)
		whole.Hint = "make several of it"
		return nil, &whole
	}
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		fault := &syntax.Error{}
		if !errors.As(err, &fault) {
			whole.Msg = err.Error()
			return nil, &whole
		}
		return nil, explain(pattern, fault)
	}
	insts, ranges := measure(re)
	switch {
	case insts > MaxSize:
		whole.Msg = fmt.Sprintf("the expression has more than %d parts when its repetitions are written out", MaxSize)
		whole.Hint = "use lower counts, or + and * for counts without an upper bound"
	case ranges > maxRanges:
		whole.Msg = "the expression has too many large character classes"
		whole.Hint = `use fewer classes such as \pL, or make several expressions of it`
	default:
		return re, nil
	}
	return nil, &whole
}

// measure returns about how many instructions re compiles to, and how many runes bound its ranges.
func measure(re *syntax.Regexp) (insts, ranges int) {
	insts = 1
	switch re.Op {
	case syntax.OpLiteral:
		insts = len(re.Rune)
	case syntax.OpCharClass:
		ranges = len(re.Rune)
	case syntax.OpCapture:
		insts = 2
	}
	for _, sub := range re.Sub {
		i, r := measure(sub)
		insts, ranges = insts+i+1, ranges+r
	}
	if re.Op == syntax.OpRepeat {
		insts *= max(re.Min+1, re.Max)
	}
	return min(insts, MaxSize+1), ranges
}

// explain says in plain words what regexp/syntax found.
func explain(pattern string, fault *syntax.Error) *Error {
	e := &Error{}
	e.At, e.Len = locate(pattern, fault)
	text := pattern[e.At:][:e.Len]
	switch fault.Code {
	case syntax.ErrMissingParen:
		e.Msg, e.Hint = "this ( is never closed", `add a ), or write \( for the character`
	case syntax.ErrUnexpectedParen:
		e.Msg, e.Hint = "this ) closes nothing", `take it out, or write \) for the character`
	case syntax.ErrMissingBracket:
		e.Msg, e.Hint = "this [ is never closed", `add a ], or write \[ for the character`
		e.Len = 1
	case syntax.ErrInvalidCharRange:
		e.Msg, e.Hint = explainRange(text)
	case syntax.ErrMissingRepeatArgument:
		e.Msg = "there is nothing that " + text + " could repeat"
		e.Hint = "write ." + text + ` for any characters, or \` + text + " for the character"
	case syntax.ErrInvalidRepeatOp:
		e.Msg, e.Hint = explainDouble(text)
	case syntax.ErrInvalidRepeatSize:
		e.Msg = text + " is not a valid count"
		e.Hint = "the first number may not be greater than the second, and no count greater than 1000, counts within " +
			"counts multiplied"
	case syntax.ErrTrailingBackslash:
		e.Msg, e.Hint = `the expression ends in the middle of an escape`, `write \\ for the character \`
	case syntax.ErrInvalidUTF8:
		e.Msg, e.Hint = "this is not UTF-8", `write \x and two hexadecimal digits for a character up to U+00FF`
	case syntax.ErrNestingDepth:
		e.Msg, e.Hint = "the expression nests too deeply", "use fewer parentheses"
	case syntax.ErrInvalidEscape:
		e.Msg, e.Hint = explainEscape(text)
	case syntax.ErrInvalidPerlOp, syntax.ErrInvalidNamedCapture:
		e.Msg, e.Hint = explainGroup(text)
	case syntax.ErrLarge:
		e.Msg, e.Hint = "the expression is too large", "use lower counts, or make several of it"
	default:
		e.Msg = strings.TrimSpace(string(fault.Code) + " " + text)
	}
	return e
}

// locate finds the text that is at fault. The parser reads from left to right, so that it finds the same fault in all
// beginnings of the pattern that have it in them: the shortest one ends with it.
func locate(pattern string, fault *syntax.Error) (at, length int) {
	if fault.Code == syntax.ErrMissingParen {
		return unclosed(pattern), 1
	}
	if fault.Code == syntax.ErrTrailingBackslash {
		return len(pattern) - 1, 1
	}
	whole := fault.Expr == pattern
	low, high := 0, len(pattern)
	for low < high {
		middle := (low + high) / 2
		_, err := syntax.Parse(pattern[:middle], syntax.Perl)
		same := &syntax.Error{}
		if errors.As(err, &same) && same.Code == fault.Code && (whole || same.Expr == fault.Expr) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	if fault.Code == syntax.ErrUnexpectedParen {
		return high - 1, 1
	}
	if !strings.HasSuffix(pattern[:high], fault.Expr) {
		return 0, len(pattern)
	}
	return high - len(fault.Expr), len(fault.Expr)
}

// unclosed finds the last parenthesis that is not closed.
func unclosed(pattern string) int {
	var open []int
	for i := 0; i < len(pattern); i++ {
		switch rest := pattern[i:]; {
		case strings.HasPrefix(rest, `\Q`):
			end := strings.Index(rest, `\E`)
			if end < 0 {
				end = len(rest)
			}
			i += end
		case rest[0] == '\\':
			i++
		case rest[0] == '[':
			i += classLength(rest) - 1
		case rest[0] == '(':
			open = append(open, i)
		case rest[0] == ')' && len(open) > 0:
			open = open[:len(open)-1]
		}
	}
	if len(open) == 0 {
		return 0
	}
	return open[len(open)-1]
}

// classLength returns the length of the character class with which text begins.
func classLength(text string) int {
	i := 1
	if strings.HasPrefix(text[i:], "^") {
		i++
	}
	for first := true; i < len(text); first = false {
		switch rest := text[i:]; {
		case rest[0] == ']' && !first:
			return i + 1
		case strings.HasPrefix(rest, "[:") && strings.Contains(rest, ":]"):
			i += strings.Index(rest, ":]") + 2
		case rest[0] == '\\':
			i += 2
		default:
			i++
		}
	}
	return len(text)
}
