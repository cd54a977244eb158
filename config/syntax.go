package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// Bounds of a file, and of what the library reads at once, in bytes: it needs some fifty times as much memory.
const (
	maxFile  = 128 << 20
	maxWhole = 16 << 20
)

var errNotTOML = errors.New("text that is not TOML")

var tooDeepText = fmt.Sprintf("keys, lists or tables nested more than %d deep", maxDepth)

// parseTOML has the library read src.
func parseTOML(src *source) (map[string]any, *Fault) {
	var root map[string]any
	if _, err := decodeTOML(src.text(), &root); err != nil {
		at, ok := errorOffset(err)
		if !ok {
			at = -1
		}
		f := syntaxFault(src, at, err)
		return nil, &f
	}
	return root, nil
}

// junk finds what shows that src is no text file, or too much of one. It looks at a part of the text, from an offset
// on.
func junk(src *source, from int, text string) (Fault, bool) {
	switch {
	case src.size > maxFile:
		return src.fault(-1, "", fmt.Sprintf("more than %s", formatSize(maxFile)), "a configuration file",
			"is this the right file?"), true
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"):
		return src.fault(-1, "", "UTF-16 text", "UTF-8", "save the file with the encoding UTF-8"), true
	case strings.IndexByte(text, 0) >= 0:
		return src.fault(-1, "", "a binary file (it has a zero byte)", "a TOML text", "is this the right file?"), true
	case utf8.ValidString(text):
		return Fault{}, false
	}
	at := 0
	for {
		r, n := utf8.DecodeRuneInString(text[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return src.fault(from+at, "", fmt.Sprintf("the byte 0x%02x, which is not UTF-8", text[at]), "UTF-8 text",
		"save the file with the encoding UTF-8"), true
}

// errorOffset is where in its text the library found an error.
func errorOffset(err error) (at int, ok bool) {
	var perr toml.ParseError
	if !errors.As(err, &perr) {
		return 0, false
	}
	return max(perr.Position.Start, 0), true
}

// syntaxFault puts an error of the library at an offset, and says in plain words what its message means to somebody who
// is not reading the TOML specification.
func syntaxFault(src *source, at int, err error) Fault {
	var perr toml.ParseError
	if !errors.As(err, &perr) {
		return src.fault(at, "", err.Error(), "TOML", "")
	}
	at = min(at, src.size)
	line := strings.TrimSpace(lineAround(src.text(), at))
	f := src.fault(at, "", "invalid TOML: "+printable(lowerFirst(perr.Message)), "", "")
	if p, ok := inPlainWords(perr.Message, line); ok {
		f.Found, f.Expected, f.Hint = p.found, p.expected, p.hint
	}
	if rest, ok := strings.CutPrefix(perr.Message, "Key '"); ok {
		f.Key, _, _ = strings.Cut(rest, "'")
	}
	return f
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

func lineAround(text string, at int) string {
	start := strings.LastIndexByte(text[:at], '\n') + 1
	end := strings.IndexByte(text[at:], '\n')
	if end < 0 {
		return text[start:]
	}
	return text[start : at+end]
}
