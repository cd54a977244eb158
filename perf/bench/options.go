package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/internal/suggest"
)

// Defaults of Options.
const (
	DefaultRounds = 9
	defaultLength = time.Second
)

// Limits of Options, so that a slip of a finger does not take a week.
const (
	maxRounds = 1000
	maxLength = time.Hour
	maxConns  = 1 << 20
)

// Options say what to measure. The zero value measures the usual scenarios with all proxies that are found.
type Options struct {
	Peers     map[string]string // paths of programs, by their names; what is not there is looked for on PATH
	Only      []string          // proxies to measure; empty: all that are found
	Scenarios []string          // names of scenarios, or "all"; empty: those that take little time
	Rounds    int               // 0: DefaultRounds
	Length    time.Duration     // of a phase; 0: what suits the scenario
	Conns     int               // connections; 0: what the scenario says
	ProxyCore int               // core of the proxies; -1: chosen
	LoadCore  int               // core of everything else; -1: chosen

	KeepConfigs string // folder in which all configurations are left behind; empty: none
	Command     string // how all this was asked for, for the reader of the results
	Version     string // of this program
	// Progress is told of each step; nil: nobody wants to know.
	Progress func(Step)

	siblings bool          // the two cores are threads of one
	ready    time.Duration // how long a proxy may take to start; 0: readyLimit
	trial    bool          // nobody reads the figures: few routes, and nothing rests for their sake
}

// Step is a part of the work that begins.
type Step struct {
	Scenario, Peer string
	Round          int // from 1 on; 0: starting and warming up
	Rounds         int
	Done, Total    int // steps so far, and in all
}

// UsageError is an error of whoever chose the options.
type UsageError struct{ text string }

func (e *UsageError) Error() string { return e.text }

func usage(format string, args ...any) error { return &UsageError{fmt.Sprintf(format, args...)} }

// SplitPeer reads a peer as it is given on the command line: NAME=PATH.
func SplitPeer(text string) (name, path string, err error) {
	name, path, found := strings.Cut(text, "=")
	if !found || name == "" || path == "" {
		return "", "", usage("found %q, expected NAME=PATH such as nginx=/opt/nginx/sbin/nginx", text)
	}
	if !slices.Contains(programNames(), name) {
		return "", "", unknown("peer", name, programNames())
	}
	return name, path, nil
}

func unknown(what, word string, known []string) error {
	hint := "there are: " + strings.Join(known, ", ")
	if near := suggest.Nearest(word, known); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	return usage("there is no %s %q; %s", what, word, hint)
}

// Check is an error if the options make no sense.
func (o Options) Check() error { return o.check() }

// check finds what makes no sense, and fills in what was left open.
func (o *Options) check() error {
	if o.Rounds == 0 {
		o.Rounds = DefaultRounds
	}
	switch {
	case o.Rounds < 1 || o.Rounds > maxRounds:
		return usage("%d rounds: expected 1 to %d", o.Rounds, maxRounds)
	case o.Length < 0 || o.Length > maxLength || o.Length > 0 && o.Length < 100*time.Millisecond:
		return usage("phases of %s: expected 0.1 to %.0f seconds", o.Length, maxLength.Seconds())
	case o.Conns < 0 || o.Conns > maxConns:
		return usage("%d connections: expected 1 to %d", o.Conns, maxConns)
	}
	for _, name := range o.Only {
		if !slices.Contains(kindNames(), name) {
			return unknown("proxy", name, kindNames())
		}
		if strings.HasPrefix(name, baseProgram+"-") && o.Peers[baseProgram] == "" {
			return usage("%s needs the other build: give it with --peer %s=PATH", name, baseProgram)
		}
	}
	for name, path := range o.Peers {
		if _, _, err := SplitPeer(name + "=" + path); err != nil {
			return err
		}
	}
	if _, err := choose(o.Scenarios); err != nil {
		return err
	}
	return o.checkCores()
}

// checkCores chooses the cores that were left open: the first one of ours for the proxies, and for the load the next
// one that is no thread of the same.
func (o *Options) checkCores() error {
	cores, err := usableCores()
	if err != nil {
		return err
	}
	if o.ProxyCore < 0 {
		o.ProxyCore = apartFrom(o.LoadCore, cores, siblings)
	}
	if o.LoadCore < 0 {
		o.LoadCore = apartFrom(o.ProxyCore, cores, siblings)
	}
	for flag, core := range map[string]int{"--proxy-core": o.ProxyCore, "--load-core": o.LoadCore} {
		if !slices.Contains(cores, core) {
			return usage("%s: core %d is none of those that this process may use, %v; choose one of them", flag, core,
				cores)
		}
	}
	o.siblings = o.ProxyCore != o.LoadCore && slices.Contains(siblings(o.ProxyCore), o.LoadCore)
	return nil
}

// apartFrom is the first core that is neither other nor a thread of the same one; if there is none, one that is not
// other; and if there is none, other.
func apartFrom(other int, cores []int, siblings func(int) []int) int {
	choice := cores[0]
	for _, core := range slices.Backward(cores) {
		if core != other {
			choice = core
		}
	}
	together := siblings(other)
	for _, core := range cores {
		if core != other && !slices.Contains(together, core) {
			return core
		}
	}
	return choice
}

// usableCores are those that the kernel lets this process run on.
func usableCores() (cores []int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("ask for usable cores: %w", err)
	}
	for core := range len(set) * 64 {
		if set.IsSet(core) {
			cores = append(cores, core)
		}
	}
	return cores, nil
}
