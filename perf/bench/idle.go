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

// idling is the scenario of many connections that have made a request and wait. What counts is the memory in user space
// that each of them costs: the growth of anonymous memory, divided by their number.
type idling struct {
	profile
	// rest is how long the connections wait before memory is looked at: what their handshakes leave behind is no
	// cost of waiting, if the proxy gives it back.
	rest time.Duration
	load load.Config
}

func idleMemory() scenario {
	return &idling{profile: profile{
		name: "idle-memory", title: "memory of a kept connection that waits", unit: result.PerConnection, conns: 64,
		idle: 18_000,
	}}
}

func idleTLS() scenario {
	return &idling{profile{
		name: "tls-idle", title: "memory of a kept HTTPS connection that waits", unit: result.PerConnection, conns: 64,
		idle: 5000, tls: withTLS,
	}, 5 * time.Second, load.Config{}}
}

func idleWebSockets() scenario {
	return &idling{profile: profile{
		name: "websocket-idle", title: "memory of a WebSocket that waits", unit: result.PerConnection, conns: 64,
		idle: 9000, wire: load.WebSocket,
	}, load: load.Config{Message: smallMessage}}
}

const (
	// idleRounds are enough for a figure that hardly differs from one to the next.
	idleRounds = 3
	// restRate is how many requests come in a second on one other connection, which show that the proxy is there.
	restRate = 20
)

func (s *idling) words(o *Options) string {
	after := ""
	if s.rest > 0 {
		after = fmt.Sprintf(" and %g s", s.rest.Seconds())
	}
	return fmt.Sprintf("%s, each after one %s%s, %s, the proxy started anew for each; growth of RssAnon",
		words.GroupedCount(s.idleOf(o), "connection"), s.once(), after,
		words.GroupedCount(min(o.Rounds, idleRounds), "round"))
}

// once is what a connection does before it waits.
func (s *idling) once() string {
	if s.wire != load.HTTP {
		return "message there and back"
	}
	return "request"
}

// prepare starts the target, to see that it does.
func (s *idling) prepare(ctx context.Context, b *bench, t *target) error {
	return t.start(ctx, b)
}

func (s *idling) round(ctx context.Context, b *bench, t *target) error {
	if len(t.rounds) >= idleRounds {
		return nil
	}
	if len(t.rounds) > 0 {
		t.stop()
		if err := t.start(ctx, b); err != nil {
			return err
		}
	}
	if err := s.touch(ctx, b, t); err != nil {
		return err
	}
	before, err := peer.Anonymous(t.process.Pid())
	if err != nil {
		return t.fate(err)
	}
	n := s.idleOf(&b.o)
	if t.loader, err = b.startLoader(t, s.config(1, n)); err != nil {
		return err
	}
	rest := s.rest
	if b.o.trial {
		rest = 0
	}
	// The phase begins when all connections have made their requests.
	m, err := b.measure(ctx, t, load.Phase{
		Rate: restRate, Length: settling + rest, Services: serviceNames[:1],
	})
	t.stopLoader()
	if err != nil {
		return err
	}
	if m.load.Idle < n {
		return fmt.Errorf("only %s of %s stayed open: %s", words.Group(m.load.Idle),
			words.GroupedCount(n, "connection"), first(m.load.Samples))
	}
	m.round.Requests, m.round.Seconds, m.round.P50, m.round.P99, m.round.P999, m.round.Max = n, 0, 0, 0, 0, 0
	return t.add(m, float64(m.anonymous-before)/float64(n))
}

// config is a load of some connections, and others that wait.
func (s *idling) config(conns, idle int) load.Config {
	cfg := s.load
	cfg.Conns, cfg.Idle, cfg.Wire = conns, idle, s.wire
	return cfg
}

// touch has the target make use of what it needs for any load, so that it does not count.
func (s *idling) touch(ctx context.Context, b *bench, t *target) (err error) {
	if t.loader, err = b.startLoader(t, s.config(s.conns, 0)); err != nil {
		return err
	}
	_, err = b.warm(ctx, t, 0, 300*time.Millisecond)
	t.stopLoader()
	return err
}
