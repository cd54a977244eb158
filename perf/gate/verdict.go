package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

func (v verdict) String() string {
	return [...]string{"pass", "FAIL", "not measured: noisy", "not measured"}[v]
}

// show writes a line for each finding, and what follows from all.
func show(w io.Writer, all []finding, strict bool) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "row\twhat\tlimit\tmeasured\t")
	count := map[verdict]int{}
	var closing []string
	for i := range all {
		f := &all[i]
		count[f.verdict]++
		text := f.verdict.String()
		if f.why != "" {
			text += ": " + f.why
		}
		measured := f.measured
		if measured == "" {
			measured = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", f.row, f.what, f.limit, measured, text)
		if f.verdict == fell || strict && f.missing() {
			closing = append(closing, fmt.Sprintf("row %s (%s): %s, limit %s", f.row, f.what,
				firstOf(f.measured, f.why), f.limit))
		}
	}
	table.Flush()
	fmt.Fprintf(w, "\n%d passed, %d fell short, %d too noisy, %d not measured\n",
		count[passed], count[fell], count[noisy], count[unmeasured])
	if len(closing) > 0 {
		fmt.Fprintf(w, "\nThe gate is closed:\n  %s\n", strings.Join(closing, "\n  "))
	}
	return outcome(all, strict)
}

// missing reports whether there could be a figure that may be quoted, and is none.
func (f *finding) missing() bool { return f.verdict == noisy || f.verdict == unmeasured }

// closed is why the gate is: which rows are not met, and when judging strictly, which were not measured.
type closed string

func (c closed) Error() string { return string(c) }

// errNothing says that nothing can be said of the build.
var errNothing = errors.New("judge: no figure that may be quoted; measure on a machine that has nothing else to do")

// outcome is nil when the build may pass, a closed when it may not, and errNothing when nothing fell short but nothing
// was measured either that shows that the benchmark did its work.
func outcome(all []finding, strict bool) error {
	var short, missing []string
	measured := false
	for i := range all {
		f := &all[i]
		switch {
		case f.verdict == fell:
			short = append(short, f.row)
		case f.verdict == passed && !f.aside:
			measured = true
		case strict && f.missing():
			missing = append(missing, f.row)
		}
	}
	if len(short) == 0 && !measured {
		return errNothing
	}
	var parts []string
	if len(short) > 0 {
		parts = append(parts, "fell short in rows "+strings.Join(slices.Compact(short), ", "))
	}
	if len(missing) > 0 {
		parts = append(parts, "not measured in rows "+strings.Join(slices.Compact(missing), ", "))
	}
	if len(parts) > 0 {
		return closed(strings.Join(parts, "; "))
	}
	return nil
}

// finish writes the outcome as the last line of out, since make and go run have exit codes of their own. It returns
// ours.
func finish(err error, out, progress io.Writer) int {
	why := closed("")
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err == nil:
		fmt.Fprintln(out, "gate: passed")
		return 0
	case errors.As(err, &why):
		fmt.Fprintln(out, "gate:", why)
		return 1
	}
	fmt.Fprintln(progress, "gate:", err)
	fmt.Fprintln(out, "gate: nothing measured")
	return 2
}
