// Command uringproxy is a reverse proxy for Linux. This package owns the command line: arguments, help texts, exit
// codes and how faults look on a terminal. What the commands do is elsewhere.
//
// It imports server, admin, config, inspect, engine/probe and, for bench, perf/bench, perf/report and perf/result;
// nothing imports it.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/uringproxy/uringproxy/internal/suggest"
)

// Exit codes, as "uringproxy help" documents them.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// command is one thing that the program can do.
type command struct {
	name    string
	summary string
	help    string
	run     func(env *environment, args []string) int
}

// environment is what a command may write to.
type environment struct{ stdout, stderr io.Writer }

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// commands in the order in which somebody new needs them.
func commands() []command {
	return []command{
		{"run", "start the proxy", helpRun, runRun},
		{"check", "find what is wrong with a configuration, or doubtful", helpCheck, runCheck},
		{"explain", "say which route a request takes, and why", helpExplain, runExplain},
		{"reload", "have a running process read its configuration again", helpReload, runReload},
		{"status", "what a running process does, and what became of reloads", helpStatus, runStatus},
		{"top", "watch a running process", helpTop, runTop},
		{"schema", "print a schema of the configuration for editors", helpSchema, runSchema},
		{"bench", "compare uringproxy with other proxies on this machine", helpBench, runBench},
		{"doctor", "say what this machine offers, and test it", helpDoctor, runDoctor},
		{"version", "print the version", helpVersion, runVersion},
		{"help", "explain a command", helpHelp, runHelp},
	}
}

// run is the program: it dispatches args and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	env := &environment{stdout, stderr}
	if len(args) == 0 {
		fmt.Fprint(stderr, overview())
		return exitUsage
	}
	name := args[0]
	switch name {
	case "-h", "-help", "--help":
		name = "help"
	case "-v", "-version", "--version":
		name = "version"
	}
	if c, ok := find(name); ok {
		return c.run(env, args[1:])
	}
	if strings.HasPrefix(name, "-") {
		return env.usage("the command comes before its flags, as in: uringproxy run %s", strings.Join(args, " "))
	}
	return env.unknown("command", name, names())
}

func find(name string) (command, bool) {
	for _, c := range commands() {
		if c.name == name {
			return c, true
		}
	}
	return command{}, false
}

func names() []string {
	var all []string
	for _, c := range commands() {
		all = append(all, c.name)
	}
	return all
}

// usage reports a call that cannot be understood.
func (env *environment) usage(format string, args ...any) int {
	fmt.Fprintf(env.stderr, "uringproxy: "+format+"\n", args...)
	return exitUsage
}

// unknown reports a word that is not among known, with the nearest that is.
func (env *environment) unknown(what, word string, known []string) int {
	if near := suggest.Nearest(word, known); near != "" {
		return env.usage("unknown %s %q; did you mean %q?", what, word, near)
	}
	return env.usage("unknown %s %q; there are: %s", what, word, strings.Join(known, ", "))
}

// failed reports an error of what was tried.
func (env *environment) failed(err error) int {
	fmt.Fprintf(env.stderr, "uringproxy: %v\n", err)
	return exitFailed
}
