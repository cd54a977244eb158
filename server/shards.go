package server

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/epoll"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/engine/probe"
	"github.com/uringproxy/uringproxy/engine/uring"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/proxy"
	"github.com/uringproxy/uringproxy/shard"
)

// running is a shard and the worker that it runs.
type running struct {
	shard  *shard.Shard
	worker *proxy.Worker
}

// upstreamShare: one descriptor in so many is kept for connections to upstreams when clients would take all.
const upstreamShare = 16

// startShards starts all shards; when one cannot start, those before it are stopped again.
func (s *Server) startShards() error {
	n := s.shardCount()
	cpus := []int(nil)
	if s.cfg.Engine.Pin {
		var err error
		if cpus, err = usableCores(); err != nil {
			return err
		}
	}
	files := descriptors()
	s.room = files - files/upstreamShare
	shared := proxy.NewShared(s.room)
	for i := range n {
		cpu := -1
		if len(cpus) > 0 {
			cpu = cpus[i%len(cpus)]
		}
		r, err := s.startShard(i, cpu, shared)
		if err != nil {
			s.abandon()
			s.wait()
			return err
		}
		s.shards = append(s.shards, r)
	}
	return nil
}

func (s *Server) startShard(id, cpu int, shared *proxy.Shared) (*running, error) {
	sh, err := shard.New(shard.Config{
		ID: id, CPU: cpu, Backend: s.backend(), Slots: s.slots(), Memory: divide(s.snap.Limits.BuffersPerShard),
	})
	if err != nil {
		return nil, fmt.Errorf("shard %d: %w", id, err)
	}
	port, err := s.handshakes.Port(sh.Backend.Wake)
	if err != nil {
		return nil, fmt.Errorf("shard %d: %w", id, err)
	}
	cfg := proxy.Config{
		Shared: shared, Shards: s.shardCount(), Sockets: shardSockets{s.sockets, id},
		Metrics: s.metrics.Shard(id), Seed: seed(), Port: port,
	}
	if s.rings != nil {
		cfg.Log = s.rings.Ring(id)
	}
	r := &running{shard: sh}
	err = sh.Start(s.snap, func(sh *shard.Shard) (shard.Handler, error) {
		w, err := proxy.New(sh, cfg)
		r.worker = w
		return w, err
	})
	if err != nil {
		return nil, fmt.Errorf("start shard %d: %w", id, err)
	}
	return r, nil
}

// held is what the shards have not given back when they have ended: zeros, unless something leaks or was cut off.
func (s *Server) held() slog.Attr {
	var connections, exchanges, chunks, buffers int
	for _, r := range s.shards {
		g := r.worker.Gauges()
		connections += g.Links
		exchanges += g.Exchanges + g.Tunnels + g.Associations
		chunks += g.Chunks
		buffers += g.SmallHeld + g.BulkHeld + g.HeadHeld + g.PipesHeld
	}
	return slog.Group("held", "connections", connections, "exchanges", exchanges, "chunks", chunks, "buffers", buffers)
}

func (s *Server) backend() engine.Backend {
	if s.choice.Engine == probe.Uring {
		return uring.New(uring.Options{Tier: s.choice.Tier})
	}
	return epoll.New()
}

// slots is how many connections of both sides and UDP sessions a shard has room for: as many as there can be
// descriptors, at most those that the limits allow.
func (s *Server) slots() int {
	n := wanted(&s.snap.Limits, true)
	if files := descriptors(); files < n {
		n = files
	}
	return min(n, 1<<24)
}

// wanted is how many descriptors the limits promise: one for each client and for what it is connected to, and one for
// each UDP session if there are any.
func wanted(l *plan.Limits, datagrams bool) int {
	const spare = 1024 // listeners, files, and connections to upstreams that linger beside those in use
	n := 2*l.Connections + spare
	if datagrams {
		n += l.Sessions
	}
	return n
}

// divide splits a shard's buffer memory among the classes: most of it for heads and small bodies, which every
// connection needs; a quarter for large bodies, which fall back to small buffers when it is spent; the rest for large
// heads and for TLS records that come in several pieces.
//
// As much again of the kernel's memory may lie in pipes, on its way between sockets.
func divide(bytes int64) mem.Sizes {
	const bulkBytes = 128 << 10
	small := bytes * 11 / 20 / (mem.Headroom + mem.SmallBytes)
	bulk := bytes / 4 / bulkBytes
	head := bytes / 10 / (mem.Headroom + mem.HeadBytes)
	record := bytes / 10 / mem.RecordBytes
	return mem.Sizes{
		Small: int(max(small, 64)), Bulk: int(max(bulk, 4)), Head: int(max(head, 4)), Record: int(max(record, 4)),
		BulkBytes: bulkBytes, Pipes: int(min(max(bytes/mem.PipeBytes, 4), mem.ShardPipes)),
	}
}

func seed() (s [4]uint64) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // it never fails; see crypto/rand
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return s
}

// usableCores are the cores that this process may run on.
func usableCores() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("read the cores this process may use: %w", err)
	}
	var cores []int
	for i := 0; len(cores) < set.Count(); i++ {
		if set.IsSet(i) {
			cores = append(cores, i)
		}
	}
	return cores, nil
}

// descriptors is the number of files that this process may have open.
func descriptors() int {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 1024
	}
	return int(min(lim.Cur, 1<<24))
}

// raiseDescriptors raises the soft limit of open files to the hard one, and says when that is less than the limits
// promise.
func (s *Server) raiseDescriptors() {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err == nil && lim.Cur < lim.Max {
		lim.Cur = lim.Max
		_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &lim) // the warning below covers failure
	}
	l, usual := &s.snap.Limits, &config.Default().Limits
	datagrams := slices.ContainsFunc(s.snap.Listeners, func(l plan.Listener) bool { return l.Protocol == plan.UDP })
	have, want := descriptors(), l.Connections
	if datagrams {
		want += l.Sessions
	}
	if have >= want {
		return
	}
	level := slog.LevelWarn
	if l.Connections == usual.Connections && l.Sessions == usual.Sessions {
		level = slog.LevelInfo // nobody has asked for so many
	}
	about := []any{"descriptors", have, "max_connections", l.Connections}
	if datagrams {
		about = append(about, "udp_sessions", l.Sessions)
	}
	advice := fmt.Sprintf("raise the hard limit, e.g. LimitNOFILE=%d for systemd",
		wanted(l, datagrams)+2*mem.ShardPipes*s.shardCount())
	s.log.Log(context.Background(), level,
		"fewer file descriptors than the limits allow clients; further ones wait until others leave",
		append(about, "advice", advice)...)
}
