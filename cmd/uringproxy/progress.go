package main

import (
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/perf/bench"
)

// plainColumns is how wide a table is that no terminal shows.
const plainColumns = 120

// columns is the width of the terminal that w is.
func columns(w any) int {
	if f, ok := w.(*os.File); ok {
		if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil && size.Col > 0 {
			return int(size.Col)
		}
	}
	return plainColumns
}

// progress tells the steps of a benchmark: on a terminal in one line that is written again and again, elsewhere in one
// line for each round.
func (env *environment) progress() func(bench.Step) {
	began := time.Now()
	rewrite := isTerminal(env.stderr)
	last := ""
	return func(s bench.Step) {
		what := "warm-up"
		if s.Round > 0 {
			what = fmt.Sprintf("round %d of %d", s.Round, s.Rounds)
		}
		left := ""
		if spent := time.Since(began); s.Done > 0 && spent > time.Second {
			rest := time.Duration(float64(spent) / float64(s.Done) * float64(s.Total-s.Done))
			left = fmt.Sprintf(", about %s left", rest.Round(time.Second))
		}
		if rewrite {
			fmt.Fprintf(env.stderr, "\r\x1b[K%s: %s, %s%s", s.Scenario, what, s.Peer, left)
			return
		}
		if line := s.Scenario + ": " + what; line != last {
			fmt.Fprintln(env.stderr, line+left)
			last = line
		}
	}
}

// endProgress makes way for what comes after it.
func (env *environment) endProgress() {
	if isTerminal(env.stderr) {
		fmt.Fprint(env.stderr, "\r\x1b[K")
	}
}
