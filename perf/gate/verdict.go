package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

func (v verdict) String() string {
	return [...]string{"pass", "FAIL", "not measured: noisy", "not measured"}[v]
}

// show writes a line for each finding, and what follows from all. It reports whether the build may pass: nothing fell
// short, and with strict, everything that could be measured was measured well enough.
func show(w io.Writer, all []finding, strict bool) bool {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "row\twhat\tlimit\tmeasured\t")
	count := map[verdict]int{}
	var short []string
	for _, f := range all {
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
		if f.verdict == fell || strict && f.verdict == noisy {
			short = append(short, fmt.Sprintf("row %s (%s): %s, limit %s", f.row, f.what,
				firstOf(f.measured, f.why), f.limit))
		}
	}
	table.Flush()
	fmt.Fprintf(w, "\n%d passed, %d fell short, %d too noisy, %d not measured\n",
		count[passed], count[fell], count[noisy], count[unmeasured])
	if len(short) > 0 {
		fmt.Fprintf(w, "\nThe gate is closed:\n  %s\n", strings.Join(short, "\n  "))
	}
	return len(short) == 0
}
