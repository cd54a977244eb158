package bench

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/peer"
	"github.com/uringproxy/uringproxy/perf/result"
)

const (
	quietLimit  = 10 * time.Second // for what a proxy has left to do after a phase
	quietSample = 200 * time.Millisecond

	changesPerSecond = 10
	streams          = 16
	// changingShare is the part of what a proxy can do at most that it is asked for while it changes.
	changingShare = 0.6
)

// reloading is the scenario of a configuration that changes under load. A round is a phase without changes and one with
// ten a second, both at the same constant rate; what counts is the p99 of the second divided by that of the first.
//
// In both the same is written and asked for, in the first of them to a file that the proxy does not read. A change
// takes one of the unrelated routes away and adds another; in the second half of the rounds it also gives the loaded
// route the other of two services. Whether a change is live is found out by asking for the new route. Streamed
// responses run beside the requests and are to live through everything.
type reloading struct{ profile }

func reloadUnderLoad() scenario {
	return &reloading{profile{
		name: "reload-under-load", title: "p99 while the configuration changes, divided by p99 without changes",
		unit: result.P99Ratio, conns: 64, routes: 10_000, length: 10 * time.Second, extra: true, changing: true,
	}}
}

// reloads is what the rounds of a proxy add up to.
type reloads struct {
	changes
	after     []float64 // of each round, liveAfter
	without   []float64 // of each round, p99 without changes in ms
	extra     time.Duration
	dropped   int
	lost      int     // requests
	memory    float64 // MiB, the most that was seen
	reconnect int
}

func (s *reloading) words(o *Options) string {
	return fmt.Sprintf("%s and %d streams, %.0f %% of the proxy's maximum, %d changes a second among %s, %s with and "+
		"as long without", words.GroupedCount(s.connsOf(o), "connection"), streams, 100*changingShare, changesPerSecond,
		words.GroupedCount(s.routes, "route"), rounds(o, s.lengthOf(o)))
}

func (s *reloading) prepare(ctx context.Context, b *bench, t *target) (err error) {
	if err := t.start(ctx, b); err != nil {
		return err
	}
	t.changer = &changer{t.kind, t.site, t.process, time.Second / changesPerSecond}
	if t.loader, err = b.startLoader(t, load.Config{Conns: s.connsOf(&b.o), Streams: streams}); err != nil {
		return err
	}
	if err := b.calibrate(ctx, t, min(s.lengthOf(&b.o), time.Second), changingShare); err != nil {
		return err
	}
	_, err = b.warm(ctx, t, t.rate, min(s.lengthOf(&b.o), time.Second))
	return err
}

func (s *reloading) round(ctx context.Context, b *bench, t *target) error {
	length := s.lengthOf(&b.o)
	switching := len(t.rounds) >= (b.o.Rounds+1)/2
	allowed := serviceNames[t.site.loaded:][:1]
	if _, err := b.warm(ctx, t, t.rate, settling); err != nil {
		return err
	}
	var without, with *measured
	err := beside(ctx, func(ctx context.Context) error {
		return t.changer.rehearse(ctx, length)
	}, func() (err error) {
		without, err = b.measure(ctx, t, load.Phase{Rate: t.rate, Length: length, Services: allowed})
		return err
	})
	if err != nil {
		return err
	}
	if switching {
		allowed = serviceNames
	}
	var made changes
	err = beside(ctx, func(ctx context.Context) (err error) {
		made, err = t.changer.run(ctx, length, switching)
		return err
	}, func() (err error) {
		with, err = b.measure(ctx, t, load.Phase{Rate: t.rate, Length: length, Services: allowed})
		return err
	})
	if err != nil {
		return err
	}
	left, err := t.settle(ctx, &made)
	if err != nil {
		return err
	}
	t.reloads.add(&made, without, with, left)
	t.notes = t.reloads.words()
	with.round = together(&without.round, &with.round)
	return t.add(with, float64(with.load.P99)/math.Max(float64(without.load.P99), 1))
}

// together is a round of two phases. What disturbed one of them, or went wrong in it, counts; the rest is that of the
// second.
func together(without, with *result.Round) result.Round {
	r := *with
	r.Foreign = max(with.Foreign, without.Foreign)
	r.LoadForeign = max(with.LoadForeign, without.LoadForeign)
	r.P99Before, r.Lag99Before = without.P99, without.Lag99
	r.Errors += without.Errors
	r.Samples = slices.Concat(without.Samples, with.Samples)
	return r
}

// beside measures while work goes on, which ends early when the measurement fails.
func beside(ctx context.Context, work func(context.Context) error, measure func() error) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- work(inner) }()
	err := measure()
	if err != nil {
		cancel()
		<-done
		return err
	}
	return errors.Join(err, <-done)
}

// settle waits until the last change is live and the proxy has nothing more to do, and tells how much that was.
func (t *target) settle(ctx context.Context, made *changes) (left time.Duration, err error) {
	begin, err := peer.CPUTime(t.process.Pid())
	if err != nil {
		return 0, t.fate(err)
	}
	if made.repeated, err = t.changer.awaitLast(ctx); err != nil {
		return 0, err
	}
	deadline := time.Now().Add(quietLimit)
	for last := begin - time.Hour; time.Now().Before(deadline); {
		now, err := peer.CPUTime(t.process.Pid())
		if err != nil {
			return 0, t.fate(err)
		}
		left = now - begin
		if now-last < quietSample/20 {
			break
		}
		last = now
		if err := pause(ctx, quietSample); err != nil {
			return 0, err
		}
	}
	return left, nil
}

// add adds a round. What a phase with changes cost more than the one before, whose load was the same, is due to them,
// and so is what was left to do.
func (r *reloads) add(made *changes, without, with *measured, left time.Duration) {
	r.written += made.written
	r.live += made.live
	r.repeated += made.repeated
	if made.live > 0 {
		r.after = append(r.after, ms(made.liveAfter))
	}
	r.without = append(r.without, without.round.P99)
	r.extra += time.Duration((with.round.CPU-without.round.CPU)*1e9) + left
	r.dropped += without.load.Dropped + with.load.Dropped
	r.lost += lost(&without.load.Errors) + lost(&with.load.Errors)
	r.reconnect += with.load.Reconnects
	r.memory = max(r.memory, with.round.Memory)
}

// lost is how many requests had no connection, or one that ended before they were answered.
func lost(e *load.Errors) int { return e.Lost + e.Connect }

// figures are what programs are to know.
func (r *reloads) figures() *result.Changes {
	return &result.Changes{Written: r.written, Live: r.live, Dropped: r.dropped, Lost: r.lost}
}

// words tell what is behind the ratio.
func (r *reloads) words() []string {
	late := "none was live before the next"
	if r.live > 0 {
		late = fmt.Sprintf("%d live before the next, after %.1f ms", r.live, result.SpreadOf(r.after).Median)
	}
	parts := []string{
		fmt.Sprintf("p99 without changes %.2f ms", result.SpreadOf(r.without).Median),
		fmt.Sprintf("%s: %s; %.2f ms of CPU time each", words.GroupedCount(r.written, "change"), late,
			ms(r.extra)/float64(max(r.written, 1))),
		fmt.Sprintf("%s dropped, %s lost, %s closed, %.0f MiB at the most", words.GroupedCount(r.dropped, "stream"),
			words.GroupedCount(r.lost, "request"), words.GroupedCount(r.reconnect, "connection"), r.memory),
	}
	if r.repeated > 0 {
		parts = append(parts, fmt.Sprintf("the last change of a phase had to be asked for again %s",
			words.GroupedCount(r.repeated, "time")))
	}
	return parts
}
