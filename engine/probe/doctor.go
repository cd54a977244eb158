package probe

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Doctor prints what the host offers and what to change, for people. The result is the exit code: 0 when the
// program can run here, 1 when not even epoll works.
func Doctor(w io.Writer) int {
	h := readHost()
	cores := CPUs()
	c, err := Choose(Want{Shards: cores})
	if err != nil { // cannot be: nothing in particular was asked for
		fmt.Fprintln(w, err)
		return 1
	}
	fmt.Fprintf(w, "Linux %s on %s, usable cores: %d\n", h.release, h.machine, cores)
	printFeatures(w, c.Features)
	printSettings(w)
	usable := printSelfTests(w, &h, c.Features, cores)
	fmt.Fprintf(w, "\nChoice: %s\n", c.Why)
	if !usable {
		fmt.Fprintln(w, "Result: uringproxy cannot run here, since not even epoll passes its self-test")
		return 1
	}
	return 0
}

func mark(good bool) string {
	if good {
		return "✓"
	}
	return "✗"
}

func table(w io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) }

func printFeatures(w io.Writer, fs Findings) {
	fmt.Fprint(w, "\nKernel features (tier: the lowest one that needs it)\n\n")
	t := table(w)
	fmt.Fprintln(t, "  \tfeature\ttier\tsince\tused for")
	for _, f := range fs {
		use := f.Use
		if f.Verdict != Yes {
			use += " [" + f.Verdict.String() + ": " + f.Err.Error() + "]"
		}
		sign := mark(f.Verdict == Yes)
		if f.Verdict == Unknown {
			sign = "?"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\n", sign, f.Name, f.Tier, f.Since, use)
	}
	t.Flush()
}

func printSettings(w io.Writer) {
	fmt.Fprint(w, "\nLimits and settings\n\n")
	t := table(w)
	fmt.Fprintln(t, "  \tname\tvalue\twhat it bounds")
	var advice []string
	for i := range settings {
		s := &settings[i]
		value, good, err := s.read()
		switch {
		case err != nil:
			fmt.Fprintf(t, "  ?\t%s\t%s\t%s [%v]\n", s.Name, "unknown", s.Use, err)
			continue
		case !good:
			do := s.Do
			if s.Unit != "" {
				do += " (systemd: " + s.Unit + ")"
			}
			advice = append(advice, fmt.Sprintf("%s: better %s\t%s", s.Name, s.Want, do))
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", mark(good), s.Name, value, s.Use)
	}
	t.Flush()
	if len(advice) == 0 {
		return
	}
	fmt.Fprint(w, "\nAdvice for a busy host\n\n")
	for _, a := range advice {
		fmt.Fprintln(t, "  "+a)
	}
	t.Flush()
}

// printSelfTests runs every engine that could be chosen, as many at once as there would be shards. It reports
// whether epoll works.
func printSelfTests(w io.Writer, h *host, fs Findings, shards int) bool {
	fmt.Fprintf(w, "\nSelf-test (a conversation over loopback, shards at once: %d)\n\n", shards)
	t := table(w)
	err := selfTest(shards, openEpoll)
	line := func(name string, tier Tier, good bool, note string) {
		fmt.Fprintln(t, strings.TrimRight(fmt.Sprintf("  %s\t%s\t%s\t%s", mark(good), name, tier, note), " \t"))
	}
	note := "passed"
	if err != nil {
		note = err.Error()
	}
	line("epoll", T0, err == nil, note)
	for tier := T1; tier <= T3; tier++ {
		if f := fs.Missing(tier); f != nil {
			line("io_uring", tier, false, "not tried: "+h.explainMissing(f, tier).Cause)
			continue
		}
		if uerr := selfTest(shards, openUring(tier)); uerr != nil {
			line("io_uring", tier, false, h.explain(uerr).Error())
			continue
		}
		line("io_uring", tier, true, "passed")
	}
	t.Flush()
	return err == nil
}
