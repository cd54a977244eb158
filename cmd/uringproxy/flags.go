package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// flags is a command's flag set, with errors that help.
type flags struct {
	*flag.FlagSet
	env *environment
}

func (env *environment) flags(name string) *flags {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	return &flags{set, env}
}

// parse reads args, which must be flags only. When the command is not to go on, done is true and code the exit code.
func (f *flags) parse(args []string) (code int, done bool) {
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return runHelp(f.env, []string{f.Name()}), true
	case err != nil:
		return f.explain(err), true
	case f.NArg() > 0:
		return f.stray(f.Arg(0)), true
	}
	return exitOK, false
}

// parseMixed is parse for a command that takes other arguments too, which may stand among the flags.
func (f *flags) parseMixed(args []string) (others []string, code int, done bool) {
	for {
		if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
			return nil, runHelp(f.env, []string{f.Name()}), true
		} else if err != nil {
			return nil, f.explain(err), true
		}
		if f.NArg() == 0 {
			return others, exitOK, false
		}
		others, args = append(others, f.Arg(0)), f.Args()[1:]
	}
}

// explain translates the flag package's errors, which name flags with one hyphen and suggest nothing.
func (f *flags) explain(err error) int {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		return f.env.unknown("flag", "--"+name, f.known())
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: -"); ok {
		return f.env.usage("the flag --%s needs a value; see: uringproxy help %s", name, f.Name())
	}
	return f.env.usage("%s; see: uringproxy help %s", strings.Replace(text, " for flag -", " for --", 1), f.Name())
}

// dashed is a flag as it is written.
func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

func (f *flags) known() (all []string) {
	f.VisitAll(func(d *flag.Flag) { all = append(all, dashed(d.Name)) })
	return all
}

// stray reports an argument that no flag takes.
func (f *flags) stray(arg string) int {
	hint := fmt.Sprintf("see: uringproxy help %s", f.Name())
	switch {
	case f.Lookup(arg) != nil:
		hint = fmt.Sprintf("did you mean --%s?", arg)
	case strings.HasSuffix(arg, ".toml") && f.Lookup("config") != nil:
		hint = fmt.Sprintf("did you mean --config %s?", arg)
	}
	return f.env.usage("unexpected argument %q; %s", arg, hint)
}

// choice defines a flag that takes one of options. Left out, it is "".
func (f *flags) choice(name string, to *string, options ...string) {
	f.Func(name, "", func(s string) error {
		if !slices.Contains(options, s) {
			return fmt.Errorf("choose one of %s", strings.Join(options, ", "))
		}
		*to = s
		return nil
	})
}

// list defines a flag that may be given several times.
func (f *flags) list(name string, to *[]string) {
	f.Func(name, "", func(s string) error {
		if s == "" {
			return errors.New("the value is empty")
		}
		*to = append(*to, s)
		return nil
	})
}

// separated defines a flag that may be given several times, and takes several values with commas between them.
func (f *flags) separated(name string, to *[]string) {
	f.Func(name, "", func(s string) error {
		for value := range strings.SplitSeq(s, ",") {
			if value = strings.TrimSpace(value); value == "" {
				return errors.New("a value is empty")
			}
			*to = append(*to, value)
		}
		return nil
	})
}
