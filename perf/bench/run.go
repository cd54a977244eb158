package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/perf/peer"
	"github.com/uringproxy/uringproxy/perf/result"
)

// bench is a measurement that runs.
type bench struct {
	o           Options
	self        string
	group       *peer.Group
	entrants    []entrant
	services    []service
	certificate *certificate
	upstream    *peer.Process
	targets     []*target // of the scenario that runs
	done        int       // steps
	total       int
}

// entrant is a proxy that takes part, or would have if it could be found.
type entrant struct {
	kind    kind
	program string
	missing string // why it cannot; empty if it can
}

// Run measures. It returns when everything is measured or ctx ends, which is an error, and has left no process. What
// went wrong with a proxy is in its cells.
func Run(ctx context.Context, o Options) (*result.Run, error) {
	b, err := newBench(o)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(b.o.Scenarios)
	if err != nil {
		return nil, err
	}
	if err := raiseDescriptors(); err != nil {
		return nil, err
	}
	restore, err := pinSelf(b.o.LoadCore)
	if err != nil {
		return nil, err
	}
	defer restore()
	if b.group, err = peer.NewGroup("bench"); err != nil {
		return nil, err
	}
	defer b.group.Stop()
	started := time.Now()
	run := &result.Run{
		Command: o.Command, Version: o.Version, Started: started.UTC(), Machine: machine(&b.o), Notes: b.notes(),
	}
	for _, e := range b.entrants {
		p := result.Peer{Name: e.kind.name, Ours: e.kind.ours, Program: e.program}
		if e.missing == "" {
			p.Version = peer.Version(e.program, e.kind.version)
		}
		run.Peers = append(run.Peers, p)
	}
	if err := b.startUpstream(); err != nil {
		return nil, err
	}
	b.total = len(chosen) * len(b.entrants) * (b.o.Rounds + 1)
	for _, s := range chosen {
		done, err := b.scenario(ctx, s)
		if err != nil {
			return nil, err
		}
		run.Scenarios = append(run.Scenarios, *done)
	}
	run.Seconds = time.Since(started).Seconds()
	return run, nil
}

// newBench checks the options and finds the programs.
func newBench(o Options) (*bench, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	b := &bench{o: o, self: self}
	if b.certificate, err = newCertificate(); err != nil {
		return nil, err
	}
	for _, k := range kinds() {
		e := entrant{kind: k}
		if err := b.find(&e); err != nil {
			e.missing = err.Error()
		}
		asked := slices.Contains(o.Only, k.name) || len(o.Only) == 0 && o.Peers[k.program] != ""
		if asked || len(o.Only) == 0 && e.missing == "" {
			b.entrants = append(b.entrants, e)
		}
	}
	return b, nil
}

// find looks for the program of an entrant.
func (b *bench) find(e *entrant) (err error) {
	name := e.kind.program
	switch path := b.o.Peers[name]; {
	case path != "":
		e.program, err = exec.LookPath(path)
	case e.kind.ours:
		e.program = b.self
	case name == baseProgram:
		err = errors.New("not given")
	default:
		e.program, err = lookPath(name)
	}
	if err != nil {
		return fmt.Errorf("%s was not found (%w): give its path with --peer %s=PATH", name, err, e.kind.program)
	}
	e.program, err = filepath.Abs(e.program) // the master of HAProxy starts itself again
	return err
}

// lookPath looks a program up on PATH, and where Debian has servers that are not on everybody's.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if err == nil {
			break
		}
		if found, e := exec.LookPath(filepath.Join(dir, name)); e == nil {
			path, err = found, nil
		}
	}
	return path, err
}

// notes are what a reader has to know who sees the figures.
func (b *bench) notes() (notes []string) {
	if b.o.ProxyCore == b.o.LoadCore {
		notes = append(notes, fmt.Sprintf("Only core %d was used: the proxies shared it with the load generator and "+
			"the upstream, so rates and latencies are those of all three together.", b.o.ProxyCore))
	}
	if b.o.siblings {
		notes = append(notes, fmt.Sprintf("Cores %d and %d are two threads of one: what the load generator and the "+
			"upstream do slows the proxies down.", b.o.ProxyCore, b.o.LoadCore))
	}
	if peer.IRQApart() {
		notes = append(notes, "This kernel accounts interrupts to nobody: no proxy's CPU time has what the kernel "+
			"does in them (softirq), and it does not count as others' use of a core.")
	}
	if len(b.o.Only) > 0 {
		return notes
	}
	var missing []string
	for _, k := range kinds() {
		absent := !slices.ContainsFunc(b.entrants, func(e entrant) bool { return e.kind.name == k.name })
		if absent && k.program != baseProgram {
			missing = append(missing, k.name)
		}
	}
	if len(missing) > 0 {
		notes = append(notes, fmt.Sprintf("Not found on PATH, and so not compared: %s. --peer NAME=PATH says where "+
			"one is.", strings.Join(missing, ", ")))
	}
	return notes
}

// step tells what is done next.
func (b *bench) step(s *profile, t *target, round int) {
	if b.o.Progress != nil {
		b.o.Progress(Step{s.name, t.kind.name, round, b.o.Rounds, b.done, b.total})
	}
	b.done++
}

// scenario runs one scenario with all proxies.
func (b *bench) scenario(ctx context.Context, s scenario) (*result.Scenario, error) {
	b.targets = nil
	defer b.stopTargets()
	for i := range b.entrants {
		t, err := b.newTarget(s.about(), &b.entrants[i].kind, b.entrants[i].program)
		if err != nil {
			return nil, err
		}
		b.targets = append(b.targets, t)
		b.step(s.about(), t, 0)
		if t.problem = b.obstacle(s.about(), t, &b.entrants[i]); t.problem == "" {
			t.try(ctx, func() error { return s.prepare(ctx, b, t) })
		}
	}
	order := slices.Clone(b.targets)
	for round := 1; round <= b.o.Rounds; round++ {
		for _, t := range order {
			b.step(s.about(), t, round)
			t.try(ctx, func() error { return s.round(ctx, b, t) })
		}
		slices.Reverse(order) // so that nobody always has the same neighbours
	}
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	return b.conclude(s)
}

// obstacle says why a target cannot take part; empty if it can.
func (b *bench) obstacle(s *profile, t *target, e *entrant) string {
	if e.missing != "" {
		return e.missing
	}
	if s.changing && !t.kind.changes {
		return t.kind.name + " cannot be configured for this: the benchmark does not know how to change its routes " +
			"while it runs"
	}
	if s.tls != plain && !t.kind.speaksTLS(e.program) {
		return fmt.Sprintf("%s was built without TLS (%s %s does not say %s)", e.program, t.kind.program,
			t.kind.tls.argument, t.kind.tls.word)
	}
	if why := t.kind.unable(s.wire, e.program); why != "" {
		return t.kind.name + " cannot be configured for this: " + why
	}
	if err := descriptorsFor(t.site, s.connsOf(&b.o)); err != nil {
		return err.Error()
	}
	return ""
}

// try does a part of the work with a target that has had no problem. An error is its problem from then on.
func (t *target) try(ctx context.Context, work func() error) {
	if t.problem != "" || ctx.Err() != nil {
		return
	}
	if err := work(); err != nil {
		t.problem = strings.TrimSpace(err.Error())
		t.stop()
	}
}

func (b *bench) stopTargets() {
	for _, t := range b.targets {
		t.stop()
	}
}
