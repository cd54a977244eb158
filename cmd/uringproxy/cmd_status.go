package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/internal/words"
)

func runStatus(env *environment, args []string) int {
	f := env.flags("status")
	to := f.process()
	format := "text"
	f.choice("format", &format, "text", "json")
	if code, done := f.parse(args); done {
		return code
	}
	c, err := to.client()
	if err != nil {
		return env.failed(err)
	}
	s, err := c.Status(context.Background())
	if err != nil {
		return to.unanswered(err)
	}
	if format == "json" {
		err = writeJSON(escaped{env.stdout}, s)
	} else {
		err = writeStatus(env.stdout, s)
	}
	switch {
	case err != nil:
		return env.failed(fmt.Errorf("write status: %w", err))
	case s.Refused != nil:
		return exitFailed
	}
	return exitOK
}

// writeStatus writes s for people: a line for each thing, and at the end, where it is seen, why the files are not what
// is in force.
func writeStatus(w io.Writer, s *admin.Status) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	c, t := &s.Config, &s.Traffic
	fmt.Fprintf(&b, "uringproxy %s, process %d, %s for %s\n\n", printable(s.Version), s.PID, printable(s.State),
		rounded(s.Uptime))
	line("engine", "%s %s, %s", s.Engine.Name, s.Engine.Tier, words.Count(s.Engine.Shards, "shard"))
	line("config", "%s, generation %d, in force for %s", c.Source, c.Generation, rounded(c.Age))
	line("", "%s", contents(c))
	for i, l := range c.Listeners {
		spoken := ""
		if l.Protocol != "http" && l.Protocol != "" { // an older process says nothing
			spoken = ", " + l.Protocol
		}
		line([]string{"listeners", ""}[min(i, 1)], "%s on %s%s", l.Name, l.Address, spoken)
	}
	if s.TLS != nil {
		writeTLS(line, s.TLS)
	}
	line("reloads", "%s", reloads(s))
	if len(c.Waiting) > 0 {
		line("waiting", "%s: changed, and in force from the next start on", strings.Join(c.Waiting, ", "))
	}
	line("clients", "%d connected, %d in all, %d refused", t.Connections, t.Accepted, t.Refused)
	line("requests", "%d running, %d finished, %s", t.Running, t.Requests, words.Count(int(t.Errors), "error"))
	line("duration", "%s", percentiles(&t.Duration))
	line("own time", "%s", percentiles(&t.Own))
	if t.Passing != nil {
		writePassing(line, t.Passing)
	}
	line("upstreams", "%s, %d idle", words.Count(int(t.Upstream), "connection"), t.UpstreamsIdle)
	for i := range t.Shards {
		line([]string{"shards", ""}[min(i, 1)], "%s", shard(&t.Shards[i]))
	}
	line("snapshots", "%s in use by shard", snapshots(t.Snapshots))
	if r := s.Refused; r != nil {
		writeRefused(&b, s, r)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// percentiles are those of all requests since the start.
func percentiles(p *admin.Percentiles) string {
	if p.Count == 0 {
		return "of no request yet"
	}
	return fmt.Sprintf("p50 %s, p90 %s, p99 %s, p99.9 %s, max %s", brief(p.P50), brief(p.P90), brief(p.P99),
		brief(p.P999), brief(p.Max))
}

// shard is what one shard does, and how much work that is for its loop.
func shard(s *admin.Shard) string {
	text := fmt.Sprintf("%d: %d connected, %s", s.ID, s.Connections, words.Count(int(s.Requests), "request"))
	e := &s.Engine
	return fmt.Sprintf("%s; %s events a turn, %s system calls a request, buffers %s of %s", text,
		ratio(e.Events, e.Turns), ratio(e.Syscalls, s.Requests), size(e.BuffersHeld), size(e.Buffers))
}

// snapshots are the numbers of all shards; a question mark for one that is not known.
func snapshots(all []*int64) string {
	numbers := make([]string, len(all))
	for i, n := range all {
		if numbers[i] = "?"; n != nil {
			numbers[i] = strconv.FormatInt(*n, 10)
		}
	}
	return strings.Join(numbers, " ")
}

func reloads(s *admin.Status) string {
	text := "none"
	if r := s.LastReload; r != nil {
		outcome := "done"
		if !r.OK {
			outcome = "FAILED"
		}
		text = fmt.Sprintf("%d, %d failed; the last one %s %s ago by %s", s.Config.Reloads, s.Config.ReloadsFailed,
			outcome, rounded(s.Uptime-r.At.Sub(s.Started).Seconds()), r.Trigger)
	}
	if s.Config.Watching {
		return text + "; the files are watched"
	}
	return text
}

func writeRefused(b *strings.Builder, s *admin.Status, r *admin.Reload) {
	fmt.Fprintf(b, "\nNOT IN FORCE is what the files say: the reload %s ago failed, generation %d goes on serving\n\n",
		rounded(s.Uptime-r.At.Sub(s.Started).Seconds()), s.Config.Generation)
	writeFaults(b, r)
	if r.FaultsFound == 0 {
		fmt.Fprintf(b, "%s\n", printable(r.Error))
	}
}
