package main

import (
	"encoding/json"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// Colours of a terminal.
const (
	yellow = "33"
	green  = "32"
)

// painter colours words, if w is a terminal and the user does not mind (see no-color.org).
func painter(w io.Writer) func(color, s string) string {
	if !isTerminal(w) {
		return func(_, s string) string { return s }
	}
	return func(color, s string) string { return "\x1b[" + color + "m" + s + "\x1b[0m" }
}

// isTerminal reports whether w is a terminal whose user has not turned colours off.
func isTerminal(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && terminalOf(w) != nil
}

// terminalOf is w as a terminal that can do more than print line after line; nil if it is none.
func terminalOf(w io.Writer) *os.File {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return nil
	}
	if _, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err != nil {
		return nil
	}
	return f
}

// writeJSON writes v for programs, in a form that people can read too.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
