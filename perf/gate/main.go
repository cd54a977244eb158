// Command gate holds a build to PERFORMANCE_CONTRACT.md: to every row that must be timed. It builds the program from
// these sources and from an earlier commit, runs `uringproxy bench` with both and with the proxies that are found, and
// compares what was measured with the limits, one line each. Or it judges results that were kept.
//
// The limits are in contract.go, and a test compares them with the document. Judging is pure (judge.go), so that
// each outcome is tested without measuring anything. It touches neither the repository nor the files in work.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

const help = `usage: go run ./perf/gate [OPTIONS]

Compares this build with PERFORMANCE_CONTRACT.md. Run it in the repository, on a machine that has nothing else to do.
It ends with code 0 when no row fell short, 1 when one did, 2 when it could not measure. go run and make have codes
of their own, so the last line says it too: "gate: passed", "gate: fell short in rows ...", "gate: nothing measured".

  --base COMMIT|PATH   what row 13 compares with: a commit or tag, or a program; "none" for nothing
                       (default: the newest release before this commit, else the commit before)
  --scenario NAMES     as uringproxy bench has them (default: all)
  --rounds N           as uringproxy bench has it
  --seconds S          as uringproxy bench has it
  --only NAMES         as uringproxy bench has it
  --peer NAME=PATH     another proxy's program; can be repeated
  --keep FILE.json     where to leave what was measured; show it with uringproxy bench --show
  --strict             noise is a failure too, and so is what could have been measured and was not
  --results FILE.json  judge this and measure nothing; can be repeated, the last that has a scenario counts
  --match FILE         row 11 from the output of go test -bench Match ./routing, not measured anew; "none" for none
`

// options are what the command line says.
type options struct {
	base, scenarios, only, keep, match string
	rounds                             int
	seconds                            float64
	strict                             bool
	peers, results                     []string
}

func main() {
	ctx, stop := untilSignal()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(finish(err, os.Stdout, os.Stderr))
}

// untilSignal is a context that ends when somebody wants us to.
func untilSignal() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "uringproxy-gate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	matches, err := o.matches(ctx, progress)
	if err != nil {
		return err
	}
	files := o.results
	if len(files) == 0 {
		files = []string{firstOf(o.keep, filepath.Join(dir, "result.json"))}
		if err := o.measureBuilds(ctx, dir, files[0], progress); err != nil {
			return err
		}
	}
	runs, err := readRuns(files)
	if err != nil {
		return err
	}
	return show(out, judge(runs, matches), o.strict)
}

// matches are what row 11 is judged by: measured, unless there is a file, or other results are judged.
func (o *options) matches(ctx context.Context, progress io.Writer) ([]match, error) {
	switch {
	case o.match == none || o.match == "" && len(o.results) > 0:
		return nil, nil
	case o.match != "":
		return matchesOf(o.match)
	}
	return measureMatches(ctx, matchCommand, progress)
}

// measureBuilds builds both programs in dir and measures them.
func (o *options) measureBuilds(ctx context.Context, dir, file string, progress io.Writer) error {
	ours, err := buildHere(ctx, ".", dir)
	if err != nil {
		return err
	}
	base, err := buildBase(ctx, ".", o.base, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "this build: %s\n", ours.from)
	if base != nil {
		fmt.Fprintf(progress, "compared with: %s\n", base.from)
	}
	return o.measure(ctx, ours, base, file, progress)
}

// parse reads the command line.
func parse(args []string, progress io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("gate", flag.ContinueOnError)
	f.SetOutput(progress)
	f.Usage = func() { fmt.Fprint(progress, help) }
	f.StringVar(&o.base, "base", "", "")
	f.StringVar(&o.scenarios, "scenario", "all", "")
	f.StringVar(&o.only, "only", "", "")
	f.StringVar(&o.keep, "keep", "", "")
	f.StringVar(&o.match, "match", "", "")
	f.IntVar(&o.rounds, "rounds", 0, "")
	f.Float64Var(&o.seconds, "seconds", 0, "")
	f.BoolVar(&o.strict, "strict", false, "")
	f.Func("peer", "", func(text string) error { o.peers = append(o.peers, text); return nil })
	f.Func("results", "", func(text string) error { o.results = append(o.results, text); return nil })
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("found %q, expected options only; see --help", strings.Join(f.Args(), " "))
	}
	return o, nil
}
