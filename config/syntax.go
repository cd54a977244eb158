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
		return nil, nil, Faults{src.fault(tooDeep, "", fmt.Sprintf("keys, lists or tables nested more than %d deep", maxDepth),
			"a flatter structure", "")}
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
		return src.fault(-1, "", fmt.Sprintf("%d bytes", len(text)), fmt.Sprintf("a file of at most %s", formatSize(maxFile)),
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
	f := src.fault(at, "", "invalid TOML: "+lowerFirst(perr.Message), "", "")
	for _, p := range plain {
		if strings.Contains(perr.Message, p.message) && (p.when == nil || p.when(line)) {
			f.Found, f.Expected, f.Hint = p.found, p.expected, p.hint
			break
		}
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

// plain translates the library's messages. The first entry that fits is used; when looks at the line.
var plain = []struct {
	message               string
	when                  func(line string) bool
	found, expected, hint string
}{
	{"expected '.' or '='", func(line string) bool { return strings.Contains(line, ":") && !strings.Contains(line, "=") },
		"a colon after a key", `"key = value"`, "this looks like YAML; configuration is TOML"},
	{"expected '.' or '='", func(line string) bool { return strings.HasSuffix(line, "{") },
		"a block in braces", `a table header such as [listeners.web]`, "this looks like nginx or HCL; configuration is TOML"},
	{"expected '.' or '='", func(line string) bool { return strings.HasSuffix(line, ";") },
		"a directive that ends with a semicolon", `"key = value"`, "this looks like nginx; configuration is TOML"},
	{"expected '.' or '='", nil, "no equals sign after the key", `"key = value"`, "a key with blanks needs quotes"},
	{"key name appears blank", nil, "an equals sign without a key", `"key = value"`, ""},
	{"keys cannot start with a '.'", nil, "a key that begins with a dot", "a name before the dot", ""},
	{"expected value but found '\\n'", nil, "no value after the equals sign", `a value, such as "text" or 42`, ""},
	{"unexpected EOF; expected value", nil, "no value after the equals sign", `a value, such as "text" or 42`, ""},
	{"expected value but found", nil, "a value that is not a string, number, list or table", `a value, such as "text" or 42`,
		"text needs quotes"},
	{"expected a digit", nil, "a value that begins like a number", "a number", "text needs quotes"},
	{"floats must start with a digit", nil, "a value that begins with a dot", `a value, such as "text" or 42`,
		"text needs quotes"},
	{"expected a top-level item to end", nil, "more text after a complete value", "the end of the line",
		"text with blanks, colons or units needs quotes around all of it"},
	{"strings cannot contain newlines", nil, "a string without its closing quote", "a quote before the end of the line", ""},
	{"unexpected EOF; expected '\"'", nil, "a string without its closing quote", "a quote before the end of the line", ""},
	{"unexpected EOF; expected \"'\"", nil, "a string without its closing quote", "a quote before the end of the line", ""},
	{"unexpected EOF; expected '\"\"\"'", nil, "a string without its closing quotes", `""" after the text`, ""},
	{"unexpected EOF; expected \"'''\"", nil, "a string without its closing quotes", "''' after the text", ""},
	{"array terminator", nil, "a list that goes on without a comma", `"," before the next item, or "]" at the end`, ""},
	{"inline table terminator", nil, "a table that goes on without a comma", `"," before the next key, or "}" at the end`, ""},
	{"unexpected comma", nil, "a comma without an item before it", "an item", ""},
	{"end table name", nil, "a table header that does not end", `"]" after the table's name`, ""},
	{"table array name delimiter", nil, "a table header that does not end", `"]]" after the table's name`, ""},
	{"table names cannot be empty", nil, "a table header without a name", "a name, as in [listeners.web]", ""},
	{"has already been defined", nil, "a second definition of the same key", "each key and each table once",
		"join the two, or give one another name"},
	{"was already created", nil, "a key that is both a value and a table", "one of the two", ""},
	{"invalid escape", nil, "a backslash that begins no escape", `"\\" for a backslash, or a string in single quotes`, ""},
	{"control characters", nil, "a control character", "printable text", "is there something invisible in the line?"},
	{"invalid datetime", nil, "a value that begins like a date", "a value", "text needs quotes"},
}
