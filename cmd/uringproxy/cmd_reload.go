package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/admin"
	"github.com/uringproxy/uringproxy/config"
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
			done.Reload.Error, done.Config.Generation, done.Config.Source)
		return exitFailed
	}
	fmt.Fprintf(env.stdout, "reloaded in %s: generation %d of %s, %s\n", rounded(done.Reload.Seconds),
		done.Config.Generation, done.Config.Source, contents(&done.Config))
	if waiting := done.Config.Waiting; len(waiting) > 0 {
		fmt.Fprintf(env.stdout, "waits for the next start: %s\n", strings.Join(waiting, ", "))
	}
	return exitOK
}

// process is the running process that a command is about, by its admin listener.
type process struct {
	env    *environment
	addr   admin.Address // as the command line says
	paths  []string
	faults config.Faults // because of which the configuration does not tell the address
}

// process defines the flags that say which process is meant.
func (f *flags) process() *process {
	p := &process{env: f.env}
	f.Func("admin", "", func(s string) (err error) {
		p.addr, err = admin.ParseAddress(s)
		return err
	})
	f.list("config", &p.paths)
	return p
}

// client finds out where the process answers: the command line goes before the configuration, and that before the
// default.
func (p *process) client() (*admin.Client, error) {
	addr := p.addr
	if addr == "" && len(p.paths) > 0 {
		var a config.Admin
		a, p.faults = config.FindAdmin(p.paths)
		switch {
		case len(p.faults) > 0: // most keep the default
		case a.Off:
			return nil, errors.New(`the configuration turns the admin listener off (admin.address = "off"); ` +
				`without it, SIGHUP makes a process reload, and its log tells the rest`)
		case a.Unix != "":
			addr = admin.Address("unix:" + a.Unix)
		default:
			addr = admin.Address(a.Addr.String())
		}
	}
	if addr == "" {
		addr = admin.DefaultAddress
	}
	return admin.NewClient(addr), nil
}

// unanswered reports that the process could not be asked.
func (p *process) unanswered(err error) int {
	var nobody *admin.Unreachable
	switch {
	case len(p.faults) > 0:
		p.env.faulty(p.faults)
		err = fmt.Errorf("%w; and because of the faults it is not known where else: "+
			"name the admin listener with --admin ADDRESS", err)
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w; ask as the user that uringproxy runs as", err)
	case errors.As(err, &nobody):
		err = fmt.Errorf("%w; is uringproxy running? its configuration may have another address in [admin], "+
			"or \"off\": then name it with --admin ADDRESS or --config FILE", err)
	}
	return p.env.failed(err)
}

// writeFaults shows the faults because of which a reload failed.
func writeFaults(w io.Writer, r *admin.Reload) {
	for _, f := range r.Faults {
		fmt.Fprintf(w, "%s\n%s\n", f.Text, f.Excerpt)
	}
	if more := r.FaultsFound - len(r.Faults); more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
}

// contents says in a few words what a configuration has.
func contents(c *admin.Config) string {
	return strings.Join([]string{
		count(len(c.Listeners), "listener"), count(c.Routes, "route"), count(c.Services, "service"),
	}, ", ")
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
