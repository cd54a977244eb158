// Package report shows what a benchmark found out: as a table for a terminal, as JSON that can be read back, and as one
// HTML page that needs nothing but itself.
//
// It owns what may be said of a figure. A cell with a problem, or one that was too noisy, is put into words and its
// figures into no output but the JSON; a ratio counts only when both of its sides do. What it is given may come from
// anywhere (a crashed proxy's last words, a file from a stranger): text is escaped, control characters are taken out,
// and numbers that are none are left out. It measures nothing, opens no file and never changes the run that it is
// given. uringproxy bench and the performance gate import it.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/uringproxy/uringproxy/perf/result"
)

// JSON writes a run so that Read reads it back, indented, with a newline at the end. Figures that JSON has no way to
// write (infinite ones, and those that are no number) become figures that are not known.
func JSON(w io.Writer, r *result.Run) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(finite(r)); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// longest is how large a file may be that is read: far more than any run has, and no danger for the memory.
const longest = 64 << 20

// Read reads what JSON wrote. Fields that it does not know are passed over: a newer version may have written them.
// What is longer than 64 MiB is refused.
func Read(rd io.Reader) (*result.Run, error) { return read(rd, longest) }

func read(rd io.Reader, limit int64) (*result.Run, error) {
	var r result.Run
	bounded := &io.LimitedReader{R: rd, N: limit + 1}
	d := json.NewDecoder(bounded)
	err := d.Decode(&r)
	if bounded.N <= 0 {
		return nil, fmt.Errorf("read result: it is longer than %s (expected a file that uringproxy bench --json wrote)",
			binary(limit))
	}
	if err != nil {
		return nil, fmt.Errorf("read result: %w (expected a file that uringproxy bench --json wrote)", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("read result: there is more after the end of the result (expected one run in a file)")
	}
	if r.Version == "" && len(r.Peers) == 0 && len(r.Scenarios) == 0 {
		return nil, errors.New("read result: it has no version, no peers and no scenarios " +
			"(expected a file that uringproxy bench --json wrote)")
	}
	return finite(&r), nil
}
