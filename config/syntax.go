package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 16 << 20

var errNotTOML = errors.New("text that is not TOML")

// parseTOML turns src into tables, with the places of their keys. Faults of the text itself end here.
func parseTOML(src *source) (map[string]any, index, Faults) {
	if f, bad := junk(src); bad {
		return nil, nil, Faults{f}
	}
	places, tooDeep, _ := scan(src.text)
	if tooDeep >= 0 {
		found := fmt.Sprintf("keys, lists or tables nested more than %d deep", maxDepth)
		return nil, nil, Faults{src.fault(tooDeep, "", found, "a flatter structure", "")}
	}
	var root map[string]any
	if _, err := decodeTOML(src.text, &root); err != nil {
		return nil, nil, Faults{syntaxFault(src, err)}
	}
	return root, places, nil
}

// junk finds what shows that src is no text file, or too much of one.
func junk(src *source) (Fault, bool) {
	text := src.text
	switch {
	case len(text) > maxFile:
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
	return src.fault(at, "", fmt.Sprintf("the byte 0x%02x, which is not UTF-8", text[at]), "UTF-8 text",
		"save the file with the encoding UTF-8"), true
}

// syntaxFault keeps the library's position, and says in plain words what its message means to somebody who is not
// reading the TOML specification.
func syntaxFault(src *source, err error) Fault {
	var perr toml.ParseError
	if !errors.As(err, &perr) {
		return src.fault(-1, "", err.Error(), "TOML", "")
	}
	at := min(max(perr.Position.Start, 0), len(src.text))
	line := strings.TrimSpace(lineAround(src.text, at))
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
