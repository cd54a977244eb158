// Package load sends HTTP/1.1 requests over a fixed number of kept connections at a constant rate, and holds streams
// open beside them.
//
// The loop is open: a request is due at a time that does not depend on the answers to earlier ones, and its latency
// counts from then, even if no connection was free. So what a stalled proxy does to all who come meanwhile is seen in
// full (a generator that waits for answers leaves those out). Every answer is checked, byte by byte, and so is every
// piece of a stream. One thread does everything, with epoll; nothing is allocated per request. Only programs under perf
// import it.
package load

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// grace is how long after the end of a phase answers are waited for.
	grace = 10 * time.Second
	// retry is the pause after a connection failed.
	retry = 10 * time.Millisecond
	// soon is a wait that is not worth a timer.
	soon = 5 * time.Microsecond
)

// Generator is the connections to one proxy. It belongs to one goroutine.
type Generator struct {
	cfg    Config
	addr   unix.SockaddrInet4
	bodies [][]byte // by service
	asks   [2][]byte

	epoll, timer int
	events       []unix.EpollEvent // room for all: a close that has come is seen before the connection is used again
	conns        []conn
	free         ring
	down         int           // connections that wait for a retry
	retryAt      time.Duration // when they get it

	// Of the phase that runs.
	schedule  schedule
	start     time.Time
	next      int           // request that is sent next
	inFlight  int           // requests without an answer
	freeSince time.Duration // since when there has been a free connection
	allowed   []bool        // by service
	tally     *tally
}

// New opens the connections. Whether they can be had is seen in the first phase.
func New(cfg Config) (*Generator, error) {
	if !cfg.Addr.Addr().Is4() {
		return nil, fmt.Errorf("load %v: not an IPv4 address", cfg.Addr)
	}
	g := &Generator{cfg: cfg, addr: unix.SockaddrInet4{Port: int(cfg.Addr.Port()), Addr: cfg.Addr.Addr().As4()}}
	for _, name := range cfg.Services {
		g.bodies = append(g.bodies, Body(name))
	}
	for i, path := range []string{AnswerPath, StreamPath} {
		g.asks[i] = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, cfg.Host)
	}
	var err error
	if g.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create epoll set: %w", err)
	}
	if g.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK); err != nil {
		_ = unix.Close(g.epoll)
		return nil, fmt.Errorf("create timer: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: timerIndex}
	if err := unix.EpollCtl(g.epoll, unix.EPOLL_CTL_ADD, g.timer, &event); err != nil {
		g.Close()
		return nil, fmt.Errorf("watch timer: %w", err)
	}
	g.begin(Phase{})
	g.conns = make([]conn, cfg.Conns+cfg.Streams)
	g.events = make([]unix.EpollEvent, len(g.conns)+1)
	g.free.slots = make([]int32, cfg.Conns)
	for i := range g.conns {
		c := &g.conns[i]
		*c = conn{index: int32(i), fd: -1, in: make([]byte, 0, responseBytes)}
		if i >= cfg.Conns {
			c.stream = new(stream)
		}
		g.open(c)
	}
	return g, nil
}

// Close closes everything.
func (g *Generator) Close() {
	for i := range g.conns {
		g.conns[i].close()
	}
	_ = unix.Close(g.timer)
	_ = unix.Close(g.epoll)
}

// Run loads the proxy for a phase, and returns when every request has its answer, or will never have one.
func (g *Generator) Run(p Phase) (*Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g.begin(p)
	if err := g.settle(); err != nil {
		return nil, err
	}
	g.start, g.freeSince = time.Now(), 0
	var now time.Duration
	for {
		g.dispatch()
		now = g.now()
		if g.schedule.over(g.next, now) && g.inFlight == 0 && now >= p.Length || now > p.Length+grace {
			break
		}
		if err := g.wait(g.untilNext(now)); err != nil {
			return nil, err
		}
	}
	g.end(now)
	return g.tally.result(g.cfg.Services), nil
}

// begin prepares the counts of a phase.
func (g *Generator) begin(p Phase) {
	g.tally = newTally(len(g.cfg.Services))
	g.allowed = make([]bool, len(g.cfg.Services))
	for i, name := range g.cfg.Services {
		for _, s := range p.Services {
			g.allowed[i] = g.allowed[i] || s == name
		}
	}
	g.schedule = newSchedule(p.Rate, p.Length)
	g.next, g.freeSince, g.retryAt, g.start = 0, 0, 0, time.Now()
	for i := range g.conns {
		if s := g.conns[i].stream; s != nil {
			s.last = -1
		}
	}
}

// settle looks at what has happened since the last phase: streams went on, idle connections may have been closed.
func (g *Generator) settle() error {
	for g.now() < retry {
		if err := g.wait(retry - g.now()); err != nil {
			return err
		}
	}
	for i := range g.conns {
		if s := g.conns[i].stream; s != nil {
			s.last = -1
		}
	}
	return nil
}

// end counts what is still missing, and takes the requests without an answer from their connections.
func (g *Generator) end(now time.Duration) {
	t := g.tally
	t.Elapsed = now
	t.Requests = g.next
	if g.schedule.rate > 0 {
		t.Requests = g.schedule.total
	}
	t.Errors.Unanswered += t.Requests - g.next
	for i := range g.conns {
		c := &g.conns[i]
		if c.state == busy && c.stream == nil {
			t.Errors.Unanswered++
			g.inFlight--
			g.reopen(c)
		}
		if s := c.stream; s != nil && s.last >= 0 {
			t.Gap = max(t.Gap, now-s.last)
		}
	}
	if t.Errors.Unanswered > 0 {
		t.sample("%d requests without an answer %s after the end", t.Errors.Unanswered, grace)
	}
}

// dispatch sends the requests that are due, as far as there are connections.
func (g *Generator) dispatch() {
	now := g.now()
	for g.schedule.due(g.next, now) {
		c := g.takeFree()
		if c == nil {
			return
		}
		c.due = g.schedule.at(g.next)
		if g.schedule.rate == 0 {
			c.due = now
		}
		g.next++
		g.inFlight++
		g.tally.lag.Record(now - max(c.due, g.freeSince))
		g.ask(c)
		now = g.now()
	}
}

// untilNext is how long there is nothing to do unless something arrives.
func (g *Generator) untilNext(now time.Duration) time.Duration {
	until := g.schedule.end + grace
	switch {
	case !g.schedule.over(g.next, now) && g.free.count > 0:
		until = g.schedule.at(g.next)
	case now < g.schedule.end:
		until = g.schedule.end
	}
	if g.down > 0 {
		until = min(until, g.retryAt)
	}
	return until - now
}

// wait handles what arrives, or returns when d has passed.
func (g *Generator) wait(d time.Duration) error {
	timeout := 0
	if d > soon {
		timeout = -1
		at := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))}
		if err := unix.TimerfdSettime(g.timer, 0, &at, nil); err != nil {
			return fmt.Errorf("set timer: %w", err)
		}
	}
	n, err := unix.EpollWait(g.epoll, g.events, timeout)
	if err != nil && err != unix.EINTR {
		return fmt.Errorf("wait for events: %w", err)
	}
	for _, e := range g.events[:max(n, 0)] {
		if e.Fd == timerIndex {
			continue // setting it anew takes back that it has expired
		}
		if c := &g.conns[e.Fd]; c.generation == e.Pad && c.fd >= 0 {
			g.handle(c, e.Events)
		}
	}
	if g.down > 0 && g.now() >= g.retryAt {
		g.reopenDown()
	}
	return nil
}

func (g *Generator) now() time.Duration { return time.Since(g.start) }
