package rule

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// tokenKind tells tokens apart. What has no other kind is its text: "&&", "(", and what may not stand in a rule.
type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenName
	tokenString
	tokenSign
)

// token is a piece of a rule's text: text[at:end].
type token struct {
	kind    tokenKind
	at, end int
	value   string // a string's, without quotes and escapes; otherwise the text itself
}

// scanner cuts a rule's text into tokens.
type scanner struct {
	text string
	pos  int
}

// next returns the next token.
func (s *scanner) next() (token, *Error) {
	for s.pos < len(s.text) && strings.IndexByte(" \t\r\n", s.text[s.pos]) >= 0 {
		s.pos++
	}
	at := s.pos
	if at == len(s.text) {
		return token{kind: tokenEnd, at: at, end: at}, nil
	}
	switch c := s.text[at]; {
	case c == '`' || c == '"':
		return s.str(c)
	case letter(c):
		for s.pos < len(s.text) && (letter(s.text[s.pos]) || digit(s.text[s.pos])) {
			s.pos++
		}
		return s.token(tokenName, at), nil
	case strings.HasPrefix(s.text[at:], "&&"), strings.HasPrefix(s.text[at:], "||"):
		s.pos += 2
	default:
		_, size := utf8.DecodeRuneInString(s.text[at:])
		s.pos += size
	}
	return s.token(tokenSign, at), nil
}

func (s *scanner) token(kind tokenKind, at int) token {
	return token{kind, at, s.pos, s.text[at:s.pos]}
}

// str reads a string that begins at s.pos with quote. Only a quoted one has escapes, and neither spans lines, so that
// a missing end is found where it is missing.
func (s *scanner) str(quote byte) (token, *Error) {
	at := s.pos
	for i := at + 1; i < len(s.text) && s.text[i] != '\n'; i++ {
		switch c := s.text[i]; {
		case c == '\\' && quote == '"':
			i++
		case c == quote:
			s.pos = i + 1
			t := s.token(tokenString, at)
			t.value = s.text[at+1 : i]
			if quote == '"' {
				var fault *Error
				t.value, fault = unescape(t.value, at+1)
				return t, fault
			}
			return t, nil
		}
	}
	end := len(s.text)
	if i := strings.IndexByte(s.text[at:], '\n'); i >= 0 {
		end = at + i
	}
	s.pos = end
	return token{}, refusef(at, end-at, "add the "+quoteName(quote), "the string does not end on its line")
}

func quoteName(quote byte) string {
	if quote == '"' {
		return "closing double quote"
	}
	return "closing backquote"
}

// unescape resolves the escapes of a quoted string, which are those of Go. at is where body begins in the rule.
func unescape(body string, at int) (string, *Error) {
	if strings.IndexByte(body, '\\') < 0 {
		return body, nil
	}
	var b strings.Builder
	for rest := body; rest != ""; {
		c, wide, tail, err := strconv.UnquoteChar(rest, '"')
		if err != nil {
			size := min(2, len(rest))
			return "", refusef(at+len(body)-len(rest), size,
				"write \\\\ for a backslash, or put the string in backquotes", "%q is no escape", rest[:size])
		}
		if wide || c < utf8.RuneSelf {
			b.WriteRune(c)
		} else {
			b.WriteByte(byte(c))
		}
		rest = tail
	}
	return b.String(), nil
}

// place finds where byte i of a string token's value stands in the rule's text.
func (s *scanner) place(t token, i int) int {
	at := t.at + 1
	if s.text[t.at] == '`' {
		return at + i
	}
	rest := s.text[at : t.end-1]
	for n := 0; n < i && rest != ""; {
		c, wide, tail, err := strconv.UnquoteChar(rest, '"')
		if err != nil {
			break
		}
		size := 1
		if wide {
			size = utf8.RuneLen(c)
		}
		n += size
		rest = tail
	}
	return t.end - 1 - len(rest)
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

func digit(c byte) bool { return c >= '0' && c <= '9' }
