package control

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/uringproxy/uringproxy/control/watch"
)

const (
	// resolveTimeout bounds all look-ups of one load together.
	resolveTimeout = 5 * time.Second
	// refreshInterval is how often names are looked up again. The system's resolver tells no one how long an answer
	// is valid, so this is a compromise between following a moved service and asking too often.
	refreshInterval = 30 * time.Second
)

// Watch follows the world until ctx ends or Close is called: it reloads the configuration when its files change, if
// that is wanted, looks host names up again from time to time, keeps TLS fresh, and tries again what the world made
// fail.
func (m *Manager) Watch(ctx context.Context) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(m.closing, stop)()
	var others sync.WaitGroup
	defer others.Wait()
	if len(m.opts.Paths) > 0 {
		others.Go(func() { m.watchFiles(ctx) })
	}
	others.Go(func() { m.renewTLS(ctx) })
	ticker := time.NewTicker(refreshInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			m.Refresh(ctx)
			m.retry(ctx)
		}
	}
}

// watches reports whether a change of the files is a trigger.
func (m *Manager) watches() bool { return len(m.opts.Paths) > 0 && m.watching.Load() }

// watchFiles watches them as long as reload.watch is on.
func (m *Manager) watchFiles(ctx context.Context) {
	for ctx.Err() == nil {
		watching, stop := context.WithCancel(ctx)
		var watcher sync.WaitGroup
		if m.watching.Load() {
			watcher.Go(func() {
				watch.Run(watching, watch.Options{
					Paths: m.opts.Paths, Material: func() []string { return *m.named.Load() }, Log: m.opts.Log,
					Changed: func() { m.Reload(ctx, ByWatch) },
				})
			})
		}
		select {
		case <-ctx.Done():
		case <-m.switched:
		}
		stop()
		watcher.Wait()
	}
}

// Refresh looks all host names up again and publishes a snapshot if an address has changed. A name that does not
// resolve keeps its addresses.
func (m *Manager) Refresh(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := &Attempt{Trigger: ByDNS, At: time.Now()}
	changed := false
	err := m.guard(func() (err error) {
		changed, err = m.refresh(ctx)
		return err
	})
	if err == nil && !changed {
		return
	}
	a.Took = time.Since(a.At)
	if err != nil {
		a.fail(err)
		m.opts.Log.Error("new addresses not used, the old ones stay", "error", err)
	} else {
		a.Generation = m.last.Generation
	}
	m.record(a, nil)
}

func (m *Manager) refresh(ctx context.Context) (changed bool, err error) {
	wanted := hosts(m.current)
	if len(wanted) == 0 {
		return false, nil
	}
	found, _ := m.resolve(ctx, wanted)
	for host, addrs := range found {
		if !slices.Equal(addrs, m.world.names[host]) {
			changed = true
			m.opts.Log.Info("addresses of an upstream changed", "host", host, "addresses", addrs)
		}
	}
	if !changed {
		return false, nil
	}
	w := world{found, m.world.secured}
	snap, err := m.compile(m.current, w)
	if err != nil {
		return true, err
	}
	return true, m.install(m.current, w, snap)
}
