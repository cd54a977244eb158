// Package server is the one place where everything is wired: it reads the configuration, chooses the engine, opens the
// listeners, starts the shards with their workers, and turns signals into drains and reloads.
//
// It owns the process's descriptors limit, its listening sockets and its life: start, ready, reload, drain, end. It may
// import everything but the commands, and only cmd/uringproxy imports it.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/uringproxy/uringproxy/accesslog"
	"github.com/uringproxy/uringproxy/accesslog/sink"
	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/control"
	"github.com/uringproxy/uringproxy/demo"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/probe"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
)

// Options are what the command line says. Empty values leave the configuration's in force.
type Options struct {
	ConfigPaths []string // files and directories; none: the embedded default, with demo upstreams
	Engine      string
	Tier        string
	Shards      int
	Stdout      io.Writer // the banner
	Stderr      io.Writer // the log
	Version     string
}

// Server is a running uringproxy.
type Server struct {
	opts    Options
	log     *slog.Logger
	cfg     *config.Config // of the start; nil when that is over
	snap    *plan.Snapshot // the same
	choice  probe.Choice
	control *control.Manager
	metrics *metrics.Set
	sockets *sockets
	shards  []*running
	room    int // for clients, whatever the limits allow
	rings   *accesslog.Rings
	sink    *sink.Writer
	started time.Time
	adminState
	tlsState

	draining   atomic.Bool
	drainLimit atomic.Int64 // nanoseconds; a reload may change it
}

// Run serves until a signal or the context ends it. It returns nil after a drain, config.Faults for a faulty
// configuration.
func Run(ctx context.Context, opts Options) error {
	var level slog.LevelVar
	s := &Server{
		opts:    opts,
		log:     slog.New(slog.NewTextHandler(opts.Stderr, &slog.HandlerOptions{Level: &level})),
		started: time.Now(),
	}
	signals := catchSignals()
	defer signals.stop()
	if err := s.start(ctx, &level); err != nil {
		s.stop()
		return err
	}
	defer s.stop()
	go s.control.Watch(ctx)
	go s.tendHeap(ctx)
	s.serveAdmin(func() *control.Attempt { return s.control.Reload(ctx, control.ByAPI) })
	return s.serve(ctx, signals)
}

// start brings everything up, in the order in which it needs one another.
func (s *Server) start(ctx context.Context, level *slog.LevelVar) error {
	if len(s.opts.ConfigPaths) == 0 {
		stop, err := startDemo()
		if err != nil {
			return err
		}
		context.AfterFunc(ctx, stop)
	}
	directory := metrics.NewDirectory()
	s.control = control.New(control.Options{
		Paths: s.opts.ConfigPaths, Publisher: s, Log: s.log, Level: level, Ended: s.reloaded, Directory: directory,
	})
	var err error
	if s.cfg, s.snap, err = s.control.Start(ctx); err != nil {
		return err
	}
	s.drainLimit.Store(int64(s.snap.Timeouts.Drain))
	s.override()
	want := probe.Want{Engine: s.cfg.Engine.Backend, Tier: s.cfg.Engine.Tier, Shards: s.shardCount()}
	if s.choice, err = probe.Choose(want); err != nil {
		return err
	}
	runtime.GOMAXPROCS(2*s.shardCount() + 1) // who waits in a system call does not give its P away; see RATIONALE.md
	s.raiseDescriptors()
	if err := s.openAccessLog(); err != nil {
		return err
	}
	s.sockets = newSockets(s.shardCount())
	if err = s.sockets.prepare(s.snap); err != nil {
		return err
	}
	opened, _ := s.sockets.publish(s.snap)
	s.warnSmall(s.snap, opened)
	if err := s.openAdmin(); err != nil {
		return err
	}
	s.metrics = directory.NewSet(s.shardCount())
	s.openHandshakes()
	if err := s.startShards(); err != nil {
		return err
	}
	s.giveWay()
	return nil
}

// override lets the command line have the last word.
func (s *Server) override() {
	e := &s.cfg.Engine
	if s.opts.Engine != "" {
		e.Backend = s.opts.Engine
	}
	if s.opts.Tier != "" {
		e.Tier = s.opts.Tier
	}
	if s.opts.Shards > 0 {
		e.Shards = s.opts.Shards
	}
}

func (s *Server) shardCount() int {
	if s.cfg.Engine.Shards > 0 {
		return s.cfg.Engine.Shards
	}
	return probe.CPUs()
}

// startDemo starts the upstreams that the embedded configuration names.
func startDemo() (func(), error) {
	var addrs []string
	for _, svc := range config.Default().Services {
		for _, e := range svc.Endpoints {
			addrs = append(addrs, fmt.Sprintf("%s:%d", e.Host, e.Port))
		}
	}
	_, stop, err := demo.Start(addrs...)
	if err != nil {
		return nil, fmt.Errorf("start the demo upstreams: %w; free the port, or run with --config FILE", err)
	}
	return stop, nil
}

func (s *Server) openAccessLog() error {
	al := s.snap.AccessLog
	if al.Path == "" {
		return nil
	}
	format := accesslog.JSON
	if al.Format == plan.LogCLF {
		format = accesslog.Combined
	}
	const ringBytes = 1 << 20
	var err error
	if s.rings, err = accesslog.NewRings(s.shardCount(), ringBytes, format); err != nil {
		return err
	}
	s.sink, err = sink.Open(s.rings, sink.Options{
		Path: al.Path, Stdout: s.opts.Stdout, Stderr: s.opts.Stderr, Log: s.log,
	})
	return err
}

// Prepare opens the listeners that a new snapshot has and the one in force has not.
func (s *Server) Prepare(snap *plan.Snapshot) error { return s.sockets.prepare(snap) }

// Publish hands a new snapshot to every shard. What they accept on follows as they adopt it.
func (s *Server) Publish(snap *plan.Snapshot) {
	s.drainLimit.Store(int64(snap.Timeouts.Drain))
	opened, retired := s.sockets.publish(snap)
	for _, id := range opened {
		l := &snap.Listeners[id]
		s.log.Info("listener added", "listener", l.Name, "address", where(l))
	}
	s.warnSmall(snap, opened)
	for _, id := range retired {
		l := &snap.Listeners[id]
		s.log.Info("listener removed", "listener", l.Name, "address", where(l))
	}
	for _, r := range s.shards {
		r.shard.Publish(snap)
	}
}

// stop releases what is still held, in the reverse order of start. The shards have ended, or never began.
func (s *Server) stop() {
	s.closeAdmin()
	s.closeHandshakes()
	if s.sink != nil {
		if err := s.sink.Close(); err != nil {
			s.log.Error("access log not completely written", "error", err)
		}
	}
	if s.rings != nil {
		_ = s.rings.Close() // an eventfd: nothing can be lost with it
	}
	if s.sockets != nil {
		s.sockets.close()
	}
	if s.metrics != nil {
		s.log.Info("stopped", "after", time.Since(s.started).Round(time.Millisecond),
			"summary", s.metrics.Snapshot().String(),
			s.held())
		s.logEngine()
	}
}

// logEngine says how hard the engine had to work.
func (s *Server) logEngine() {
	var sum engine.Stats
	for _, r := range s.shards {
		st := &r.shard.Stats
		sum.Polls += st.Polls
		sum.Syscalls += st.Syscalls
		sum.Events += st.Events
		sum.NoBufs += st.NoBufs
	}
	s.log.Info("engine", "turns", sum.Polls, "syscalls", sum.Syscalls, "events", sum.Events,
		"empty_buffer_classes", sum.NoBufs)
}

// ErrForced is what Run returns when a second signal ended it at once.
var ErrForced = errors.New("stopped before all requests were finished")
