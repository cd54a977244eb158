package load

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/tls/record"
)

const (
	// Events are told once, when something arrives, so that connections without input cost nothing. Room for output is
	// watched from when it is missing first.
	watchInput  = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET
	watchOutput = watchInput | unix.EPOLLOUT
	// hangup are the events after which nothing comes any more.
	hangup = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
)

type state uint8

const (
	closed     state = iota // until it is opened again
	connecting              // TCP's handshake runs,
	shaking                 // then that of TLS,
	upgrading               // or the one that makes a WebSocket of it
	idle                    // in the ring of free connections, or soon; with PerRequest it is no connection then
	busy                    // requests are without an answer, or a stream runs
	resting                 // one of Config.Idle, after its answer, or of Config.HalfOpen
	gone                    // one of Config.Idle that was closed
)

type role uint8

const (
	requester role = iota
	streamer
	halfOpener
	idler
)

// conn is one connection.
type conn struct {
	index, generation int32
	fd                int // -1: none
	state             state
	role              role
	queued            bool // its index is in the ring of free connections, whatever its state
	watchesOutput     bool
	ending            bool // the peer sends nothing more

	dues            []time.Duration // when the requests that it carries were to be sent
	asked, answered int             // how many that are, and have been answered
	size, sent      int64           // bytes of these requests
	answer          answer
	stamp           uint64 // of the message that is to come back
	partial         []byte // the begin of a head that is not whole
	stream          stream

	shake  *shake        // the TLS handshake; nil: none runs
	layer  *record.Layer // the records behind it; nil: there never was one
	held   []byte        // the begin of a record that is not whole
	sealed []byte        // records that the socket had no room for
}

// opening reports whether the connection is not there yet, and has no request.
func (c *conn) opening() bool {
	return (c.state == connecting || c.state == shaking || c.state == upgrading) && c.asked == 0
}

// waiting is how many requests have no answer.
func (c *conn) waiting() int { return c.asked - c.answered }

func (c *conn) close() {
	if c.fd >= 0 {
		_ = unix.Close(c.fd) // takes it out of the epoll set as well
	}
	if c.shake != nil {
		c.shake.abandon()
	}
	c.fd, c.state = -1, closed
	c.generation++
	c.watchesOutput, c.ending = false, false
	c.asked, c.answered, c.size, c.sent = 0, 0, 0, 0
	c.answer, c.partial = answer{}, c.partial[:0]
	c.shake, c.held, c.sealed = nil, c.held[:0], c.sealed[:0]
}

// open begins to connect. If that fails, it is tried again after a pause.
func (g *Generator) open(c *conn) {
	c.stream = stream{last: -1}
	c.state = connecting
	if err := g.connect(c, watchOutput); err != nil {
		g.ended(c, err)
	}
}

// connect opens a socket that sends what it is given at once.
func (g *Generator) connect(c *conn, events uint32) (err error) {
	c.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		c.fd = -1
		return err
	}
	if err = unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err == nil && len(g.sources) > 0 {
		err = g.bind(c.fd)
	}
	if err == nil {
		err = unix.Connect(c.fd, &g.addr)
	}
	if err == nil || err == unix.EINPROGRESS {
		c.watchesOutput = events == watchOutput
		err = g.watch(c, unix.EPOLL_CTL_ADD, events)
	}
	return err
}

func (g *Generator) watch(c *conn, op int, events uint32) error {
	event := unix.EpollEvent{Events: events, Fd: c.index, Pad: c.generation}
	return unix.EpollCtl(g.epoll, op, c.fd, &event)
}

// sourceCount is how many addresses connections come from, where one has too few ports: those of connections that
// ended stay taken for a while.
const sourceCount = 32

// portsEnough is how many connections one address surely has ports for.
const portsEnough = 20_000

// chooseSources finds out from where connections come: from wherever the kernel says, or in turn from many addresses,
// which only loopback has.
func (g *Generator) chooseSources() {
	to := g.cfg.Addr.Addr()
	if !to.IsLoopback() || !g.cfg.PerRequest && len(g.conns) < portsEnough {
		return
	}
	g.sources = make([]unix.SockaddrInet4, sourceCount)
	for i := range g.sources {
		g.sources[i].Addr = [4]byte{127, 0, 1, byte(1 + i)}
	}
}

// bind gives a socket the next address. Its port is chosen when it connects, where it is known which ones are free.
func (g *Generator) bind(fd int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	g.source = (g.source + 1) % len(g.sources)
	return unix.Bind(fd, &g.sources[g.source])
}

// pause has a closed connection opened again a little later.
func (g *Generator) pause(c *conn) {
	c.close()
	if g.down == 0 {
		g.retryAt = g.clock + retry
	}
	g.down++
}

// reopenDown opens the connections that had to pause.
func (g *Generator) reopenDown() {
	g.down = 0
	for i := range g.conns {
		if c := &g.conns[i]; c.state == closed {
			g.reopen(c)
		}
	}
}

// reopen replaces a connection by a new one, or by the right to open one.
func (g *Generator) reopen(c *conn) {
	c.close()
	if g.cfg.PerRequest && c.role == requester {
		g.release(c)
		return
	}
	g.open(c)
}

// connected is called when TCP's handshake has ended, one way or the other.
func (g *Generator) connected(c *conn) {
	code, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	switch {
	case err != nil:
		g.ended(c, err)
	case c.role == halfOpener:
		c.state = resting
		if _, err := unix.Write(c.fd, g.secure.half); err != nil {
			g.ended(c, err)
		}
	case g.secure != nil:
		g.encrypt(c)
	case g.cfg.Wire == WebSocket:
		g.upgrade(c)
	default:
		g.ready(c)
	}
}

// ready is called when a connection can be used.
func (g *Generator) ready(c *conn) {
	switch {
	case c.waiting() > 0: // it was opened for them
		c.state = busy
		g.send(c)
	case c.role == requester:
		g.release(c)
	default:
		g.ask(c, 1)
	}
}

// release makes a connection free for the next requests.
func (g *Generator) release(c *conn) {
	c.state = idle
	if g.closedLoop && g.clock < g.schedule.end {
		g.take(c)
		return
	}
	if g.free.count == 0 {
		g.freeSince = g.clock
	}
	if !c.queued {
		c.queued = true
		g.free.put(c.index)
	}
}

// takeFree takes the connection that has been free for longest; nil when there is none.
func (g *Generator) takeFree() *conn {
	for g.free.count > 0 {
		c := &g.conns[g.free.take()]
		c.queued = false
		if c.state == idle {
			return c
		}
	}
	return nil
}

// ring is a queue of connections.
type ring struct {
	slots       []int32
	head, count int
}

func (r *ring) put(i int32) {
	r.slots[(r.head+r.count)%len(r.slots)] = i
	r.count++
}

func (r *ring) take() int32 {
	i := r.slots[r.head]
	r.head = (r.head + 1) % len(r.slots)
	r.count--
	return i
}
