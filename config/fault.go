package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fault is one thing that is wrong with a configuration, and what to do about it.
type Fault struct {
	File string `json:"file"`
	// Line and Column count from 1, columns in characters. Both are 0 when the fault is not at one place of the file.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Key is the path of the key, as "routes.api.service" or "services.api.endpoints[0]".
	Key string `json:"key,omitempty"`
	// Found is what is there, Expected what would be right, and Hint what was probably meant.
	Found    string `json:"found"`
	Expected string `json:"expected,omitempty"`
	Hint     string `json:"hint,omitempty"`

	source string // the line of the file, for Excerpt
}

// Error gives the fault in one line, with its position first so that editors can follow it.
func (f Fault) Error() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", f.Line, f.Column)
	}
	if f.Key != "" {
		b.WriteString(": " + f.Key)
	}
	b.WriteString(": found " + f.Found)
	if f.Expected != "" {
		b.WriteString(", expected " + f.Expected)
	}
	if f.Hint != "" {
		b.WriteString("; " + f.Hint)
	}
	return b.String()
}

// excerptWidth is how many characters of a line are shown, excerptBefore how many of them before the fault.
const (
	excerptWidth  = 100
	excerptBefore = 60
)

// Excerpt shows the line with a caret under the fault, in two lines, or nothing when there is no such line. What a
// terminal might take for a command is replaced.
func (f Fault) Excerpt() string {
	if f.Line == 0 || strings.TrimSpace(f.source) == "" {
		return ""
	}
	line := []rune(strings.TrimRight(f.source, "\r"))
	at := min(f.Column-1, len(line))
	if at > excerptBefore {
		line, at = line[at-excerptBefore:], excerptBefore
		line[0] = '…'
	}
	if len(line) > excerptWidth {
		line = line[:excerptWidth]
		line[excerptWidth-1] = '…'
	}
	under := make([]rune, at)
	for i := range under {
		under[i] = ' '
		if i < len(line) && line[i] == '\t' {
			under[i] = '\t'
		}
	}
	number := fmt.Sprintf("%5d", f.Line)
	return fmt.Sprintf("%s | %s\n%*s | %s^\n", number, printable(string(line)), len(number), "", string(under))
}

// printable replaces what a terminal might obey, tabs apart.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// Faults are all faults of a configuration, in the order of the file.
type Faults []Fault

// Error gives one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Err is fs as an error: nil when there is no fault.
func (fs Faults) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}

// Count is the number of faults.
func (fs Faults) Count() int { return len(fs) }

// Files are the files that have faults, each once.
func (fs Faults) Files() []string {
	var files []string
	for _, f := range fs {
		if !slices.Contains(files, f.File) {
			files = append(files, f.File)
		}
	}
	return files
}

func (fs Faults) sort() {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// source is a file's text, for positions.
type source struct {
	name  string
	text  string
	lines []int // where each line starts
}

func newSource(name, text string) *source {
	s := &source{name: name, text: text, lines: []int{0}}
	for i := range len(text) {
		if text[i] == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// fault is a fault at a byte offset; a negative one means the file as a whole.
func (s *source) fault(offset int, key, found, expected, hint string) Fault {
	f := Fault{File: s.name, Key: key, Found: found, Expected: expected, Hint: hint}
	if offset < 0 {
		return f
	}
	offset = min(offset, len(s.text))
	n, _ := slices.BinarySearch(s.lines, offset+1)
	start := s.lines[n-1]
	end := len(s.text)
	if n < len(s.lines) {
		end = s.lines[n] - 1
	}
	f.Line, f.Column = n, utf8.RuneCountInString(s.text[start:offset])+1
	f.source = s.text[start:end]
	return f
}
