package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/uringproxy/uringproxy/internal/words"
	"github.com/uringproxy/uringproxy/perf/load"
)

// bulk is a scenario of streams that carry as much as they can. What counts is the processor time of the proxy by byte.
//
// Every round has streams of its own. They run for a while before it, and after it they are ended by their client: what
// either end has sent and received is then compared, from the first byte to the last. Before the first round each byte
// is looked at as well.
type bulk struct {
	profile
	duplex bool
}

// flowing is how long a stream runs before it is measured: the kernel finds out how much to have under way meanwhile.
const flowing = 200 * time.Millisecond

func (s *bulk) words(o *Options) string {
	return fmt.Sprintf("%s, new ones for each round, %s", words.GroupedCount(s.connsOf(o), "stream"),
		rounds(o, s.lengthOf(o)))
}

func (s *bulk) prepare(ctx context.Context, b *bench, t *target) (err error) {
	if err := t.start(ctx, b); err != nil {
		return err
	}
	t.loader, err = b.startLoader(t, load.Config{Conns: s.connsOf(&b.o), Wire: s.wire, Duplex: s.duplex})
	if err != nil {
		return err
	}
	r, err := t.loader.run(ctx, load.Phase{Length: s.lengthOf(&b.o) / 2, Compare: true, Finish: true})
	if err != nil {
		return err
	}
	if failed := r.Errors.Sum(); failed > 0 {
		return fmt.Errorf("%d of %s failed: %s", failed, words.GroupedCount(r.Requests, "stream"), first(r.Samples))
	}
	return nil
}

func (s *bulk) round(ctx context.Context, b *bench, t *target) error {
	if _, err := t.loader.run(ctx, load.Phase{Length: flowing}); err != nil {
		return err
	}
	m, err := b.measure(ctx, t, load.Phase{Length: s.lengthOf(&b.o)})
	if err != nil {
		return err
	}
	if m.round.Bytes == 0 {
		return errors.New("no byte came")
	}
	end, err := t.loader.run(ctx, load.Phase{Finish: true})
	if err != nil {
		return err
	}
	if err := t.tooMany(end); err != nil {
		return err
	}
	m.round.Errors += end.Errors.Sum()
	m.round.Samples = append(m.round.Samples, end.Samples...)
	return t.add(m, m.round.CPU*1e9/float64(m.round.Bytes))
}
