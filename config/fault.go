package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/uringproxy/uringproxy/internal/words"
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

	line   string  // of the file, or the part of it that Excerpt may need
	at     int     // characters of line before the fault
	src    *source // where offset counts, until there is a line
	offset int
	more   int // faults that are not listed
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
	if f.Line == 0 || strings.TrimSpace(f.line) == "" {
		return ""
	}
	line := []rune(strings.TrimRight(f.line, "\r"))
	at := min(f.at, len(line))
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
func printable(s string) string { return words.Printable(s, "\t", '?') }

// maxFaults bounds how many faults are listed.
const maxFaults = 1000

// Faults are the faults of a configuration in the order of its files. After the first thousand there is one in place
// of all others, which says how many these are.
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

// Count is the number of faults, listed or not.
func (fs Faults) Count() int {
	n := len(fs)
	for _, f := range fs {
		n += max(f.more-1, 0)
	}
	return n
}

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

// collector gathers faults.
type collector struct {
	faults Faults
	more   int // beyond those
}

// add keeps a fault. Some more are kept than are listed, since they do not come in order.
func (c *collector) add(f Fault) {
	if c.full() {
		c.more++
		return
	}
	c.faults = append(c.faults, f)
}

// full tells that faults are only counted from here on.
func (c *collector) full() bool { return len(c.faults) >= 2*maxFaults }

// finish brings the faults into the order of files, and looks up their lines.
func (c *collector) finish(files []string) Faults {
	order := map[string]int{}
	for i, file := range files {
		order[file] = i + 1
	}
	fs := c.faults
	slices.SortStableFunc(fs, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), cmp.Compare(a.offset, b.offset))
	})
	if more := c.more + len(fs) - maxFaults; len(fs) > maxFaults && more > 1 {
		last := Fault{File: fs[maxFaults].File, Found: fmt.Sprintf("%d more faults", more), more: more,
			Hint: "mend the first ones, which may be the reason for others", offset: -1}
		fs = append(fs[:maxFaults:maxFaults], last)
	}
	var p position
	for i := range fs {
		p.resolve(&fs[i])
	}
	return fs
}

// position goes from one fault of a file to the next, so that the text is read once, however many there are.
type position struct {
	src          *source
	offset       int
	line, column int // of offset, from 0
	start, end   int // of its line
}

// resolve gives f its line and column.
func (p *position) resolve(f *Fault) {
	if f.src == nil || f.offset < 0 {
		return
	}
	text := f.src.text()
	if p.src != f.src || f.offset < p.offset {
		*p = position{src: f.src, end: lineEnd(text, 0)}
	}
	passed := text[p.offset:f.offset]
	if n := strings.Count(passed, "\n"); n > 0 {
		p.line += n
		p.start = p.offset + strings.LastIndexByte(passed, '\n') + 1
		p.end = lineEnd(text, f.offset)
		p.column = utf8.RuneCountInString(text[p.start:f.offset])
	} else {
		p.column += utf8.RuneCountInString(passed)
	}
	p.offset = f.offset
	f.Line, f.Column = p.line+1, p.column+1
	from, to := max(p.start, f.offset-4*(excerptBefore+1)), min(p.end, f.offset+4*excerptWidth)
	for from > p.start && !utf8.RuneStart(text[from]) {
		from--
	}
	f.line, f.at = strings.Clone(text[from:to]), utf8.RuneCountInString(text[from:f.offset])
	f.src = nil
}

func lineEnd(text string, from int) int {
	if n := strings.IndexByte(text[from:], '\n'); n >= 0 {
		return from + n
	}
	return len(text)
}
