package config

import (
	"strconv"
	"strings"
)

// simple reads a table that is written as nearly all are: a header of bare keys, and lines of bare keys with strings
// without escapes, lists of them, whole numbers, true and false. The library takes ten times as long. Whatever it does
// not know, right or wrong, is the library's: ok is false then.
func simple(text string) (root map[string]any, ok bool) {
	s := simpleReader{text: text}
	names, ok := s.header()
	if !ok {
		return nil, false
	}
	root = map[string]any{}
	table := root
	for _, name := range names {
		next := make(map[string]any, 4)
		table[name], table = next, next
	}
	for s.blankLines(); s.at < len(s.text); s.blankLines() {
		key := s.bareKey()
		_, twice := table[key]
		if s.blanks(); key == "" || twice || !s.take('=') {
			return nil, false
		}
		s.blanks()
		if table[key], ok = s.value(); !ok || !s.lineEnd() {
			return nil, false
		}
	}
	return root, !s.odd
}

type simpleReader struct {
	text string
	at   int
	odd  bool // there is something that is not simple
}

func (s *simpleReader) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *simpleReader) take(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.at++
	return true
}

func (s *simpleReader) blanks() {
	for s.peek() == ' ' || s.peek() == '\t' {
		s.at++
	}
}

// lineEnd passes what may follow a value or a header in its line.
func (s *simpleReader) lineEnd() bool {
	s.blanks()
	if s.peek() == '#' {
		end := strings.IndexByte(s.text[s.at:], '\n')
		if end < 0 {
			end = len(s.text) - s.at
		}
		s.odd = s.odd || !plainText(s.text[s.at:s.at+end])
		s.at += end
	}
	return s.at == len(s.text) || s.take('\n')
}

// blankLines passes lines that hold nothing but blanks and comments, and the blanks before what follows.
func (s *simpleReader) blankLines() {
	for s.at < len(s.text) {
		if s.blanks(); s.peek() != '#' && s.peek() != '\n' {
			return
		}
		if !s.lineEnd() {
			return
		}
	}
}

func (s *simpleReader) bareKey() string {
	start := s.at
	for bareByte(s.peek()) {
		s.at++
	}
	return s.text[start:s.at]
}

// header reads "[a.b]".
func (s *simpleReader) header() (names []string, ok bool) {
	if !s.take('[') {
		return nil, false
	}
	for {
		name := s.bareKey()
		if names = append(names, name); name == "" {
			return nil, false
		}
		if s.take(']') {
			return names, s.lineEnd()
		}
		if !s.take('.') {
			return nil, false
		}
	}
}

func (s *simpleReader) value() (v any, ok bool) {
	switch c := s.peek(); {
	case c == '"':
		return s.quoted()
	case c == '[':
		return s.list()
	case c == 't', c == 'f':
		word := s.bareKey()
		return word == "true", word == "true" || word == "false"
	}
	digits := s.bareKey()
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil && strconv.FormatInt(n, 10) == digits
}

func (s *simpleReader) quoted() (v any, ok bool) {
	if !s.take('"') {
		return nil, false
	}
	n := strings.IndexByte(s.text[s.at:], '"')
	if n < 0 || !plainText(s.text[s.at:s.at+n]) {
		return nil, false
	}
	v = s.text[s.at : s.at+n]
	s.at += n + 1
	return v, n > 0 || s.peek() != '"'
}

// list reads a list of strings in one line.
func (s *simpleReader) list() (v any, ok bool) {
	items := []any{}
	s.take('[')
	for {
		if s.blanks(); s.take(']') {
			return items, true
		}
		item, ok := s.quoted()
		if !ok {
			return nil, false
		}
		items = append(items, item)
		if s.blanks(); !s.take(',') && s.peek() != ']' {
			return nil, false
		}
	}
}

// plainText tells whether s has nothing but printable ASCII, tabs, and no backslash.
func plainText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c >= 0x7f || c == '\\' {
			return false
		}
	}
	return true
}
