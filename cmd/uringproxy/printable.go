package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"

	"github.com/uringproxy/uringproxy/internal/words"
)

// printable takes out what a terminal might obey, and ends of lines: what was asked may be no uringproxy, and what a
// process says of its configuration is what somebody wrote there.
func printable(s string) string { return words.Printable(s, "", '?') }

// printableLines is printable for texts of several lines, which may be indented with tabs.
func printableLines(s string) string { return words.Printable(s, "\n\t", '?') }

// escaped makes of JSON, written to it in one piece, what says the same and what a terminal does not obey.
type escaped struct{ io.Writer }

func (e escaped) Write(text []byte) (int, error) {
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	if _, err := io.WriteString(e.Writer, b.String()); err != nil {
		return 0, err
	}
	return len(text), nil
}
