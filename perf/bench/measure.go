package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/peer"
	"github.com/uringproxy/uringproxy/perf/result"
)

// measured is a phase of load with what the proxy used for it. The round has no cost yet.
type measured struct {
	load      *load.Result
	round     result.Round
	anonymous int64 // bytes, at the end
}

// used is the processor time used so far.
type used struct {
	at                  time.Time
	proxy, ours         time.Duration // of the proxy; of load generator, upstream and benchmark
	proxyCore, loadCore time.Duration // of all together, by core,
	proxyIRQ, loadIRQ   time.Duration // and what of it is in nobody's time
}

func (b *bench) used(t *target) (u used, err error) {
	u.at = time.Now()
	if u.proxy, err = peer.CPUTime(t.process.Pid()); err != nil {
		return u, t.fate(err)
	}
	for _, p := range []*peer.Process{b.upstream, t.loader.process, t.beside} {
		if p == nil {
			continue
		}
		d, err := peer.CPUTime(p.Pid())
		if err != nil {
			return u, fmt.Errorf("load generator or upstream: %w", err)
		}
		u.ours += d
	}
	own, err := ownTime()
	if err != nil {
		return u, err
	}
	u.ours += own
	if u.proxyCore, u.proxyIRQ, err = peer.BusyTime(b.o.ProxyCore); err != nil {
		return u, err
	}
	u.loadCore, u.loadIRQ, err = peer.BusyTime(b.o.LoadCore)
	return u, err
}

// muchFailed is the part of a round's requests that may fail before its figures say nothing; muchLost is the same while
// configurations change, which makes some proxies close connections under the requests on them.
const (
	muchFailed = 0.01
	muchLost   = 0.1
)

// measure runs a phase of load and tells what the proxy used for it. That too much failed is an error.
func (b *bench) measure(ctx context.Context, t *target, p load.Phase) (*measured, error) {
	accepted, err := b.accepted(ctx)
	if err != nil {
		return nil, err
	}
	before, err := b.used(t)
	if err != nil {
		return nil, err
	}
	r, err := t.loader.run(ctx, p)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, t.fate(err)
	}
	after, err := b.used(t)
	if err != nil {
		return nil, err
	}
	m := &measured{load: r, round: b.figures(r, &before, &after)}
	m.round.UpstreamConnections, err = b.accepted(ctx)
	if m.round.UpstreamConnections -= accepted; err != nil {
		return nil, err
	}
	if err := t.tooMany(r); err != nil {
		return nil, err
	}
	memory, err := peer.Memory(t.process.Pid())
	if err == nil {
		m.anonymous, err = peer.Anonymous(t.process.Pid())
	}
	if err != nil {
		return nil, t.fate(err)
	}
	m.round.Memory = float64(memory) / mib
	return m, nil
}

// tooMany is an error if so much of a phase failed that its figures say nothing.
func (t *target) tooMany(r *load.Result) error {
	bound := muchFailed
	if t.site.Changing {
		bound = muchLost
	}
	if failed := r.Errors.Sum(); float64(failed) > bound*float64(r.Requests) {
		return fmt.Errorf("%d of %s failed: %s", failed, words.GroupedCount(r.Requests, "request"), first(r.Samples))
	}
	if r.Answered == 0 {
		return fmt.Errorf("no request was answered: %s", first(r.Samples))
	}
	return nil
}

// figures are those of a phase, between two looks at what was used.
func (b *bench) figures(r *load.Result, before, after *used) result.Round {
	length := after.at.Sub(before.at)
	part := func(d time.Duration) float64 { return max(float64(d)/float64(length), 0) }
	proxy, ours := after.proxy-before.proxy, after.ours-before.ours
	proxyCore, loadCore := after.proxyCore-before.proxyCore, after.loadCore-before.loadCore
	foreign := proxyCore - (after.proxyIRQ - before.proxyIRQ) - proxy
	loadForeign := loadCore - (after.loadIRQ - before.loadIRQ) - ours
	if b.o.ProxyCore == b.o.LoadCore {
		foreign, loadForeign = foreign-ours, loadForeign-proxy
	}
	return result.Round{
		Requests: r.Answered, Bytes: r.Bytes, Errors: r.Errors.Sum(), Samples: r.Samples,
		Seconds: r.Elapsed.Seconds(), CPU: proxy.Seconds(),
		P50: ms(r.P50), P99: ms(r.P99), P999: ms(r.P999), Max: ms(r.Max), Lag99: ms(r.Lag99),
		Foreign: part(foreign), LoadBusy: part(loadCore), LoadForeign: part(loadForeign),
	}
}

func first(samples []string) string {
	if len(samples) == 0 {
		return "it is not known why"
	}
	return samples[0]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
