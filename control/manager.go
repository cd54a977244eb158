// Package control turns configuration into snapshots and hands them to the data plane: at start, when the configuration
// is read again, and when a host name resolves to other addresses.
//
// Its invariants: a faulty configuration changes nothing, the last good one goes on serving; a published snapshot is
// never touched again; services and endpoints keep their IDs as long as the process lives, so that positions and pooled
// connections outlive a reload; what a running process cannot change keeps its value of the start, and is named in the
// log. It may block and allocate; it never touches a socket of the data plane.
//
// It imports config, plan and routing, and is imported by server only.
package control

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/plan"
)

// Resolver looks addresses up; net.DefaultResolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options say what a Manager works with.
type Options struct {
	// Paths are the configuration's files and directories; none means the embedded default.
	Paths     []string
	Publisher Publisher
	Log       *slog.Logger
	// Level, when there is one, follows log.level. It should be the level of Log's handler.
	Level *slog.LevelVar
	// Resolver is net.DefaultResolver when nil.
	Resolver Resolver
}

const (
	// resolveTimeout bounds all look-ups of one load together.
	resolveTimeout = 5 * time.Second
	// refreshInterval is how often names are looked up again. The system's resolver tells no one how long an answer is
	// valid, so this is a compromise between following a moved service and asking too often.
	refreshInterval = 30 * time.Second
)

// Manager owns the configuration of a running process. Its methods may be called from any goroutine; one at a time does
// its work.
type Manager struct {
	opts Options

	mu      sync.Mutex
	boot    *config.Config // as it was at the start: the source of what cannot change
	current *config.Config
	names   names
	ids     identities
	last    *plan.Snapshot
	failing map[string]bool // names whose last look-up failed
}

// New makes a manager that has loaded nothing yet.
func New(opts Options) *Manager {
	if opts.Resolver == nil {
		opts.Resolver = net.DefaultResolver
	}
	return &Manager{opts: opts, ids: newIdentities(), failing: map[string]bool{}}
}

// Start loads the configuration for the first time and returns it with its first snapshot, which it does not publish:
// the shards are made from it. The error is config.Faults.
func (m *Manager) Start(ctx context.Context) (*config.Config, *plan.Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	cfg, found, faults := m.load(ctx)
	if len(faults) > 0 {
		return nil, nil, faults
	}
	boot := *cfg // the caller may change the one it is given, to what the command line says
	m.boot = &boot
	snap, err := m.compile(cfg, found)
	if err != nil {
		return nil, nil, err
	}
	m.adopt(cfg, found, snap)
	return cfg, snap, nil
}

// Reload loads the configuration again and publishes it. When it is faulty, everything stays as it is: each fault is
// logged, and all of them are returned as config.Faults. What takes effect at the next start only is logged by name.
func (m *Manager) Reload(ctx context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	cfg, found, faults := m.load(ctx)
	if len(faults) > 0 {
		m.refused(faults)
		return faults
	}
	snap, err := m.compile(cfg, found)
	if err != nil {
		m.opts.Log.Error("configuration not reloaded, the last good one stays", "error", err)
		return err
	}
	if err := m.opts.Publisher.Prepare(snap); err != nil {
		m.opts.Log.Error("configuration not reloaded, the last good one stays", "error", err)
		return err
	}
	for _, key := range pending(m.boot, cfg, m.opts.Level != nil) {
		m.opts.Log.Warn("changed setting takes effect at the next start", "key", key)
	}
	m.adopt(cfg, found, snap)
	m.opts.Publisher.Publish(snap)
	m.opts.Log.Info("configuration reloaded", "source", snap.Source, "generation", snap.Generation,
		"routes", len(snap.Routes), "services", len(snap.Services))
	return nil
}

func (m *Manager) refused(faults config.Faults) {
	m.opts.Log.Error("configuration not reloaded, the last good one stays", "faults", len(faults))
	for _, f := range faults {
		m.opts.Log.Error("configuration fault", "file", f.File, "line", f.Line, "column", f.Column, "key", f.Key,
			"found", f.Found, "expected", f.Expected, "hint", f.Hint)
	}
}

// load reads the configuration and resolves its names. A name that cannot be resolved now but could be before keeps its
// addresses.
func (m *Manager) load(ctx context.Context) (*config.Config, names, config.Faults) {
	cfg, faults := config.Default(), config.Faults(nil)
	if len(m.opts.Paths) > 0 {
		cfg, faults = config.Load(m.opts.Paths)
	}
	if len(faults) > 0 {
		return nil, nil, faults
	}
	found, failed := m.resolve(ctx, hosts(cfg))
	for _, s := range cfg.Services {
		addresses := 0
		for _, e := range s.Endpoints {
			if err := failed[e.Host]; err != nil && len(found[e.Host]) == 0 {
				what := fmt.Sprintf("the host name %q, which does not resolve", e.Host)
				faults = append(faults, cfg.Fault(e.Key, what, "a name with an address", err.Error()))
			}
			addresses += max(1, len(found[e.Host]))
		}
		if addresses > maxEndpoints {
			faults = append(faults, cfg.Fault(config.Path("services", s.Name),
				fmt.Sprintf("%d endpoint addresses", addresses), fmt.Sprintf("at most %d in one service", maxEndpoints),
				"divide the service"))
		}
	}
	return cfg, found, faults
}

func (m *Manager) adopt(cfg *config.Config, found names, snap *plan.Snapshot) {
	m.current, m.names, m.last = cfg, found, snap
	if m.opts.Level != nil {
		m.opts.Level.Set(cfg.LogLevel)
	}
}

// Watch looks host names up again from time to time, until ctx ends.
func (m *Manager) Watch(ctx context.Context) {
	ticker := time.NewTicker(refreshInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			m.Refresh(ctx)
		}
	}
}

// Refresh looks all host names up again and publishes a snapshot if an address has changed. A name that does not
// resolve keeps its addresses.
func (m *Manager) Refresh(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	wanted := hosts(m.current)
	if len(wanted) == 0 {
		return
	}
	found, _ := m.resolve(ctx, wanted)
	changed := false
	for host, addrs := range found {
		if !slices.Equal(addrs, m.names[host]) {
			changed = true
			m.opts.Log.Info("addresses of an upstream changed", "host", host, "addresses", addrs)
		}
	}
	if !changed {
		return
	}
	snap, err := m.compile(m.current, found)
	if err != nil {
		m.opts.Log.Error("new addresses not used, the old ones stay", "error", err)
		return
	}
	if err := m.opts.Publisher.Prepare(snap); err != nil {
		m.opts.Log.Error("new addresses not used, the old ones stay", "error", err)
		return
	}
	m.adopt(m.current, found, snap)
	m.opts.Publisher.Publish(snap)
}
