package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/uringproxy/uringproxy/perf/load"
)

// phaseSlack is how much longer than its length a phase may take: the generator's own patience, and for opening many
// connections.
const phaseSlack = time.Minute

// loader is a load generator's process.
type loader struct {
	*helper
	results chan phaseResult
}

type phaseResult struct {
	*load.Result
	err error
}

// startLoader starts a load generator for a target. What is left open in cfg is filled in.
func (b *bench) startLoader(t *target, cfg load.Config) (*loader, error) {
	return b.startLoad("load", t, cfg)
}

// startLoad starts a helper that is a load generator.
func (b *bench) startLoad(as string, t *target, cfg load.Config) (*loader, error) {
	cfg.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(t.site.Port))
	cfg.Services = serviceNames
	if cfg.Host = t.site.Host(); cfg.Host == "" {
		cfg.Host = loadedHost
	}
	if t.site.TLS {
		cfg.TLS = &load.TLS{Roots: string(b.certificate.cert), Resume: t.site.Tickets}
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		return nil, fmt.Errorf("write load: %w", err)
	}
	h, err := b.startHelper(as, string(text))
	if err != nil {
		return nil, err
	}
	l := &loader{helper: h, results: make(chan phaseResult)}
	go l.read()
	return l, nil
}

// read passes results on until the process ends.
func (l *loader) read() {
	lines := json.NewDecoder(l.out)
	for {
		r := phaseResult{Result: new(load.Result)}
		r.err = lines.Decode(r.Result)
		select {
		case l.results <- r:
		case <-l.process.Ended:
			return
		}
		if r.err != nil {
			return
		}
	}
}

// run runs a phase.
func (l *loader) run(ctx context.Context, p load.Phase) (*load.Result, error) {
	if err := json.NewEncoder(l.in).Encode(p); err != nil {
		return nil, l.process.Failure("no phase taken")
	}
	patience := time.NewTimer(p.Warm + p.Length + phaseSlack)
	defer patience.Stop()
	select {
	case r := <-l.results:
		if r.err != nil {
			<-l.process.Ended
			return nil, l.process.Failure("no result")
		}
		return r.Result, nil
	case <-l.process.Ended:
		return nil, l.process.Failure("no result")
	case <-patience.C:
		return nil, l.process.Failure("no result in time")
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// stop ends the process; a nil loader has ended.
func (l *loader) stop() {
	if l != nil {
		l.process.Stop()
	}
}
