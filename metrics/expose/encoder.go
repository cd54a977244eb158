package expose

import (
	"io"
	"strconv"
	"strings"
	"time"
)

// prefix begins every name.
const prefix = "uringproxy_"

// kind is a family's type.
type kind string

const (
	counter   kind = "counter"
	gauge     kind = "gauge"
	histogram kind = "histogram"
	summary   kind = "summary"
)

// family is metrics of one name.
type family struct {
	name   string // without prefix, and without the "_total" of a counter
	kind   kind
	help   string
	labels string // for the documentation, with commas
	write  func(*encoder, *Input)
}

// unit is the family's base unit, which its name ends with; empty for none.
func (f *family) unit() string {
	for _, unit := range []string{"seconds", "bytes"} {
		if strings.HasSuffix(f.name, "_"+unit) {
			return unit
		}
	}
	return ""
}

// sample is the name of the family's samples without a suffix for parts.
func (f *family) sample() string {
	if f.kind == counter {
		return prefix + f.name + "_total"
	}
	return prefix + f.name
}

// encoder writes families and their samples.
type encoder struct {
	w      io.Writer
	open   bool // OpenMetrics
	b      []byte
	err    error
	family *family
	labels []string // scratch: those of a bucket
}

// flushAt is how much is gathered before it is written.
const flushAt = 32 << 10

// begin writes what stands before a family's samples.
func (e *encoder) begin(f *family) {
	e.family = f
	name := f.sample()
	if e.open { // a family's name has no suffix there
		name = prefix + f.name
	}
	e.text("# HELP ", name, " ")
	e.b = appendEscaped(e.b, f.help, e.open)
	e.text("\n# TYPE ", name, " ", string(f.kind), "\n")
	if unit := f.unit(); e.open && unit != "" {
		e.text("# UNIT ", name, " ", unit, "\n")
	}
}

// end writes what stands at the very end.
func (e *encoder) end() error {
	if e.open {
		e.text("# EOF\n")
	}
	e.flush()
	return e.err
}

func (e *encoder) text(parts ...string) {
	for _, s := range parts {
		e.b = append(e.b, s...)
	}
}

func (e *encoder) flush() {
	if e.err == nil && len(e.b) > 0 {
		_, e.err = e.w.Write(e.b)
	}
	e.b = e.b[:0]
}

// name writes the name of a sample, in two parts, and its labels, which are pairs of a name and a value.
func (e *encoder) name(name, suffix string, labels []string) {
	if len(e.b) >= flushAt {
		e.flush()
	}
	e.text(name, suffix)
	for i := 0; i < len(labels); i += 2 {
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		e.b = append(e.b, sep)
		e.text(labels[i], `="`)
		e.b = appendEscaped(e.b, labels[i+1], true)
		e.b = append(e.b, '"')
	}
	if len(labels) > 0 {
		e.b = append(e.b, '}')
	}
	e.b = append(e.b, ' ')
}

// count writes a sample that is a whole number.
func (e *encoder) count(n uint64, labels ...string) { e.part("", n, labels...) }

// part writes a sample with a suffix.
func (e *encoder) part(suffix string, n uint64, labels ...string) {
	e.name(e.family.sample(), suffix, labels)
	e.b = append(strconv.AppendUint(e.b, n, 10), '\n')
}

// level writes a sample that may be negative.
func (e *encoder) level(n int64, labels ...string) {
	e.name(e.family.sample(), "", labels)
	e.b = append(strconv.AppendInt(e.b, n, 10), '\n')
}

// number writes a sample that is no whole number.
func (e *encoder) number(v float64, labels ...string) { e.numberPart("", v, labels...) }

func (e *encoder) numberPart(suffix string, v float64, labels ...string) {
	e.name(e.family.sample(), suffix, labels)
	e.b = append(strconv.AppendFloat(e.b, v, 'g', -1, 64), '\n')
}

// created writes since when a counter has counted, where that can be said.
func (e *encoder) created(since time.Time, labels ...string) {
	if !e.open || since.IsZero() {
		return
	}
	e.name(prefix+e.family.name, "_created", labels)
	e.b = append(strconv.AppendFloat(e.b, seconds(since), 'f', 3, 64), '\n')
}

// bucket writes a bucket of a histogram: n values were bound at most.
func (e *encoder) bucket(bound string, n uint64, labels []string) {
	e.labels = append(append(e.labels[:0], labels...), "le", bound)
	e.part("_bucket", n, e.labels...)
}

// boundText is a number as OpenMetrics wants bounds and quantiles: never without a point or an exponent.
func boundText(v float64) string {
	s := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// infinite is the last bound.
const infinite = "+Inf"

// appendEscaped appends a label's value or a help. Quotes are left alone in the help of the text format.
func appendEscaped(b []byte, s string, quotes bool) []byte {
	if plain(s) {
		return append(b, s...)
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\':
			b = append(b, `\\`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '"' && quotes:
			b = append(b, `\"`...)
		default:
			b = append(b, c)
		}
	}
	return b
}

// plain reports whether s is printable ASCII without anything to escape, as nearly all names are.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '\\' || c == '"' {
			return false
		}
	}
	return true
}

// seconds is a time since 1970.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }
