package server

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/control"
)

// signals are what the process is told from outside.
type signals struct{ c chan os.Signal }

func catchSignals() signals {
	c := make(chan os.Signal, 8)
	signal.Notify(c, unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGUSR1)
	return signals{c}
}

func (s signals) stop() { signal.Stop(s.c) }

// serve waits until the end is asked for, or a shard fails.
func (s *Server) serve(ctx context.Context, sig signals) error {
	s.banner()
	s.cfg, s.snap = nil, nil // they may be large, and will not be in force for as long as the process lives
	failed := s.anyDone()
	for {
		select {
		case <-ctx.Done():
			return s.drain("context ended", sig)
		case <-failed:
			return s.failed()
		case got := <-sig.c:
			switch got {
			case unix.SIGHUP:
				go s.control.Reload(ctx, control.BySignal) // a long one must not keep other signals waiting
			case unix.SIGUSR1:
				s.reopenLog()
			default:
				return s.drain(got.String(), sig)
			}
		}
	}
}

// reloaded reads again, after an attempt to change the configuration, what belongs to it outside of its files.
func (s *Server) reloaded(*control.Attempt) { s.renewToken() }

func (s *Server) reopenLog() {
	if s.sink == nil {
		s.log.Info("access log is off, nothing to reopen")
		return
	}
	if err := s.sink.Reopen(); err != nil {
		s.log.Error("access log not reopened, the old file stays in use", "error", err)
		return
	}
	s.log.Info("access log reopened")
}

// drain stops accepting, lets running requests finish until the deadline, and ends the shards. A second signal ends at
// once.
func (s *Server) drain(why string, sig signals) error {
	s.draining.Store(true)
	s.control.Close() // a snapshot that came now would open listeners again
	limit := time.Duration(s.drainLimit.Load())
	s.refuse()
	s.log.Info("draining", "reason", why, "deadline", limit)
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	ended := make(chan struct{})
	go func() { s.wait(); close(ended) }()
	for {
		select {
		case <-ended:
			return s.firstError()
		case <-deadline.C:
			cut := s.abandon()
			<-ended
			if cut > 0 {
				s.log.Warn("drain deadline passed, requests cut off", "requests", cut)
			}
			return s.firstError()
		case got := <-sig.c:
			if got == unix.SIGHUP || got == unix.SIGUSR1 {
				continue
			}
			s.log.Warn("second signal, ending at once", "signal", got.String())
			s.abandon()
			<-ended
			return ErrForced
		}
	}
}

// refuse has the shards stop accepting, and closes the listening sockets then: new clients are refused at once, or
// reach another process that listens on the same address, instead of waiting for somebody who never accepts them.
func (s *Server) refuse() {
	for _, r := range s.shards {
		draining := make(chan struct{})
		r.shard.Post(func() {
			r.worker.Drain(r.shard.Stop)
			close(draining)
		})
		select {
		case <-draining:
		case <-r.shard.Done():
		}
	}
	s.sockets.close()
}

// abandon ends whatever the shards are still doing and returns how many exchanges that cut off.
func (s *Server) abandon() (cut int) {
	counts := make([]int, len(s.shards)) // each is its shard's until that has ended
	for i, r := range s.shards {
		r.shard.Post(func() {
			r.worker.Drain(r.shard.Stop)
			counts[i] = r.worker.Abandon()
		})
	}
	s.wait()
	for _, n := range counts {
		cut += n
	}
	return cut
}

func (s *Server) wait() {
	for _, r := range s.shards {
		<-r.shard.Done()
	}
}

// anyDone is closed when the first shard has ended, which nobody asked for.
func (s *Server) anyDone() <-chan struct{} {
	c := make(chan struct{}, len(s.shards))
	for _, r := range s.shards {
		go func() { <-r.shard.Done(); c <- struct{}{} }()
	}
	return c
}

func (s *Server) firstError() error {
	for _, r := range s.shards {
		if err := r.shard.Err(); err != nil {
			return err
		}
	}
	return nil
}

// failed ends the process when a shard's backend became unusable: half a proxy would be worse than a restart.
func (s *Server) failed() error {
	err := s.firstError()
	s.abandon()
	s.wait()
	return fmt.Errorf("a shard failed: %w", err)
}
