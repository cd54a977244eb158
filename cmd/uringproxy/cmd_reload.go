package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/internal/words"
)

func runReload(env *environment, args []string) int {
	f := env.flags("reload")
	to := f.process()
	if code, done := f.parse(args); done {
		return code
	}
	c, err := to.client()
	if err != nil {
		return env.failed(err)
	}
	done, err := c.Reload(context.Background())
	if err != nil {
		return to.unanswered(err)
	}
	if !done.Reload.OK {
		writeFaults(env.stderr, &done.Reload)
		fmt.Fprintf(env.stderr, "not reloaded: %s; generation %d of %s goes on serving\n",
			printable(done.Reload.Error), done.Config.Generation, printable(done.Config.Source))
		return exitFailed
	}
	fmt.Fprintf(env.stdout, "reloaded in %s: generation %d of %s, %s\n", rounded(done.Reload.Seconds),
		done.Config.Generation, printable(done.Config.Source), contents(&done.Config))
	if waiting := done.Config.Waiting; len(waiting) > 0 {
		fmt.Fprintf(env.stdout, "waits for the next start: %s\n", printable(strings.Join(waiting, ", ")))
	}
	return exitOK
}

// writeFaults shows the faults because of which a reload failed.
func writeFaults(w io.Writer, r *admin.Reload) {
	for _, f := range r.Faults {
		fmt.Fprintf(w, "%s\n%s\n", printable(f.Text), printableLines(f.Excerpt))
	}
	if more := r.FaultsFound - len(r.Faults); more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
}

// contents says in a few words what a configuration has.
func contents(c *admin.Config) string {
	all := []string{words.Count(len(c.Listeners), "listener"), words.Count(c.Routes, "route")}
	if c.TCPRoutes > 0 {
		all = append(all, words.Count(c.TCPRoutes, "tcp route"))
	}
	if c.UDPRoutes > 0 {
		all = append(all, words.Count(c.UDPRoutes, "udp route"))
	}
	return strings.Join(append(all, words.Count(c.Services, "service")), ", ")
}

// rounded is a time span as people want to read it.
func rounded(seconds float64) time.Duration {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d >= time.Second:
		return d.Round(time.Second)
	case d >= time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(time.Microsecond)
}
