package config

import (
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxDepth bounds how deeply keys, lists and tables may be nested; our own vocabulary needs five levels. The TOML
// library recurses without a bound, so a file is scanned before it is parsed.
const maxDepth = 32

// scanner finds the places of keys and values. It reads TOML 1.1 in outline only: what follows a value is not checked,
// since the library refuses what is not TOML. On text that it cannot follow it stops.
type scanner struct {
	text    string
	at      int
	places  index          // nil when nobody asks for them, which is much faster
	arrays  map[string]int // length of each array of tables so far
	parts   []part         // of the key that was read last
	tooDeep int            // where maxDepth was passed, or -1
	lost    bool
}

func newScanner(text string) *scanner {
	return &scanner{text: text, places: index{}, arrays: map[string]int{}, tooDeep: -1}
}

// run reads the items from one offset to another, which both lie between items.
func (s *scanner) run(from, to int) {
	text := s.text
	s.text, s.at = text[:to], from
	defer func() { s.text = text }()
	table, depth := "", 0
	for !s.lost {
		s.skip(" \t\r\n")
		if s.at == len(s.text) {
			break
		}
		if s.peek() == '[' {
			table, depth = s.header()
		} else {
			s.pair(table, depth)
		}
		s.end()
	}
}

// end passes what may stand between an item and the end of its line.
func (s *scanner) end() {
	s.skip(" \t\r")
	if s.at < len(s.text) && s.peek() != '\n' {
		s.lost = true
	}
}

func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// skip passes over the bytes of set and over comments.
func (s *scanner) skip(set string) {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c <= ' ' && strings.IndexByte(set, c) >= 0:
			s.at++
		case c == '#':
			n := strings.IndexByte(s.text[s.at:], '\n')
			if n < 0 {
				n = len(s.text) - s.at
			}
			s.at += n
		default:
			return
		}
	}
}

func (s *scanner) expect(c byte) {
	if s.peek() == c {
		s.at++
	} else {
		s.lost = true
	}
}

// descend notes an excess of depth and tells whether to go on.
func (s *scanner) descend(depth int) bool {
	if depth > maxDepth && s.tooDeep < 0 {
		s.tooDeep = s.at
	}
	s.lost = s.lost || depth > maxDepth
	return !s.lost
}

// part is one part of a dotted key.
type part struct {
	name string
	at   int
}

// brackets reads "[a.b]" or "[[a.b]]".
func (s *scanner) brackets() (parts []part, array bool) {
	s.expect('[')
	array = s.peek() == '['
	if array {
		s.at++
	}
	parts = s.key()
	s.expect(']')
	if array {
		s.expect(']')
	}
	s.descend(2 * len(parts))
	return parts, array
}

// header reads a table's header and returns the path that the following keys belong to, and its depth.
func (s *scanner) header() (path string, depth int) {
	parts, array := s.brackets()
	if s.lost {
		return "", 0
	}
	for i, p := range parts {
		path = child(path, p.name)
		last := i == len(parts)-1
		s.add(path, place{p.at, p.at}, last)
		if last && array {
			s.arrays[path]++
		}
		if n := s.arrays[path]; n > 0 {
			path += "[" + strconv.Itoa(n-1) + "]"
			s.add(path, place{p.at, p.at}, last)
		}
	}
	return path, 2 * len(parts)
}

// add records a place. The first mention counts, but a table's own header replaces a mention in passing.
func (s *scanner) add(path string, p place, own bool) {
	if _, ok := s.places[path]; !ok || own {
		s.places[path] = p
	}
}

// key reads a dotted key; blanks may surround its dots. The parts are good until the next key.
func (s *scanner) key() (parts []part) {
	parts = s.parts[:0]
	for !s.lost {
		s.blanks()
		p := part{at: s.at}
		switch s.peek() {
		case '"', '\'':
			raw := s.quoted(false)
			p.name = unquoteKey(raw)
		default:
			for bareByte(s.peek()) {
				s.at++
			}
			p.name = s.text[p.at:s.at]
		}
		parts = append(parts, p)
		s.blanks()
		if s.peek() != '.' || !s.descend(len(parts)) {
			break
		}
		s.at++
	}
	s.parts = parts
	return parts
}

func (s *scanner) blanks() {
	for s.peek() == ' ' || s.peek() == '\t' {
		s.at++
	}
}

// pair reads "key = value" in the table at path.
func (s *scanner) pair(path string, depth int) {
	parts := s.key()
	s.expect('=')
	s.blanks()
	depth += len(parts)
	if !s.descend(depth) {
		return
	}
	for i, p := range parts {
		if s.places == nil {
			break
		}
		path = child(path, p.name)
		at := place{p.at, p.at}
		if i == len(parts)-1 {
			at.value = s.at
		}
		s.add(path, at, false)
	}
	s.value(path, depth)
}

func (s *scanner) value(path string, depth int) {
	if !s.descend(depth) {
		return
	}
	switch s.peek() {
	case '"', '\'':
		s.quoted(true)
	case '[':
		s.list(path, depth+1)
	case '{':
		s.inline(path, depth+1)
	default:
		for s.at < len(s.text) && strings.IndexByte(",]}#\n", s.text[s.at]) < 0 {
			s.at++
		}
	}
}

func (s *scanner) list(path string, depth int) {
	s.expect('[')
	for i := 0; !s.lost; i++ {
		if s.skip(" \t\r\n"); s.peek() == ']' {
			break
		}
		item := ""
		if s.places != nil {
			item = path + "[" + strconv.Itoa(i) + "]"
			s.add(item, place{s.at, s.at}, false)
		}
		s.value(item, depth)
		s.comma(']')
	}
	s.expect(']')
}

func (s *scanner) inline(path string, depth int) {
	s.expect('{')
	for !s.lost {
		if s.skip(" \t\r\n"); s.peek() == '}' {
			break
		}
		s.pair(path, depth)
		s.comma('}')
	}
	s.expect('}')
}

// comma passes the comma between two items; the last one needs none.
func (s *scanner) comma(end byte) {
	if s.skip(" \t\r\n"); s.peek() != end {
		s.expect(',')
	}
}

// quoted reads a string of any of the four kinds and returns it with its quotes. Keys have no multi-line form.
func (s *scanner) quoted(multiline bool) string {
	start, quote := s.at, s.text[s.at:s.at+1]
	fence := `"""`
	if quote == "'" {
		fence = "'''"
	}
	if !multiline || !strings.HasPrefix(s.text[s.at:], fence) {
		fence = quote
	}
	for s.at += len(fence); s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; {
		case c != '\\' && c != '\n' && c != quote[0]:
		case c == '\\' && quote == `"`:
			s.at++
		case c == '\n' && len(fence) == 1:
			s.lost = true
			return ""
		case strings.HasPrefix(s.text[s.at:], fence):
			s.at += len(fence)
			// Up to two quotes may stand right before a closing fence.
			for n := 0; n < 2 && len(fence) == 3 && strings.HasPrefix(s.text[s.at:], quote); n++ {
				s.at++
			}
			return s.text[start:s.at]
		}
	}
	s.at, s.lost = len(s.text), true
	return ""
}

// unquoteKey leaves the meaning of escapes to the library.
func unquoteKey(raw string) string {
	if len(raw) < 2 {
		return ""
	}
	if raw[0] == '\'' || !strings.Contains(raw, `\`) {
		return raw[1 : len(raw)-1]
	}
	var v struct{ K string }
	if _, err := decodeTOML("K = "+raw, &v); err != nil {
		return ""
	}
	return v.K
}

// quoteKey writes a key as a basic string, with escapes that TOML and Go share.
func quoteKey(key string) string { return strconv.Quote(key) }

// decodeTOML is toml.Decode without its panics: the library calls a text it did not foresee a bug of its own.
func decodeTOML(text string, v any) (meta toml.MetaData, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errNotTOML
		}
	}()
	return toml.Decode(text, v)
}
