package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/result"
)

// settling is a stretch of load before each measured one: connections that were closed meanwhile are opened again, and
// caches have what they need.
const settling = 100 * time.Millisecond

// closedLoop is a scenario in which every connection asks again as soon as it was answered. What counts is the
// processor time of the proxy.
type closedLoop struct {
	profile
	load load.Config
}

const (
	kib64 = 64 << 10
	mib   = 1 << 20
)

// closedLoops are the scenarios of that form.
func closedLoops() []scenario {
	const perRequest, perByte = result.PerRequest, result.PerByte
	return []scenario{
		&closedLoop{profile{name: "http1-small", title: "GET of 100 bytes, kept connections",
			unit: perRequest, conns: 64}, load.Config{}},
		&closedLoop{profile{name: "http1-1024", title: "GET of 100 bytes, 1,024 kept connections",
			unit: perRequest, conns: 1024}, load.Config{}},
		&closedLoop{profile{name: "http1-64k", title: "GET of 64 KiB, kept connections",
			unit: perByte, conns: 64}, load.Config{Path: "/64k", Download: kib64}},
		&closedLoop{profile{name: "http1-1m", title: "GET of 1 MiB, kept connections",
			unit: perByte, conns: 16}, load.Config{Path: "/1m", Download: mib}},
		&closedLoop{profile{name: "upload-1m", title: "POST of 1 MiB, kept connections",
			unit: perByte, conns: 16}, load.Config{Method: "POST", Path: "/upload", Upload: mib}},
		&closedLoop{profile{name: "churn", title: "GET of 100 bytes, a new connection for each request",
			unit: perRequest, conns: 64, renewing: true}, load.Config{PerRequest: true}},
		&closedLoop{profile{name: "pipeline", title: "GET of 100 bytes, 16 requests sent at a time",
			unit: perRequest, conns: 16, extra: true}, load.Config{Pipeline: 16}},
		&closedLoop{profile{name: "routes-1k", title: "GET of 100 bytes by the last of 1,000 routes",
			unit: perRequest, conns: 64, routes: 1000}, load.Config{}},
		&closedLoop{profile{name: "routes-10k", title: "GET of 100 bytes by the last of 10,000 routes",
			unit: perRequest, conns: 64, routes: 10_000, extra: true}, load.Config{}},
	}
}

func (s *closedLoop) words(o *Options) string {
	return fmt.Sprintf("%s, as fast as they are answered, %s", words.GroupedCount(s.connsOf(o), "connection"),
		rounds(o, s.lengthOf(o)))
}

func (s *closedLoop) prepare(ctx context.Context, b *bench, t *target) (err error) {
	if err := t.start(ctx, b); err != nil {
		return err
	}
	cfg := s.load
	cfg.Conns, cfg.Wire = s.connsOf(&b.o), s.wire
	if t.loader, err = b.startLoader(t, cfg); err != nil {
		return err
	}
	_, err = b.warm(ctx, t, 0, s.lengthOf(&b.o)/2)
	return err
}

func (s *closedLoop) round(ctx context.Context, b *bench, t *target) error {
	if _, err := b.warm(ctx, t, 0, settling); err != nil {
		return err
	}
	m, err := b.measure(ctx, t, load.Phase{Length: s.lengthOf(&b.o), Services: serviceNames[:1]})
	if err != nil {
		return err
	}
	if s.unit == result.PerByte && m.round.Bytes == 0 {
		return errors.New("no byte of a body was counted")
	}
	return t.add(m, s.cost(&m.round))
}

// cost is the processor time by request or by byte.
func (s *closedLoop) cost(r *result.Round) float64 {
	if s.unit == result.PerByte {
		return r.CPU * 1e9 / float64(r.Bytes)
	}
	return r.CPU * 1e6 / float64(r.Requests)
}

// rounds say how often how long is measured.
func rounds(o *Options, length time.Duration) string {
	return fmt.Sprintf("%s of %g s", words.GroupedCount(o.Rounds, "round"), length.Seconds())
}
