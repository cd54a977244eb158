// Package shard is one core: an event loop on a locked thread, and what the loop owns: an I/O backend, the connection
// table, the buffer arena, the timer wheel, the clock, and the configuration snapshot that is current.
//
// Invariants: everything in a Shard but Post, Publish and Wake is used on the shard's thread only; a new snapshot is
// adopted between two turns, never within one; a turn is one Poll and the work of its events, and nothing in it blocks.
//
// It imports engine and plan, and knows nothing of HTTP: what the events mean is the Handler's business (proxy).
package shard

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/internal/sched"
	"github.com/uringproxy/uringproxy/plan"
)

// Handler is what a shard runs: the proxy's state machines. All methods are called on the shard's thread.
type Handler interface {
	// Event handles one event; it is valid during the call only.
	Event(ev *engine.Event)
	// Expired says that the deadline of a slot has passed. The deadline is cleared.
	Expired(slot uint32)
	// Adopt says that a new snapshot has become current.
	Adopt()
	// TurnEnd comes after all events and deadlines of a turn.
	TurnEnd()
}

// Config is what a shard is made of.
type Config struct {
	ID      int
	CPU     int // core to pin the thread to; -1: none
	Backend engine.Backend
	Slots   int // connections of both sides
	Memory  mem.Sizes
	// Clock reads a monotonic time in nanoseconds, never 0; nil: the system's.
	Clock func() int64
}

// Shard is one core's loop and all it owns.
type Shard struct {
	// Immutable after Start.
	ID      int
	Backend engine.Backend
	Conns   *engine.Table
	Mem     *mem.Arena
	Wheel   *Wheel // by slot; one more, behind the last connection, is the handler's own
	cpu     int
	thread  int // the thread's ID; set by Start

	// Owned by the shard's thread.
	Stats   engine.Stats
	handler Handler
	expired func(slot uint32) // the handler's Expired, bound once: a method value made in a turn would be an allocation
	clock   clock
	pins    pins
	stopped bool
	yielded int64 // when the loop last passed through the Go scheduler
	events  [256]engine.Event

	// Any goroutine.
	mail      mailbox
	published atomic.Pointer[plan.Snapshot]
	handedAt  atomic.Int64 // when that was published; 0: it is the first
	done      chan struct{}
	err       error // why the loop ended; valid after done
}

// New reserves a shard's memory. Nothing runs yet.
func New(cfg Config) (*Shard, error) {
	conns, err := engine.NewTable(cfg.Slots)
	if err != nil {
		return nil, err
	}
	arena, err := mem.NewArena(cfg.Memory)
	if err != nil {
		return nil, err
	}
	return &Shard{
		ID: cfg.ID, cpu: cfg.CPU, Backend: cfg.Backend, Conns: conns, Mem: arena, Wheel: NewWheel(cfg.Slots + 1),
		clock: newClock(cfg.Clock), done: make(chan struct{}),
	}, nil
}

// Start locks a thread, opens the shard on it and runs turn after turn until Stop. It returns when the loop runs or
// could not be started.
func (s *Shard) Start(first *plan.Snapshot, attach func(*Shard) (Handler, error)) error {
	ready := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and with it the ring it owns
		defer close(s.done)
		sched.ShortSlices() // to be served as soon as there is something, beside what computes on the same core
		s.thread = unix.Gettid()
		if err := s.Open(first, attach); err != nil {
			ready <- err
			return
		}
		ready <- nil
		s.err = s.loop()
		s.Backend.Shutdown()
	}()
	return <-ready
}

// Open makes the calling thread the shard's: it opens the backend on it, and adopts the first snapshot with the handler
// that attach returns when the backend is open. Start does so; only who turns the shard by hand calls it.
func (s *Shard) Open(first *plan.Snapshot, attach func(*Shard) (Handler, error)) error {
	s.published.Store(first)
	if s.cpu >= 0 {
		var set unix.CPUSet
		set.Set(s.cpu)
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("pin shard %d to core %d: %w", s.ID, s.cpu, err)
		}
	}
	if err := s.Backend.Open(engine.Env{Conns: s.Conns, Mem: s.Mem, Stats: &s.Stats}); err != nil {
		return err
	}
	h, err := attach(s)
	if err != nil {
		s.Backend.Shutdown()
		return err
	}
	s.handler, s.expired = h, h.Expired
	s.adopt()
	s.handler.TurnEnd() // whatever the handler has to start with, such as accepting
	return nil
}

// loop is the whole life of a shard: turn after turn until Stop.
func (s *Shard) loop() error {
	for !s.stopped {
		if err := s.Turn(); err != nil {
			return err
		}
		s.yield()
	}
	return nil
}

// Turn is one Poll and the work of what it brought. On the shard's thread, after Open. An error means that the backend
// is unusable.
func (s *Shard) Turn() error {
	n, err := s.Backend.Poll(s.patience(), s.events[:])
	if err != nil {
		return fmt.Errorf("shard %d: %w", s.ID, err)
	}
	s.clock.advance()
	s.adopt()
	for i := range s.events[:n] {
		s.handler.Event(&s.events[i])
	}
	s.Wheel.Advance(s.clock.now, s.expired)
	s.mail.deliver()
	s.handler.TurnEnd()
	return nil
}

// yieldEvery is how often the loop passes through the Go scheduler. A goroutine that never does so for 10 ms looks to
// the runtime's monitor like one that has to be preempted: it takes the shard's processor away whenever it finds the
// shard in a system call, and looks again every 20 µs as long as it is successful. That cost 8 % of the CPU time of a
// loaded shard; a pass through the scheduler costs some 10 µs.
const yieldEvery = int64(8 * time.Millisecond)

func (s *Shard) yield() {
	if s.clock.now-s.yielded >= yieldEvery {
		s.yielded = s.clock.now
		runtime.Gosched()
	}
}

// patience is how long Poll may wait for the next deadline, in nanoseconds; negative: for ever. It is reckoned from the
// beginning of this turn, which is late by a fraction of the wheel's tick at most.
func (s *Shard) patience() int64 {
	next := s.Wheel.Next()
	if next < 0 {
		return -1
	}
	return max(0, next-s.clock.now)
}

// adopt makes a newly published snapshot the current one.
func (s *Shard) adopt() {
	next := s.published.Load()
	if next == s.pins.current() {
		return
	}
	s.pins.advance(next)
	s.handler.Adopt()
}

// Thread is the ID of the thread that Start locked.
func (s *Shard) Thread() int { return s.thread }

// Stop ends the loop after the current turn. On the shard's thread.
func (s *Shard) Stop() { s.stopped = true }

// Done is closed when the loop has ended; Err then says why: nil after Stop.
func (s *Shard) Done() <-chan struct{} { return s.done }
func (s *Shard) Err() error            { return s.err }

// Publish makes snap the snapshot that the shard adopts at its next turn. Any goroutine.
func (s *Shard) Publish(snap *plan.Snapshot) {
	s.handedAt.Store(s.clock.read())
	s.published.Store(snap)
	s.Backend.Wake()
}

// Post has f called on the shard's thread, soon. Any goroutine. After Done it is never called.
func (s *Shard) Post(f func()) {
	s.mail.post(f)
	s.Backend.Wake()
}

// Now is the turn's time in nanoseconds on a monotonic clock that starts near 1. It is read once a turn.
func (s *Shard) Now() int64 { return s.clock.now }

// Read is the time at this moment, to be compared with Now. A reading takes some 40 nanoseconds: it is for what is
// measured now and then.
func (s *Shard) Read() int64 { return s.clock.read() }

// Elapsed is how long ago Read returned that time, in nanoseconds. What a reading takes is left out.
func (s *Shard) Elapsed(since int64) int64 { return max(0, s.clock.read()-since-s.clock.cost) }

// SinceUpdate is how long ago the snapshot that was published last was published; negative when none has been since the
// first.
func (s *Shard) SinceUpdate() int64 {
	at := s.handedAt.Load()
	if at == 0 {
		return -1
	}
	return max(0, s.clock.read()-at)
}

// Wall is the turn's wall clock time in nanoseconds since 1970.
func (s *Shard) Wall() int64 { return s.clock.now + s.clock.offset }

// Snapshot is the current snapshot.
func (s *Shard) Snapshot() *plan.Snapshot { return s.pins.current() }

// Pin keeps the current snapshot for an exchange, and names it. Each Pin needs one Unpin.
func (s *Shard) Pin() uint32 { return s.pins.pin() }

// Hold pins once more what a pin names, which need not be current any more. It returns the pin.
func (s *Shard) Hold(pin uint32) uint32 { return s.pins.hold(pin) }

// Pinned is the snapshot that a pin names.
func (s *Shard) Pinned(pin uint32) *plan.Snapshot { return s.pins.entries[pin].snap }

// Unpin lets it go.
func (s *Shard) Unpin(pin uint32) { s.pins.unpin(pin) }

// Oldest is the generation of the oldest snapshot in use.
func (s *Shard) Oldest() uint64 { return s.pins.oldest }

// Snapshots is the number of snapshots in use: the current one and those that are pinned.
func (s *Shard) Snapshots() int { return s.pins.held() }
