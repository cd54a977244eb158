package control

import (
	"context"
	"log/slog"
	"time"

	"github.com/uringproxy/uringproxy/tls/certs"
)

const (
	// renewInterval is how often certificates are looked at when nothing is due before.
	renewInterval = time.Hour
	// retryInterval is how long after a failure it is tried again.
	retryInterval = time.Minute
)

// renewTLS keeps fresh what of TLS ages without a change of files, until ctx ends: keys of tickets, answers of
// authorities, and the eye on certificates that expire.
func (m *Manager) renewTLS(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.resecured:
		case <-timer.C:
		}
		timer.Reset(m.Renew(ctx))
	}
}

// Renew does what is due for the TLS in force: it asks authorities about certificates, and publishes a snapshot if one
// of them said something new, or if keys of tickets have had their time. It returns how long nothing will be due.
func (m *Manager) Renew(ctx context.Context) time.Duration {
	m.mu.Lock()
	m.expiring.warn(m.opts.Log, m.world.certificates, m.vault.now())
	m.vault.staples.prune(m.world.secured)
	asking, _ := m.vault.staples.due(m.vault.now())
	fetch := m.vault.staples.fetch
	m.mu.Unlock()

	answers := fetchAll(ctx, asking, fetch) // without the lock, since it may take long

	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.vault.now()
	changed := m.vault.staples.take(m.opts.Log, answers, now)
	if until := m.world.until; !until.IsZero() && !now.Before(until) {
		changed = true
	}
	if changed && ctx.Err() == nil && m.renew() != nil {
		return retryInterval
	}
	wait := renewInterval
	_, next := m.vault.staples.due(now)
	for _, due := range []time.Time{next, m.world.until} {
		if !due.IsZero() {
			wait = min(wait, max(due.Sub(now), time.Second))
		}
	}
	return wait
}

// renew makes the TLS of the current configuration anew, and puts it in force. Files that changed meanwhile are read as
// they are now; a directory is not looked at again, which is what reloading is for.
func (m *Manager) renew() error {
	a := &Attempt{Trigger: ByTLS, At: time.Now()}
	err := m.guard(func() error {
		sec, faults := m.vault.secure(m.current, m.material.prints)
		if len(faults) > 0 {
			return &outside{faults}
		}
		w := world{m.world.names, sec}
		snap, err := m.compile(m.current, w)
		if err != nil {
			return err
		}
		return m.install(m.current, w, snap)
	})
	a.Took = time.Since(a.At)
	if err != nil {
		a.fail(err)
		m.opts.Log.Error("TLS not renewed, it stays as it is", "error", err)
	} else {
		a.Generation = m.last.Generation
		m.opts.Log.Debug("TLS renewed", "generation", a.Generation)
	}
	m.record(a, nil)
	return err
}

// thresholds are the days before the end of a certificate at which the log mentions it, and 0 for the end itself.
var thresholds = []int{0, 1, 3, 7, 14}

// expiring remembers which certificates were mentioned, at which threshold last.
type expiring map[[32]byte]int

// warn mentions the certificates that expire soon, once for each threshold. Of those that live for a few days only, the
// thresholds beyond a third of their life are left out.
func (e expiring) warn(log *slog.Logger, inForce func(func(*certs.Certificate) bool), now time.Time) {
	current := map[[32]byte]bool{}
	for c := range inForce {
		left := c.NotAfter.Sub(now)
		if left > 15*24*time.Hour {
			continue
		}
		id := c.Fingerprint()
		current[id] = true
		for _, days := range thresholds {
			at := time.Duration(days) * 24 * time.Hour
			if left > at || at > c.NotAfter.Sub(c.NotBefore)/3 {
				continue
			}
			if last, told := e[id]; !told || days < last {
				e[id] = days
				expires(log, c, left)
			}
			break
		}
	}
	for id := range e {
		if !current[id] {
			delete(e, id)
		}
	}
}

func expires(log *slog.Logger, c *certs.Certificate, left time.Duration) {
	if left <= 0 {
		log.Error("certificate has expired, clients refuse it", "certificate", c.Source, "names", firstNames(c),
			"since", c.NotAfter)
		return
	}
	log.Warn("certificate expires soon", "certificate", c.Source, "names", firstNames(c), "at", c.NotAfter,
		"left", left.Round(time.Hour))
}

// firstNames are some of the names of a certificate, which may have hundreds.
func firstNames(c *certs.Certificate) []string { return c.Names[:min(len(c.Names), 3)] }
