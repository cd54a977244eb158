package bench

import (
	"context"
	"fmt"

	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/result"
)

// rateShare is the part of what a proxy can do at most that it is asked for.
const rateShare = 0.7

// rated is the scenario in which requests come at a constant rate, whatever became of those before. What counts is the
// 99th percentile of the time from when a request was due to its answer.
//
// Every proxy has the rate that is 70 % of its own maximum. Ours is measured at the rate of each other proxy as well,
// next to it in the same round, and the ratio is that of those two.
type rated struct{ profile }

func fixedRate() scenario {
	return &rated{profile{
		name: "fixed-rate", title: "p99 at 70 % of each proxy's own maximum, GET of 100 bytes", unit: result.P99,
		conns: 64,
	}}
}

func (s *rated) words(o *Options) string {
	return fmt.Sprintf("%s, %.0f %% of the proxy's maximum; ratios at the rate of the other proxy; %s",
		words.GroupedCount(s.connsOf(o), "connection"), 100*rateShare, rounds(o, s.lengthOf(o)))
}

func (s *rated) prepare(ctx context.Context, b *bench, t *target) (err error) {
	if err := t.start(ctx, b); err != nil {
		return err
	}
	if t.loader, err = b.startLoader(t, load.Config{Conns: s.connsOf(&b.o)}); err != nil {
		return err
	}
	return b.calibrate(ctx, t, s.lengthOf(&b.o)/2, rateShare)
}

func (s *rated) round(ctx context.Context, b *bench, t *target) error {
	if t.kind.ours {
		for _, other := range b.targets {
			if other.kind.ours || other.rate == 0 || other.problem != "" {
				continue
			}
			m, err := s.at(ctx, b, t, other.rate)
			if err != nil {
				return err
			}
			m.round.Cost = m.round.P99
			t.at[other.kind.name] = append(t.at[other.kind.name], m.round)
		}
	}
	m, err := s.at(ctx, b, t, t.rate)
	if err != nil {
		return err
	}
	return t.add(m, m.round.P99)
}

// at measures the target at a rate.
func (s *rated) at(ctx context.Context, b *bench, t *target, rate int) (*measured, error) {
	if _, err := b.warm(ctx, t, rate, settling); err != nil {
		return nil, err
	}
	return b.measure(ctx, t, load.Phase{Rate: rate, Length: s.lengthOf(&b.o), Services: serviceNames[:1]})
}
