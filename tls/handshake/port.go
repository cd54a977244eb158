package handshake

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/tls/record"
)

// PoolOptions bound what handshakes may take.
type PoolOptions struct {
	Shards   int  // how many Ports there will be; each has its share of what follows
	InFlight int  // handshakes with clients on their way at the same time; and as many with servers
	Waiting  int  // handshakes with clients in the line; and as many with servers
	Relay    bool // do not hand over: conversations go on as record layers
}

// Pool is all handshakes of a process.
type Pool struct {
	options PoolOptions
	mu      sync.Mutex // of ports, while they are made
	ports   []*Port
	workers sync.WaitGroup // threads, and goroutines of conversations that are relayed
}

// NewPool makes a pool. It must be closed.
func NewPool(options PoolOptions) *Pool {
	options.Shards = max(options.Shards, 1)
	return &Pool{options: options}
}

// Relayed reports whether the pool keeps the record layer: see PoolOptions.Relay.
func (p *Pool) Relayed() bool { return p.options.Relay }

// Close cancels what goes on and waits until no thread and no goroutine of the pool is left. The shards must have
// stopped; the ports' wake functions may be called until it returns.
func (p *Pool) Close() {
	for _, port := range p.ports {
		for _, q := range []*queue{&port.clients.running, &port.servers.running, &port.relays} {
			for c := q.first; c != nil; c = c.behind {
				c.cancel()
			}
		}
		port.thread.quit.Store(true)
		port.thread.wake()
	}
	p.workers.Wait()
	for _, port := range p.ports {
		_ = unix.Close(port.thread.bell) // nobody waits for it, and nobody rings it any more
	}
}

// Port is a shard's way to its handshakes. Its methods belong to the shard's thread.
type Port struct {
	pool *Pool
	wake func()

	news  atomic.Pointer[Conversation] // the latest first
	ready *Conversation                // taken from there, in order

	clients places // handshakes with clients
	servers places // and with servers: those that do not answer take no places from clients
	relays  queue  // conversations that go on as record layers

	thread  *thread
	started bool // the thread runs: the first handshake has begun

	// To be used again.
	idle    *Conversation
	idleLen int
	rings   []*ring
}

// Port makes a shard's port. wake is called, on any thread, when Next has something after it had nothing. It fails when
// there is no descriptor left.
func (p *Pool) Port(wake func()) (*Port, error) {
	thread, err := newThread()
	if err != nil {
		return nil, err
	}
	port := &Port{pool: p, wake: wake, thread: thread}
	for _, at := range []*places{&port.clients, &port.servers} {
		at.most = max(p.options.InFlight/p.options.Shards, 1)
		at.line.most = p.options.Waiting / p.options.Shards
		at.line.seed = maphash.MakeSeed()
	}
	p.mu.Lock()
	p.ports = append(p.ports, port)
	p.mu.Unlock()
	return port, nil
}

// Serve begins a handshake with a client whose ClientHello came from an address. hello is everything received so far,
// from the connection's first byte on, and is copied. The answer is nil when the client is shed.
func (p *Port) Serve(id uint64, s *Server, from netip.Addr, hello []byte) *Conversation {
	c := p.begin(id)
	c.server = s
	c.hello = append(c.hello[:0], hello...)
	return p.enter(c, p.clients.line.of(from))
}

// Dial begins a handshake with a server. The answer is nil when it is shed, because too many wait for that server.
func (p *Port) Dial(id uint64, client *Client) *Conversation {
	c := p.begin(id)
	c.client = client
	return p.enter(c, p.servers.line.to(client))
}

// enter gives c a place, or has it wait for one in b. The answer is c, or nil when there is no room to wait.
func (p *Port) enter(c *Conversation, b *bucket) *Conversation {
	at := c.places()
	if at.free() && at.line.len == 0 {
		p.start(c)
		return c
	}
	for !at.line.fits(c) {
		payer := at.line.payer(c, b)
		if payer == nil {
			p.recycle(c)
			return nil
		}
		payer.giveUp(Shed, errShed)
	}
	at.line.add(c, b)
	at.relieve()
	return c
}

// Waiting is how many handshakes wait in line, with clients and with servers.
func (p *Port) Waiting() int { return p.clients.line.len + p.servers.line.len }

// giveUp ends the handshake of a conversation that waits.
func (c *Conversation) giveUp(reason Reason, err error) {
	c.places().line.remove(c)
	c.outcome = Outcome{Err: err, Reason: reason}
	c.post(settled | finished)
}

// Next is a conversation that has news: output, room, plaintext, an outcome or an end. There may be none behind it, and
// what is new may have been seen already. The answer is nil when no other has.
func (p *Port) Next() *Conversation {
	for {
		c := p.pop()
		if c == nil {
			p.clients.relieve()
			p.servers.relieve()
			return nil
		}
		news := c.news.And(^uint32(queued))
		if news&settled != 0 && c.stage != over {
			p.settle(c)
		}
		if news&finished != 0 && !c.left {
			c.left = true
			if c.outcome.Relayed {
				p.relays.remove(c)
			}
		}
		switch {
		case !c.ended:
			return c
		case c.left:
			p.recycle(c)
		}
	}
}

// pop takes the oldest of the list of news.
func (p *Port) pop() *Conversation {
	if p.ready == nil {
		for c := p.news.Swap(nil); c != nil; {
			next := c.next
			c.next, p.ready = p.ready, c
			c = next
		}
	}
	c := p.ready
	if c != nil {
		p.ready = c.next
	}
	return c
}

// start has c's handshake done.
func (p *Port) start(c *Conversation) {
	c.stage, c.began = running, time.Now()
	c.places().running.push(c)
	c.out = p.ring()
	if p.pool.options.Relay {
		c.relay = newRelay()
		p.pool.workers.Go(func() { new(gate).alone(c) })
		return
	}
	if !p.started {
		p.started = true
		p.pool.workers.Go(p.thread.run)
	}
	p.thread.call(c, begun)
}

// settle notes that c's handshake is over, and lets those start who wait for its place.
func (p *Port) settle(c *Conversation) {
	if c.stage == running {
		c.places().leave(c)
	}
	c.stage = over
	switch {
	case c.outcome.Relayed:
		p.relays.push(c)
	case !c.ended:
		c.outcome.Left = c.leftover()
	}
	for at := c.places(); at.free() && at.line.len > 0; {
		p.start(at.line.take())
	}
}

// begin takes a conversation that is used no more, or makes one.
func (p *Port) begin(id uint64) *Conversation {
	c := p.idle
	if c == nil {
		c = p.conversation()
	} else {
		p.idle = c.next
		p.idleLen--
	}
	c.id, c.next, c.stage, c.ended, c.left, c.overdue = id, nil, waiting, false, false, false
	return c
}

func (p *Port) conversation() *Conversation {
	c := &Conversation{port: p}
	if p.pool.options.Relay {
		c.reader, c.room = newWaker(), newWaker()
	} else {
		c.reader.c, c.room.c = c, c
	}
	return c
}

// What a port keeps to use it again; the rest is garbage after a flood.
const (
	keptHello         = 2 << 10 // the longest hello whose memory is kept
	keptRings         = 64
	keptConversations = 256
)

// recycle takes back what c held. No goroutine and no shard touches it any more.
func (p *Port) recycle(c *Conversation) {
	for _, r := range []*ring{c.in.Swap(nil), c.out} {
		if r != nil && len(p.rings) < keptRings {
			r.reset()
			p.rings = append(p.rings, r)
		}
	}
	if k := c.outcome.Keys; k != nil {
		*k = record.Keys{} // of a handshake that nobody waited for: secrets are not left lying about
	}
	if cap(c.hello) > keptHello {
		c.hello = nil
	}
	c.hello = c.hello[:0]
	c.server, c.client, c.out, c.relay, c.outcome = nil, nil, nil, nil, Outcome{}
	c.cancelled.Store(false)
	c.eof.Store(false)
	c.hungry.Store(false)
	c.news.Store(0)
	if p.idleLen < keptConversations {
		p.idleLen++
		c.next, p.idle = p.idle, c
	}
}

func (p *Port) ring() *ring {
	n := len(p.rings)
	if n == 0 {
		return new(ring)
	}
	r := p.rings[n-1]
	p.rings = p.rings[:n-1]
	return r
}
