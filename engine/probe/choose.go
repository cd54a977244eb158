// Package probe finds out what this kernel lets this process do, and chooses the engine and tier from that.
//
// Nothing is decided by version numbers: every feature is tried, and what was chosen runs a self-test on real
// sockets before it is trusted. The table in features.go is the one source for the choice, for doctor and for
// KERNEL_REQUIREMENTS.md. Probing leaves nothing behind: no descriptor, no mapping, no changed setting.
//
// It runs at start, on the control plane's side: it may allocate and block. It opens the engines for
// their self-test and is imported by server and cmd/uringproxy.
package probe

import (
	"errors"
	"fmt"
	"strings"
)

// Engines that can be asked for and chosen.
const (
	Auto  = "auto"
	Uring = "uring"
	Epoll = "epoll"
)

// Want is what the configuration asks for.
type Want struct {
	Engine string // Auto, Uring or Epoll; "" is Auto
	Tier   string // "T1" to "T3" forces a tier of io_uring, "T0" is epoll; "" or "auto" is the best there is
	Shards int    // how many backends will be open at the same time: limits must suffice for all; 0 is 1
}

// Choice is what will be used.
type Choice struct {
	Engine   string // Uring or Epoll
	Tier     string // "T1" to "T3" with Uring, "T0" with Epoll
	Why      string // one line for the log: why this, and what to change to get more
	Features Findings
}

// Choose picks the engine. With Auto it always succeeds: whatever keeps io_uring from working leads to epoll, and
// Why says what it was and what to change. Asking for io_uring, or for one of its tiers, on a host that cannot is
// an error, which wraps an *Obstacle where the host is the cause.
func Choose(want Want) (Choice, error) {
	engine, tier, err := want.parse()
	if err != nil {
		return Choice{}, err
	}
	c := Choice{Engine: Epoll, Tier: T0.String(), Features: Features()}
	if engine == Epoll {
		c.Why = "epoll, as configured"
		return c, nil
	}
	h := readHost()
	best, passed, failed := c.Features.uringTier(&h, tier, func(t Tier) error {
		return selfTest(max(want.Shards, 1), openUring(t))
	})
	if passed {
		c.Engine, c.Tier, c.Why = Uring, best.String(), whyUring(&h, &c.Features, best, failed)
		return c, nil
	}
	if engine == Uring {
		return Choice{}, fmt.Errorf("use io_uring: %w; or choose the engine %q or %q", failed, Auto, Epoll)
	}
	c.Why = fmt.Sprintf("epoll, because %s (%v); to use io_uring: %s", failed.Cause, failed.Err, failed.Remedy)
	return c, nil
}

// parse checks the wish. tier is Optional when any will do.
func (w Want) parse() (engine string, tier Tier, err error) {
	switch engine = w.Engine; engine {
	case "":
		engine = Auto
	case Auto, Uring, Epoll:
	default:
		return "", 0, fmt.Errorf("engine %q: must be %q, %q or %q", w.Engine, Auto, Uring, Epoll)
	}
	switch strings.ToUpper(w.Tier) {
	case "", "AUTO":
		return engine, Optional, nil
	case "T0":
		if engine == Uring {
			return "", 0, errors.New(`tier "T0" is epoll: leave the tier out, or choose the engine "epoll"`)
		}
		return Epoll, T0, nil
	case "T1", "T2", "T3":
		if engine == Epoll {
			return "", 0, fmt.Errorf("tier %q is one of io_uring: leave it out, or choose the engine %q", w.Tier, Uring)
		}
		return Uring, Tier(w.Tier[1] - '0'), nil
	}
	return "", 0, fmt.Errorf(`tier %q: must be "auto", "T0" (epoll), "T1", "T2" or "T3" (io_uring)`, w.Tier)
}

// uringTier finds the highest tier of io_uring that has its features and passes its self-test, try; only forced
// is considered unless it is Optional. failed is what kept a higher tier, or all of them, from being chosen; nil
// when nothing did but missing features.
func (fs Findings) uringTier(h *host, forced Tier, try func(Tier) error) (best Tier, passed bool, failed *Obstacle) {
	high, low := T3, T1
	if forced != Optional {
		high, low = forced, forced
	}
	for t := high; t >= low; t-- {
		if f := fs.Missing(t); f != nil {
			if t == low && failed == nil {
				failed = h.explainMissing(f, t)
			}
			continue
		}
		err := try(t)
		if err == nil {
			return t, true, failed
		}
		failed = h.explain(fmt.Errorf("self-test of tier %s: %w", t, err))
	}
	return 0, false, failed
}

// explainMissing says why tier t cannot be had without f.
func (h *host) explainMissing(f *Finding, t Tier) *Obstacle {
	if f.Verdict == Unknown || f.Name == "io_uring" { // not a matter of age alone
		return h.explain(f.Err)
	}
	return &Obstacle{
		Cause:  fmt.Sprintf("tier %s needs %s", t, f.Name),
		Remedy: fmt.Sprintf("use Linux %s or later", f.Since),
		Err:    f.Err,
	}
}

func whyUring(h *host, fs *Findings, t Tier, failed *Obstacle) string {
	why := fmt.Sprintf("io_uring tier %s on Linux %s, self-test passed", t, h.release)
	if failed != nil {
		return fmt.Sprintf("%s; a higher tier was not chosen because %s (%v)", why, failed.Cause, failed.Err)
	}
	if t < T3 {
		if f := fs.Missing(t + 1); f != nil {
			return fmt.Sprintf("%s; tier %s needs %s (Linux %s)", why, t+1, f.Name, f.Since)
		}
	}
	return why
}
