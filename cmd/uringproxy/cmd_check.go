package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/inspect"
	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/tls/certs"
)

func runCheck(env *environment, args []string) int {
	f := env.flags("check")
	var paths []string
	f.list("config", &paths)
	format := "text"
	f.choice("format", &format, "text", "json")
	strict := f.Bool("strict", false, "")
	offline := f.Bool("offline", false, "")
	if code, done := f.parse(args); done {
		return code
	}
	if len(paths) == 0 {
		return env.usage("check needs --config FILE; see: uringproxy help check")
	}
	c, faults := config.Load(paths)
	if len(faults) == 0 && !*offline {
		_, faults = c.Token() // what it is does not matter here
	}
	if len(faults) > 0 && format == "text" {
		return env.faulty(faults)
	}
	result := inspect.Refused(faults)
	if len(faults) == 0 {
		options := inspect.Options{Machine: inspect.ThisMachine()}
		if !*offline {
			options.Resolver = net.DefaultResolver
			options.Store, options.Now = new(certs.Store), time.Now()
		}
		result = inspect.Check(context.Background(), c, options)
	}
	if *strict && result.Counts.Warnings > 0 {
		result.OK = false
	}
	var err error
	if format == "json" {
		err = writeJSON(env.stdout, result)
	} else {
		env.checked(result)
	}
	switch {
	case err != nil:
		return env.failed(fmt.Errorf("write result: %w", err))
	case !result.OK:
		return exitFailed
	}
	return exitOK
}

// checked shows what is wrong, and last what there is.
func (env *environment) checked(r *inspect.Result) {
	paint := painter(env.stderr)
	for _, list := range [][]inspect.Finding{r.Faults, r.Warnings} {
		for i := range list {
			line := strings.Replace(list[i].String(), ": warning: ", ": "+paint(yellow, "warning")+": ", 1)
			fmt.Fprintf(env.stderr, "%s\n%s\n", line, list[i].Excerpt())
		}
	}
	if more := r.Counts.Warnings - len(r.Warnings); more > 0 {
		fmt.Fprintf(env.stderr, "and %s\n\n", words.Count(more, "more warning"))
	}
	there := thereIs(&r.Counts)
	warnings := ""
	if n := r.Counts.Warnings; n > 0 {
		warnings = "; " + words.Count(n, "warning")
	}
	switch {
	case r.Counts.Faults > 0:
		fmt.Fprintf(env.stderr, "%s%s\n", words.Count(r.Counts.Faults, "fault"), warnings)
	case !r.OK:
		fmt.Fprintf(env.stderr, "not ok: %s%s\n", there, warnings)
	default:
		fmt.Fprintf(env.stdout, "ok: %s%s\n", there, warnings)
	}
}

// thereIs lists what a configuration is made of. What few have is left out by the others.
func thereIs(c *inspect.Counts) string {
	list := []string{words.Count(c.Listeners, "listener")}
	if c.Routes > 0 || c.TCPRoutes+c.UDPRoutes == 0 {
		list = append(list, words.Count(c.Routes, "route"))
	}
	if c.TCPRoutes > 0 {
		list = append(list, words.Count(c.TCPRoutes, "tcp route"))
	}
	if c.UDPRoutes > 0 {
		list = append(list, words.Count(c.UDPRoutes, "udp route"))
	}
	return strings.Join(append(list, words.Count(c.Services, "service"), words.Count(c.Endpoints, "endpoint")), ", ")
}

// faulty shows faults with the lines that they are about, and how many there are.
func (env *environment) faulty(faults config.Faults) int {
	for _, f := range faults {
		fmt.Fprintf(env.stderr, "%s\n%s\n", f.Error(), f.Excerpt())
	}
	fmt.Fprintf(env.stderr, "%s in %s\n", words.Count(faults.Count(), "fault"), strings.Join(faults.Files(), ", "))
	return exitFailed
}
