package main

import (
	"fmt"
	"strings"

	"github.com/uringproxy/uringproxy/config"
)

func runCheck(env *environment, args []string) int {
	f := env.flags("check")
	var paths []string
	f.list("config", &paths)
	if code, done := f.parse(args); done {
		return code
	}
	if len(paths) == 0 {
		return env.usage("check needs --config FILE; see: uringproxy help check")
	}
	c, faults := config.Load(paths)
	if len(faults) > 0 {
		return env.faulty(faults)
	}
	endpoints := 0
	for _, s := range c.Services {
		endpoints += len(s.Endpoints)
	}
	fmt.Fprintf(env.stdout, "ok: %s\n", strings.Join([]string{
		count(len(c.Listeners), "listener"), count(len(c.Routes), "route"), count(len(c.Services), "service"),
		count(endpoints, "endpoint"),
	}, ", "))
	return exitOK
}

// faulty shows faults with the lines that they are about, and how many there are.
func (env *environment) faulty(faults config.Faults) int {
	for _, f := range faults {
		fmt.Fprintf(env.stderr, "%s\n%s\n", f.Error(), f.Excerpt())
	}
	fmt.Fprintf(env.stderr, "%s in %s\n", count(faults.Count(), "fault"), strings.Join(faults.Files(), ", "))
	return exitFailed
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
