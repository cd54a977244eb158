// Package control turns configuration into snapshots and hands them to the data plane: at start, when the configuration
// is read again, and when a host name resolves to other addresses.
//
// Its invariants: a faulty configuration changes nothing, the last good one goes on serving; a published snapshot is
// never touched again; services and endpoints keep their IDs as long as a snapshot in use has them, and listeners as
// long as the process lives, so that positions, connections and sockets outlive a reload; what a running process cannot
// change keeps its value of the start, and is named in the log. No reload, however it goes wrong, ends the process. It
// may block and allocate; it never touches a socket of the data plane.
//
// It imports config, control/watch, plan, routing, metrics, tls/certs and tls/handshake, and is imported by server
// only.
package control

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/internal/breath"
	"github.com/uringproxy/uringproxy/metrics"
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
	// Directory gives what is counted of a snapshot its series; nil: nobody reads them.
	Directory *metrics.Directory
	// Ended, when there is one, is told of every attempt to change the configuration, when it has ended. It must not
	// call the Manager.
	Ended func(*Attempt)
}

// Manager owns the configuration of a running process. Its methods may be called from any goroutine; one at a time does
// its work.
type Manager struct {
	opts   Options
	status atomic.Pointer[Status]
	queue  queue
	door   door

	mu        sync.Mutex
	loader    *config.Loader
	boot      boot
	current   *config.Config
	world     world // as current needs it
	ids       identities
	tables    *tables
	streams   *streams
	vault     *vault
	expiring  expiring
	material  material // of the configuration that was read last, refused or not
	made      made
	spreadFor int // routes, when the heap was put into large pages
	breath    *breath.Breath
	last      *plan.Snapshot
	failing   map[string]bool // names whose last look-up failed
	print     uint64          // fingerprint of the files that were read last

	closing   context.Context
	close     context.CancelFunc
	watching  atomic.Bool              // reload.watch
	named     atomic.Pointer[[]string] // material.paths
	switched  chan struct{}            // tells Watch that watching was switched on or off
	resecured chan struct{}            // tells Watch that there is other TLS
}

// New makes a manager that has loaded nothing yet.
func New(opts Options) *Manager {
	if opts.Resolver == nil {
		opts.Resolver = net.DefaultResolver
	}
	if opts.Directory == nil {
		opts.Directory = metrics.NewDirectory()
	}
	m := &Manager{
		opts: opts, queue: newQueue(), loader: config.NewLoader(), ids: newIdentities(),
		tables: newTables(forRequests, new(seating), opts.Directory), streams: newStreams(opts.Directory),
		vault: newVault(opts.Log), failing: map[string]bool{}, switched: make(chan struct{}, 1),
		resecured: make(chan struct{}, 1), expiring: expiring{},
	}
	m.closing, m.close = context.WithCancel(context.Background())
	return m
}

// Start loads the configuration for the first time and returns it with its first snapshot, which it does not publish:
// the shards are made from it. The error is config.Faults.
func (m *Manager) Start(ctx context.Context) (*config.Config, *plan.Snapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.print = fingerprint(m.opts.Paths, nil, m.breath)
	cfg, faults := m.read()
	if len(faults) > 0 {
		return nil, nil, faults
	}
	w, faults := m.ask(ctx, cfg)
	if len(faults) > 0 {
		return nil, nil, faults
	}
	m.boot = bootOf(cfg)
	snap, err := m.compile(cfg, w)
	if err != nil {
		return nil, nil, err
	}
	m.adopt(cfg, w, snap)
	m.status.Store(&Status{Snapshot: snap, Config: cfg, Watching: m.watches(), secured: w.secured})
	m.breathe()
	return cfg, snap, nil
}

// breathe lets the work of changes pause from now on: from the first snapshot on it shares cores with shards.
func (m *Manager) breathe() {
	m.breath = breath.New()
	m.loader.Breath, m.tables.breath = m.breath, m.breath
	m.streams.breathe(m.breath)
	m.vault.breathe(m.breath)
}

// read reads the configuration.
func (m *Manager) read() (*config.Config, config.Faults) {
	if len(m.opts.Paths) == 0 {
		return config.Default(), nil
	}
	return m.loader.Load(m.opts.Paths)
}

// world is what a configuration needs that is not in its text.
type world struct {
	names names
	*secured
}

// ask finds out what cfg needs of the world. It goes on after a fault, so that all are found.
func (m *Manager) ask(ctx context.Context, cfg *config.Config) (world, config.Faults) {
	found, faults := m.lookUpAll(ctx, cfg)
	m.material = materialOf(cfg, m.breath) // before it is read
	m.named.Store(&m.material.paths)
	sec, more := m.vault.secure(cfg, m.material.prints)
	return world{found, sec}, append(faults, more...)
}

// adopt makes a configuration and its snapshot the current ones.
func (m *Manager) adopt(cfg *config.Config, w world, snap *plan.Snapshot) {
	if m.world.secured != w.secured {
		select {
		case m.resecured <- struct{}{}:
		default: // Watch has not looked since the last time, and will find this too
		}
	}
	m.current, m.world, m.last = cfg, w, snap
	m.spread(len(cfg.Routes))
	if m.opts.Level != nil {
		m.opts.Level.Set(cfg.LogLevel)
	}
	if m.watching.Swap(cfg.Reload.Watch) != cfg.Reload.Watch {
		select {
		case m.switched <- struct{}{}:
		default: // Watch has not looked since the last time, and will find this too
		}
	}
}

// install has the data plane take snap over, and adopts it. When that fails, nothing has changed.
func (m *Manager) install(cfg *config.Config, w world, snap *plan.Snapshot) error {
	return m.door.pass(func() error {
		if err := m.opts.Publisher.Prepare(snap); err != nil {
			return err
		}
		m.adopt(cfg, w, snap)
		m.opts.Publisher.Publish(snap)
		return nil
	})
}

// Close ends changes: what has not been published when it returns never will be, and Watch ends. It waits for nothing
// but a Publish that has begun.
func (m *Manager) Close() {
	m.close()
	m.door.shut()
}

// door is what every snapshot has to pass on its way to the data plane.
type door struct {
	mu     sync.Mutex
	closed bool
}

func (d *door) pass(f func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	return f()
}

func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
}

// slowReload is how long a reload may take before the log mentions it.
const slowReload = 10 * time.Second
