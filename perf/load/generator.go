// Package load sends HTTP/1.1 requests, or messages on connections and WebSockets and in datagrams that are to come
// back, and checks every byte of every answer. It also takes streams without end, whose bytes it counts.
//
// In an open loop requests are due at a constant rate, at times that do not depend on the answers to earlier ones, and
// their latency counts from then, even if no connection was free. So what a stalled proxy does to all who come
// meanwhile is seen in full (a generator that waits for answers leaves those out). In a closed loop every connection
// asks again as soon as it is answered, which finds out how much a proxy can do. Connections may carry one request
// each, or several at once; bodies of any size go either way; streams and idle connections stay beside them.
//
// Connections may be encrypted: the handshake is that of crypto/tls, the records behind it are those of tls/record. A
// mistake that the proxy and we make alike in them would show with other proxies.
//
// One thread does everything, with epoll; nothing is allocated per request. It imports perf/histogram, perf/chunked and
// tls/record, and only programs under perf and the command that runs benchmarks import it.
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
	// longestWait is how long nothing is looked at unless something arrives.
	longestWait = 20 * time.Millisecond
)

// Loader is the connections to one proxy, or what is in their place. It belongs to one goroutine.
type Loader interface {
	// Run loads the proxy for a phase.
	Run(p Phase) (*Result, error)
	// Close closes everything.
	Close()
}

// Start makes the loader for what is spoken.
func Start(cfg Config) (Loader, error) {
	switch cfg.Wire {
	case Bulk:
		return newStreams(cfg)
	case Datagrams:
		return newDatagrams(cfg)
	}
	return New(cfg)
}

// Generator is the loader of requests, and of messages on connections.
type Generator struct {
	cfg      Config
	addr     unix.SockaddrInet4
	sources  []unix.SockaddrInet4 // where connections come from; none: anywhere
	source   int                  // of the last one
	texts    [idler + 1]message   // by role
	contents contents
	heads    heads
	echo     *echo   // nil: HTTP is spoken
	in       []byte  // what is read
	secure   *secure // nil: nothing is encrypted

	epoll   int
	events  []unix.EpollEvent // room for all: a close that has come is seen before the connection is used again
	conns   []conn            // requesters, streamers, idlers
	free    ring
	down    int           // connections that wait for a retry
	retryAt time.Duration // when they get it
	resting int           // idle connections that are open,
	gone    int           // and that were
	serial  uint64        // of the last message

	// Of the phase that runs. Times count from its start, warming included.
	start      time.Time
	clock      time.Duration // when the last event was
	warm       time.Duration // what is due before is not recorded
	schedule   schedule
	closedLoop bool
	next       int           // request that is sent next
	inFlight   int           // requests without an answer
	freeSince  time.Duration // since when there has been a free connection
	allowed    []bool        // by service
	tally      *tally
	warming    *tally // of what is not recorded
}

// New opens the connections. Whether those that carry requests can be had is seen in the first phase; idle ones that
// cannot, or get another answer than they should, are an error.
func New(cfg Config) (*Generator, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	g := &Generator{cfg: cfg, addr: unix.SockaddrInet4{Port: int(cfg.Addr.Port()), Addr: cfg.Addr.Addr().As4()}}
	var err error
	if cfg.TLS != nil {
		if g.secure, err = newSecure(&g.cfg); err != nil {
			return nil, err
		}
	}
	if g.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create epoll set: %w", err)
	}
	stream := cfg.head("GET", StreamPath, 0, false)
	g.texts = [...]message{
		requester: cfg.message(cfg.PerRequest), streamer: {text: stream, head: len(stream)}, idler: cfg.message(false),
	}
	if cfg.Wire != HTTP {
		g.echo = newEcho(&cfg)
		text := message{text: g.echo.text, head: len(g.echo.text)}
		g.texts = [...]message{requester: text, idler: text}
	}
	g.contents = newContents(&cfg)
	g.in = make([]byte, readBytes)
	g.conns = make([]conn, cfg.all())
	g.events = make([]unix.EpollEvent, max(cfg.all()-cfg.Idle, atOnce))
	g.free.slots = make([]int32, cfg.Conns)
	g.chooseSources()
	g.begin(Phase{Services: cfg.Services})
	dues := make([]time.Duration, (cfg.Conns+1)*cfg.Pipeline)
	for i := range g.conns {
		c := &g.conns[i]
		*c = conn{index: int32(i), fd: -1, state: gone, dues: dues[min(i, cfg.Conns)*cfg.Pipeline:][:cfg.Pipeline]}
		switch {
		case i < cfg.Conns:
			g.reopen(c)
		case i < cfg.Conns+cfg.Streams:
			c.role = streamer
			g.open(c)
		case i < cfg.all()-cfg.Idle:
			c.role = halfOpener
			g.open(c)
		default:
			c.role = idler
		}
	}
	if err := g.openIdle(); err != nil {
		g.Close()
		return nil, err
	}
	g.abandonAll()
	return g, nil
}

// Close closes everything.
func (g *Generator) Close() {
	for i := range g.conns {
		g.conns[i].close()
	}
	_ = unix.Close(g.epoll)
}

// Run loads the proxy for a phase, and returns when every request has its answer, or will never have one.
func (g *Generator) Run(p Phase) (*Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := sharpTimers(true); err != nil {
		return nil, err
	}
	defer func() { _ = sharpTimers(false) }() // what could be set can be set back
	g.begin(p)
	defer g.abandonAll()
	if g.cfg.TLS != nil && g.cfg.TLS.Resume {
		if err := g.renew(); err != nil {
			return nil, err
		}
	}
	if err := g.settle(); err != nil {
		return nil, err
	}
	g.start, g.clock, g.freeSince, g.retryAt = time.Now(), 0, 0, 0
	g.schedule, g.closedLoop = newSchedule(p.Rate, p.Warm+p.Length), p.Rate == 0
	end := p.Warm + p.Length
	for {
		g.dispatch()
		g.clock = g.now()
		if g.schedule.over(g.next, g.clock) && g.inFlight == 0 && g.clock >= end || g.clock > end+grace {
			break
		}
		if err := g.wait(g.untilNext()); err != nil {
			return nil, err
		}
	}
	g.end()
	return g.tally.result(g.cfg.Services), nil
}

// begin prepares the counts of a phase, in which nothing is due yet.
func (g *Generator) begin(p Phase) {
	g.tally, g.warming = newTally(len(g.cfg.Services)), newTally(len(g.cfg.Services))
	g.allowed = make([]bool, len(g.cfg.Services))
	for i, name := range g.cfg.Services {
		for _, s := range p.Services {
			g.allowed[i] = g.allowed[i] || s == name
		}
	}
	g.schedule, g.closedLoop = schedule{}, false
	g.next, g.inFlight, g.warm = 0, 0, p.Warm
	g.start, g.clock, g.retryAt = time.Now(), 0, 0
}

// settle looks at what has happened since the last phase: streams went on, idle connections may have been closed.
func (g *Generator) settle() error {
	for g.now() < retry {
		if err := g.wait(retry - g.now()); err != nil {
			return err
		}
	}
	for i := range g.conns {
		g.conns[i].stream.last = -1
	}
	return nil
}

// end counts what is still missing, and takes the requests without an answer from their connections.
func (g *Generator) end() {
	t := g.tally
	t.Began, t.Elapsed, t.Idle = g.start.Add(g.warm), g.clock-g.warm, g.resting
	if !g.closedLoop {
		unsent := g.schedule.total - max(g.next, g.schedule.first(g.warm))
		t.Requests += unsent
		t.Errors.Unanswered += unsent
	}
	g.schedule = schedule{}
	for i := range g.conns {
		c := &g.conns[i]
		if c.role == requester && c.waiting() > 0 {
			for _, due := range c.dues[c.answered:c.asked] {
				g.tallyOf(due).Errors.Unanswered++
			}
			g.inFlight -= c.waiting()
			g.reopen(c)
		}
		if c.role == halfOpener && c.state == resting {
			t.HalfOpen++
		}
		if s := &c.stream; c.role == streamer && s.last >= 0 {
			t.Gap = max(t.Gap, g.clock-s.last)
		}
	}
	if t.Errors.Unanswered > 0 {
		t.sample("%d requests without an answer %s after the end", t.Errors.Unanswered, grace)
	}
}

// tallyOf is where what was due at a time is counted, or what happened then that belongs to no request.
func (g *Generator) tallyOf(at time.Duration) *tally {
	if at < g.warm {
		return g.warming
	}
	return g.tally
}

// dispatch sends the requests that are due, as far as there are connections.
func (g *Generator) dispatch() {
	for g.schedule.due(g.next, g.clock) {
		c := g.takeFree()
		if c == nil {
			return
		}
		g.take(c)
		g.clock = g.now()
	}
}

// untilNext is how long there is nothing to do unless something arrives.
func (g *Generator) untilNext() time.Duration {
	until := g.clock + longestWait
	switch {
	case !g.closedLoop && !g.schedule.over(g.next, g.clock) && g.free.count > 0:
		until = min(until, g.schedule.at(g.next))
	case g.clock < g.schedule.end:
		until = min(until, g.schedule.end)
	}
	if g.down > 0 {
		until = min(until, g.retryAt)
	}
	return until - g.clock
}

func (g *Generator) now() time.Duration { return time.Since(g.start) }
