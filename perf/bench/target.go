package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/perf/histogram"
	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/peer"
	"github.com/uringproxy/uringproxy/perf/result"
)

// readyLimit is how long a proxy may take to start and to read its configuration.
const readyLimit = 60 * time.Second

// target is one proxy in one scenario.
type target struct {
	kind    *kind
	program string
	site    *site
	process *peer.Process
	loader  *loader
	beside  *peer.Process // another load generator, whose time is ours; nil: there is none
	rate    int           // requests per second that it is asked for; 0: as many as it can
	maximum int           // that it answered, when it was asked for as many as it can

	rounds    []result.Round
	at        map[string][]result.Round // at the rates of other proxies
	found     []result.Round            // while its maximum was looked for
	latencies string                    // of all rounds
	forwards  string                    // how its requests differ from what they should be
	problem   string                    // why it takes part no longer
	doubt     string                    // why its figures must not be quoted, besides noise
	notes     []string
	changer   *changer
	reloads   reloads
	floods    floods
}

// start starts the proxy, waits until its newest route answers, and looks at what it makes of a request.
func (t *target) start(ctx context.Context, b *bench) (err error) {
	if err := t.kind.writeAll(t.site); err != nil {
		return err
	}
	t.process, err = b.group.Start(b.o.ProxyCore, exec.Command(t.program, t.kind.args(t.site)...))
	if err != nil {
		return err
	}
	limit := b.o.ready
	if limit == 0 {
		limit = readyLimit
	}
	if t.site.TCP() || t.site.UDP() {
		return t.process.Until(ctx, fmt.Sprintf("port %d", t.site.Port), limit, t.passes)
	}
	url := fmt.Sprintf("%s://127.0.0.1:%d%s", t.site.Scheme(), t.site.Port, load.AnswerPath)
	if err := t.process.Await(ctx, b.certificate.trust(), url, t.site.newest(), limit); err != nil {
		return err
	}
	t.forwards = t.forwarding(ctx, b.dialer(t.site))
	return nil
}

// fate is err, or, if the proxy has ended, why it did: that is the cause then.
func (t *target) fate(err error) error {
	select {
	case <-t.process.Ended:
		return t.process.Failure("ended under load")
	case <-time.After(time.Second): // it may just be ending
		return err
	}
}

// stopLoader ends the load, if there is any.
func (t *target) stopLoader() {
	t.loader.stop()
	t.loader = nil
}

// stop ends the load, and the proxy after it, which then has nothing to wait for.
func (t *target) stop() {
	t.stopLoader()
	if t.process != nil {
		t.process.Stop()
		t.process = nil
	}
}

// add adds a round with its cost.
func (t *target) add(m *measured, cost float64) (err error) {
	m.round.Cost = cost
	t.rounds = append(t.rounds, m.round)
	if t.latencies, err = histogram.Merge(t.latencies, m.load.Histogram); err != nil {
		return fmt.Errorf("add up latencies: %w", err)
	}
	return nil
}

// folder makes the target's folder: in that of the measurement, or where the user wants configurations kept.
func (b *bench) folder(s *profile, k *kind) (string, error) {
	dir := filepath.Join(b.group.Dir, s.name, k.name)
	if b.o.KeepConfigs != "" {
		dir = filepath.Join(b.o.KeepConfigs, s.name, k.name)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make folder: %w", err)
	}
	return filepath.Abs(dir)
}

// newTarget has a proxy take part in a scenario. It is not started yet.
func (b *bench) newTarget(s *profile, k *kind, program string) (*target, error) {
	dir, err := b.folder(s, k)
	if err != nil {
		return nil, err
	}
	port, err := peer.FreePort()
	if err != nil {
		return nil, err
	}
	t := &target{kind: k, program: program, site: newSite(s, &b.o), at: map[string][]result.Round{}}
	t.site.Dir, t.site.Port, t.site.Services = dir, port, servicesFor(s.wire, b.services)
	if k.module != nil && program != "" {
		t.site.Module, _ = k.module(program) // that there is none is told where it is needed
	}
	if t.site.TLS {
		if err := b.certificate.write(t.site); err != nil {
			return nil, err
		}
	}
	if b.o.KeepConfigs != "" {
		text, err := k.text(t.site)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "shown.txt"), []byte(text), 0o644)
		}
		if err != nil {
			return nil, fmt.Errorf("keep configuration: %w", err)
		}
	}
	return t, nil
}

// spareConns are connections besides those of the load: by which we look whether the proxy is ready, and those that are
// closed while new ones are opened.
const spareConns = 500

// trialRoutes are the most in a trial: with more, proxies take seconds to read them, and half a minute to change them.
const trialRoutes = 1000

// newSite is what proxies are configured to do in a scenario.
func newSite(s *profile, o *Options) *site {
	kept, routes := s.connsOf(o)+spareConns, s.routes
	if o.trial {
		routes = min(routes, trialRoutes)
	}
	return &site{
		Connections: kept + s.idleOf(o) + s.beside, Kept: kept, Changing: s.changing, count: routes,
		TLS: s.tls != plain, Tickets: s.tls == withTicket, Wire: s.wire,
	}
}

// calibrations is how often a maximum is looked for. The middle one counts.
const calibrations = 3

// calibrate finds out what the target can do at most, and has it asked for a share of that from now on.
func (b *bench) calibrate(ctx context.Context, t *target, length time.Duration, share float64) error {
	if _, err := b.warm(ctx, t, 0, length); err != nil {
		return err
	}
	var rates []float64
	for range calibrations {
		m, err := b.measure(ctx, t, load.Phase{Length: length, Services: serviceNames})
		if err != nil {
			return err
		}
		m.round.Cost = float64(m.round.Requests) / m.round.Seconds
		t.found = append(t.found, m.round)
		rates = append(rates, m.round.Cost)
	}
	t.maximum = int(result.SpreadOf(rates).Median)
	if t.rate = int(float64(t.maximum) * share); t.rate == 0 {
		return fmt.Errorf("%s a second at most: too few to ask for a part of them",
			words.GroupedCount(t.maximum, "request"))
	}
	return nil
}

// warm loads a target without counting.
func (b *bench) warm(ctx context.Context, t *target, rate int, length time.Duration) (*load.Result, error) {
	return t.loader.run(ctx, load.Phase{Rate: rate, Length: length, Services: serviceNames})
}
