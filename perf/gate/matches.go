package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/uringproxy/uringproxy/perf/result"
)

// match is what routing's benchmark says of matching in tables of one shape and size.
type match struct {
	shape string
	size  int
	p99   float64 // ns
}

// matchCommand measures row 11.
var matchCommand = []string{
	"go", "test", "-run", "^$", "-bench", "Match/(" + strings.Join(matchShapes, "|") + ")/", "-benchtime", "500000x",
	"./routing",
}

// measureMatches runs the benchmark, and shows what it says.
func measureMatches(ctx context.Context, command []string, progress io.Writer) ([]match, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = progress
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // it starts what it has built
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run %s: %w", strings.Join(command, " "), err)
	}
	matches, err := readMatches(io.TeeReader(out, progress))
	if e := cmd.Wait(); e != nil {
		return nil, fmt.Errorf("run %s: %w", strings.Join(command, " "), e)
	}
	return matches, err
}

func matchesOf(path string) ([]match, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readMatches(f)
}

var matchLine = regexp.MustCompile(`^BenchmarkMatch/([a-z-]+)/(\d+)(?:-\d+)?\s.*\s(\S+) p99-ns`)

// readMatches reads what the benchmark writes.
func readMatches(r io.Reader) (all []match, err error) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		found := matchLine.FindStringSubmatch(lines.Text())
		if found == nil {
			continue
		}
		m := match{shape: found[1]}
		if m.size, err = strconv.Atoi(found[2]); err != nil {
			return nil, fmt.Errorf("read benchmark %q: %w", lines.Text(), err)
		}
		if m.p99, err = strconv.ParseFloat(found[3], 64); err != nil {
			return nil, fmt.Errorf("read benchmark %q: %w", lines.Text(), err)
		}
		all = append(all, m)
	}
	return all, lines.Err()
}

// judgeMatches is row 11: for each size the shape whose 99th percentile is the greatest. A shape that was measured
// several times, as go test -count has it, counts with its median.
func judgeMatches(matches []match) (all []finding) {
	for _, size := range matchSizes {
		f := finding{
			row: "11", what: fmt.Sprintf("match among %d routes, p99", size), limit: fmt.Sprintf("< %d ns", matchLimit),
			aside: true,
		}
		worst, shape := 0.0, ""
		var missing []string
		for _, s := range matchShapes {
			p99 := p99Of(matches, s, size)
			if !p99.Known() {
				missing = append(missing, s)
			} else if p99.Median > worst {
				worst, shape = p99.Median, s
			}
		}
		if shape != "" {
			f.measured = fmt.Sprintf("%.0f ns (%s)", worst, shape)
		}
		switch {
		case worst > matchBug:
			f.verdict, f.why = fell, fmt.Sprintf("more than %d ns is a fault", matchBug)
		case worst >= matchLimit:
			f.verdict = fell
		case len(missing) == len(matchShapes):
			f.verdict, f.why = unmeasured, "the benchmark was not run"
		case len(missing) > 0:
			f.verdict, f.why = unmeasured, "nothing for "+strings.Join(missing, ", ")
		}
		all = append(all, f)
	}
	return all
}

// p99Of is what was measured in tables of a shape and size.
func p99Of(matches []match, shape string, size int) result.Spread {
	var p99s []float64
	for _, m := range matches {
		if m.shape == shape && m.size == size {
			p99s = append(p99s, m.p99)
		}
	}
	return result.SpreadOf(p99s)
}
