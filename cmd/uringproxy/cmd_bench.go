package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/uringproxy/uringproxy/perf/bench"
	"github.com/uringproxy/uringproxy/perf/report"
	results "github.com/uringproxy/uringproxy/perf/result"
)

const helpBench = `uringproxy bench: compare uringproxy with other proxies on this machine

  uringproxy bench
  uringproxy bench --quick                       to see what it does
  uringproxy bench --peer traefik=/opt/traefik --html result.html
  uringproxy bench --show result.json --html result.html

Starts its own load generator and upstream on one core and uringproxy, with
either engine, and every nginx, haproxy, traefik, caddy and envoy that it finds
on another, with equivalent configurations, in turns; prints what each needs.
docs/bench.md says what is measured how, and when a figure is not to be quoted.

Flags:
  --scenario NAMES    such as http1-small,churn; "all"; or those that are short
  --only NAMES        proxies, as uringproxy-uring,nginx; without it, all
  --peer NAME=PATH    where a proxy is; repeatable; base is another uringproxy
  --rounds N          turns of each proxy, 9 if not said otherwise
  --seconds S         length of a turn, 1 if not said otherwise
  --quick             two rounds of a second, if not said otherwise
  --conns N           connections, instead of what the scenario has
  --proxy-core N      the proxies' core; without it, the first one
  --load-core N       everything else's core; without it, the second one
  --json FILE         write everything as JSON; - is the standard output
  --html FILE         write a page with everything
  --keep-configs DIR  leave the configurations there
  --list              list the scenarios, and measure nothing
  --show-configs      print the configurations, and measure nothing
  --show FILE         show a kept JSON file, and measure nothing

Exit codes: 0 measured, 1 uringproxy could not be, 2 a call without sense.
`

// benchCall is what the command line asks for.
type benchCall struct {
	bench.Options
	json, html, show  string
	list, showConfigs bool

	created []string // files that were not there before
}

// endings are the signals that end a benchmark with all that it started. SIGHUP is none where it is ignored, as nohup
// has it.
func endings() []os.Signal {
	all := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		all = append(all, syscall.SIGHUP)
	}
	return all
}

func runBench(env *environment, args []string) int {
	if len(args) > 0 && args[0] == bench.HelperArgument { // which signals end at once
		if err := bench.Help(args[1:], os.Stdin, env.stdout); err != nil {
			return env.failed(err)
		}
		return exitOK
	}
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	defer stop()
	call, code, done := env.benchCall(args)
	if done {
		return code
	}
	var run *results.Run
	var err error
	switch {
	case call.list:
		return env.listScenarios(call.Options)
	case call.showConfigs:
		text, err := bench.ShowConfigs(call.Options)
		if err != nil {
			return env.benchFailed(err)
		}
		fmt.Fprint(env.stdout, text)
		return exitOK
	case call.show != "":
		run, err = readRun(call.show)
	default:
		call.Command = commandLine(args)
		call.Version = versionText()
		defer call.removeEmpty()
		if err = call.Check(); err == nil {
			err = call.writable()
		}
		if err == nil {
			call.Progress = env.progress()
			run, err = bench.Run(ctx, call.Options)
			env.endProgress()
		}
	}
	if err == nil {
		err = env.writeRun(run, call)
	}
	if err != nil {
		return env.benchFailed(err)
	}
	if !bench.Measured(run) {
		return exitFailed
	}
	return exitOK
}

// benchCall reads the command line.
func (env *environment) benchCall(args []string) (call *benchCall, code int, done bool) {
	call = &benchCall{Options: bench.Options{Peers: map[string]string{}, ProxyCore: -1, LoadCore: -1}}
	f := env.flags("bench")
	f.Func("peer", "", func(s string) error {
		name, path, err := bench.SplitPeer(s)
		if err == nil {
			call.Peers[name] = path
		}
		return err
	})
	names := func(flag string, to *[]string) {
		f.Func(flag, "", func(s string) error {
			for name := range strings.SplitSeq(s, ",") {
				if name = strings.TrimSpace(name); name == "" {
					return errors.New("expected names with commas between")
				}
				*to = append(*to, name)
			}
			return nil
		})
	}
	names("only", &call.Only)
	names("scenario", &call.Scenarios)
	number := func(flag string, least int, to *int) {
		f.Func(flag, "", func(s string) (err error) {
			if *to, err = strconv.Atoi(s); err != nil || *to < least {
				return fmt.Errorf("expected a number from %d on", least)
			}
			return nil
		})
	}
	number("rounds", 1, &call.Rounds)
	number("conns", 1, &call.Conns)
	number("proxy-core", 0, &call.ProxyCore)
	number("load-core", 0, &call.LoadCore)
	f.Func("seconds", "", func(s string) error {
		seconds, err := strconv.ParseFloat(s, 64)
		if err != nil || !(seconds >= 0.1 && seconds <= 3600) {
			return errors.New("expected 0.1 to 3600")
		}
		call.Length = time.Duration(seconds * float64(time.Second))
		return nil
	})
	quick := f.Bool("quick", false, "")
	f.BoolVar(&call.list, "list", false, "")
	f.BoolVar(&call.showConfigs, "show-configs", false, "")
	f.StringVar(&call.KeepConfigs, "keep-configs", "", "")
	f.StringVar(&call.show, "show", "", "")
	f.StringVar(&call.json, "json", "", "")
	f.StringVar(&call.html, "html", "", "")
	if code, done := f.parse(args); done {
		return nil, code, true
	}
	if *quick {
		call.quick()
	}
	return call, exitOK, false
}

// quick shortens what was left open.
func (c *benchCall) quick() {
	if c.Rounds == 0 {
		c.Rounds = 2
	}
	if c.Length == 0 {
		c.Length = time.Second
	}
}

// benchFailed tells an error of whoever calls from one of the machine.
func (env *environment) benchFailed(err error) int {
	var wrong *bench.UsageError
	if errors.As(err, &wrong) {
		return env.usage("%v; see: uringproxy help bench", err)
	}
	return env.failed(err)
}

func (env *environment) listScenarios(o bench.Options) int {
	for _, s := range bench.List(o) {
		extra := ""
		if s.Extra {
			extra = "; only when asked for"
		}
		fmt.Fprintf(env.stdout, "%-18s %s\n%18s %s; in %s%s\n", s.Name, s.Title, "", s.Load, s.Unit, extra)
	}
	return exitOK
}

func readRun(path string) (*results.Run, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open result: %w", err)
	}
	defer f.Close()
	return report.Read(f)
}

// writeRun writes a run in all forms that are asked for: first as JSON, from which the others can be made. When one
// cannot be written, the others are. The table is left out where the JSON has its place.
func (env *environment) writeRun(run *results.Run, call *benchCall) error {
	var errs []error
	switch call.json {
	case "":
	case "-":
		errs = append(errs, report.JSON(env.stdout, run))
	default:
		errs = append(errs, writeTo(call.json, func(w io.Writer) error { return report.JSON(w, run) }))
	}
	if call.json != "-" {
		report.Table(env.stdout, run, columns(env.stdout))
	}
	if call.html != "" {
		errs = append(errs, writeTo(call.html, func(w io.Writer) error { return report.HTML(w, run) }))
	}
	return errors.Join(errs...)
}

// writable is an error if a file that is asked for cannot be written, before anybody waits for what goes into it.
func (c *benchCall) writable() error {
	for _, path := range []string{c.json, c.html} {
		if path == "" || path == "-" {
			continue
		}
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil {
			c.created = append(c.created, path)
		} else if errors.Is(err, fs.ErrExist) {
			f, err = os.OpenFile(path, os.O_WRONLY, 0)
		}
		if err != nil {
			return fmt.Errorf("write result: %w", err)
		}
		if err := f.Close(); err != nil {
			return fmt.Errorf("write result: %w", err)
		}
	}
	return nil
}

// removeEmpty removes the files that were created and into which nothing was written.
func (c *benchCall) removeEmpty() {
	for _, path := range c.created {
		if info, err := os.Stat(path); err == nil && info.Size() == 0 {
			_ = os.Remove(path) // what cannot be removed harms nobody
		}
	}
}

// writeTo writes a file.
func writeTo(path string, write func(w io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return errors.Join(write(f), f.Close())
}

// commandLine is the call as it can be typed again.
func commandLine(args []string) string {
	words := []string{"uringproxy", "bench"}
	for _, arg := range args {
		if arg == "" || strings.ContainsAny(arg, " \t\n'\"\\$&|;<>()*?[]#~`!{}") {
			arg = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}
