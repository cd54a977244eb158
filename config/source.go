package config

import (
	"strings"
	"sync"

	"github.com/uringproxy/uringproxy/internal/breath"
)

// source is a file's text. It shares most of its memory with the text that the file had before: a large file in which
// little changes over and over would keep the garbage collector busy.
type source struct {
	name  string
	parts []string
	size  int
	kept  int // bytes of the texts that parts are parts of
	once  sync.Once
	whole string
}

func newSource(name, text string) *source {
	return &source{name: name, parts: []string{text}, size: len(text), kept: len(text)}
}

// maxParts bounds the parts of a source.
const maxParts = 32

// replace is the text after a change: what was between the first bytes and the last ones gives way to middle.
func (s *source) replace(first, last int, middle string) *source {
	kept := s.kept + len(middle)
	parts := s.cut(0, first)
	if middle != "" {
		parts = append(parts, middle)
	}
	parts = append(parts, s.cut(s.size-last, s.size)...)
	size := first + len(middle) + last
	if len(parts) > maxParts || kept > size+size/2 {
		var b strings.Builder // one part would not be copied by joining
		b.Grow(size)
		for _, p := range parts {
			b.WriteString(p)
		}
		return newSource(s.name, b.String())
	}
	return &source{name: s.name, parts: parts, size: size, kept: kept}
}

// cut lists the parts of a range.
func (s *source) cut(from, to int) []string {
	var parts []string
	at := 0
	for _, p := range s.parts {
		if a, b := max(from-at, 0), min(to-at, len(p)); a < b {
			parts = append(parts, p[a:b])
		}
		at += len(p)
	}
	return parts
}

// slice is the text of a range.
func (s *source) slice(from, to int) string {
	if parts := s.cut(from, to); len(parts) != 1 {
		return strings.Join(parts, "")
	} else {
		return parts[0]
	}
}

// has reports whether the text has want at an offset.
func (s *source) has(at int, want string) bool {
	for _, p := range s.parts {
		if at >= len(p) {
			at -= len(p)
			continue
		}
		n := min(len(want), len(p)-at)
		if p[at:at+n] != want[:n] {
			return false
		}
		if want, at = want[n:], 0; want == "" {
			return true
		}
	}
	return want == ""
}

// text is all of the text.
func (s *source) text() string {
	s.once.Do(func() { s.whole = s.slice(0, s.size) })
	return s.whole
}

// fault is a fault at a byte offset; a negative one means the file as a whole. It has no line yet.
func (s *source) fault(offset int, key, found, expected, hint string) Fault {
	return Fault{File: s.name, Key: key, Found: found, Expected: expected, Hint: hint,
		src: s, offset: min(offset, s.size)}
}

// revised is a source, and how many bytes at its beginning and its end are those of an older one.
type revised struct {
	*source
	since       *source // nil: there is none
	first, last int
	breath      *breath.Breath
}
