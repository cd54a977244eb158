package bench

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/result"
)

const (
	// floodShare is the part of what a proxy can do at most that established connections ask it for. The rest is for
	// the handshakes, and for the core of the load: with twice as much that one is full, and handshakes wait there.
	floodShare = 0.2
	// floodRate is how many full handshakes come in a second, on floodConns connections at once, and floodHalf how
	// many connections stop in the middle of their first message.
	floodRate  = 500
	floodConns = 64
	floodHalf  = 2000
	// floodWarm is how long handshakes come before a phase with them: the half-open ones are all there then.
	floodWarm = 300 * time.Millisecond
	// fewHandshakes is the part of the flood below which the figure must not be quoted.
	fewHandshakes = 0.9
)

// flooding is the scenario of established connections while others do nothing but shake hands. A round is a phase
// without them and one with them, both at the same constant rate on the established connections; what counts is the
// p99 of the second divided by that of the first.
//
// The flood comes from a load generator that runs only when the other one does not want the core, so that it delays
// neither requests nor answers by itself.
type flooding struct{ profile }

func handshakeFlood() scenario {
	return &flooding{profile{
		name: "tls-flood", title: "p99 of HTTPS while handshakes flood in, divided by p99 without",
		unit: result.P99Ratio, conns: 64, beside: floodHalf + floodConns, length: 3 * time.Second, extra: true,
		tls: withTLS,
	}}
}

// floods is what the rounds of a proxy add up to.
type floods struct {
	without    []float64 // p99 without a flood, in ms, of each round
	handshakes []float64 // a second, with a request each,
	slowest    []float64 // and their p99 in ms
	half       int       // half-open connections, the fewest that were seen
	failed     int       // handshakes
	why        string
}

func (s *flooding) words(o *Options) string {
	return fmt.Sprintf("%s at %.0f %% of the proxy's maximum; %s half-open connections and %d full handshakes a "+
		"second; %s with and as long without", words.GroupedCount(s.connsOf(o), "connection"), 100*floodShare,
		words.Group(floodHalf), floodRate, rounds(o, s.lengthOf(o)))
}

func (s *flooding) prepare(ctx context.Context, b *bench, t *target) (err error) {
	if err := t.start(ctx, b); err != nil {
		return err
	}
	if t.loader, err = b.startLoader(t, load.Config{Conns: s.connsOf(&b.o)}); err != nil {
		return err
	}
	return b.calibrate(ctx, t, min(s.lengthOf(&b.o), time.Second), floodShare)
}

func (s *flooding) round(ctx context.Context, b *bench, t *target) error {
	length := s.lengthOf(&b.o)
	phase := load.Phase{Rate: t.rate, Length: length, Services: serviceNames[:1]}
	if _, err := b.warm(ctx, t, t.rate, settling); err != nil {
		return err
	}
	without, err := b.measure(ctx, t, phase)
	if err != nil {
		return err
	}
	cfg := load.Config{Conns: floodConns, PerRequest: true, HalfOpen: floodHalf}
	flood, err := b.startLoad("flood", t, cfg)
	if err != nil {
		return err
	}
	defer flood.stop()
	warm := load.Phase{Rate: floodRate, Length: floodWarm, Services: serviceNames[:1]}
	if _, err := flood.run(ctx, warm); err != nil {
		return err
	}
	t.beside = flood.process
	defer func() { t.beside = nil }()
	var with *measured
	var came *load.Result
	err = beside(ctx, func(ctx context.Context) (err error) {
		came, err = flood.run(ctx, load.Phase{Rate: floodRate, Length: length, Services: serviceNames[:1]})
		return err
	}, func() (err error) {
		with, err = b.measure(ctx, t, phase)
		return err
	})
	if err != nil {
		return err
	}
	t.floods.add(without, came)
	t.notes, t.doubt = t.floods.words(), t.floods.doubt()
	with.round = together(&without.round, &with.round)
	return t.add(with, float64(with.load.P99)/math.Max(float64(without.load.P99), 1))
}

// add adds a round.
func (f *floods) add(without *measured, came *load.Result) {
	f.without = append(f.without, without.round.P99)
	f.handshakes = append(f.handshakes, float64(came.Answered)/came.Elapsed.Seconds())
	f.slowest = append(f.slowest, ms(came.P99))
	if f.half = min(f.half, came.HalfOpen); len(f.without) == 1 {
		f.half = came.HalfOpen
	}
	if failed := came.Errors.Sum(); failed > 0 {
		f.failed += failed
		f.why = first(came.Samples)
	}
}

// words tell what is behind the ratio.
func (f *floods) words() []string {
	told := []string{
		fmt.Sprintf("p99 without a flood %.2f ms", result.SpreadOf(f.without).Median),
		fmt.Sprintf("%.0f handshakes a second, p99 %.1f ms, and %s half-open", result.SpreadOf(f.handshakes).Median,
			result.SpreadOf(f.slowest).Median, words.GroupedCount(f.half, "connection")),
	}
	if f.failed > 0 {
		told = append(told, fmt.Sprintf("%s failed: %s", words.GroupedCount(f.failed, "handshake"), f.why))
	}
	return told
}

// doubt says that there was too little of a flood: who refuses to shake hands serves the others well.
func (f *floods) doubt() string {
	if rate := result.SpreadOf(f.handshakes).Median; rate < fewHandshakes*floodRate {
		return fmt.Sprintf("only %.0f of %d handshakes a second were made", rate, floodRate)
	}
	if float64(f.half) < fewHandshakes*floodHalf {
		return fmt.Sprintf("only %d of %d half-open connections were there", f.half, floodHalf)
	}
	return ""
}
