package sim

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

// Backend implements engine.Backend in a World.
type Backend struct {
	w       *World
	env     engine.Env
	sockets []*socket // by slot
	live    []*socket // those in use, in no special order
	listens map[uint16]*listening
	numbers []uint16 // listeners in use, in the order of Listen
	peers   []netip.AddrPort
	wake    chan struct{}
	pipes   map[mem.Buf][]byte // what is in them
}

var _ engine.Backend = (*Backend)(nil)

// New is a backend in a world, which can have only one.
func New(w *World) *Backend {
	return &Backend{
		w: w, listens: map[uint16]*listening{}, wake: make(chan struct{}, 1), pipes: map[mem.Buf][]byte{},
	}
}

// Open implements engine.Backend.
func (b *Backend) Open(env engine.Env) error {
	b.env = env
	b.sockets = make([]*socket, env.Conns.Len())
	return nil
}

// Info implements engine.Backend.
func (b *Backend) Info() engine.Info { return engine.Info{Name: "sim"} }

// Listen implements engine.Backend.
func (b *Backend) Listen(l uint16, fd int) error {
	if b.listens[l] != nil {
		return fmt.Errorf("listen on number %d: it is in use", l)
	}
	b.w.number(l, fd)
	b.listens[l] = b.w.numbers[l]
	b.numbers = append(b.numbers, l)
	return nil
}

// Unlisten implements engine.Backend.
func (b *Backend) Unlisten(l uint16) {
	delete(b.listens, l)
	for i, n := range b.numbers {
		if n == l {
			b.numbers = append(b.numbers[:i], b.numbers[i+1:]...)
			return
		}
	}
}

// violation reports a caller that broke the contract.
func violation(c *engine.Conn, format string, args ...any) {
	panic(fmt.Sprintf("sim: slot %d, generation %d: %s", c.Slot, c.Gen, fmt.Sprintf(format, args...)))
}

// place puts a socket into c's slot.
func (b *Backend) place(c *engine.Conn, so *socket, fd int) {
	if c.State != engine.StateLive {
		violation(c, "given a socket in state %#x", c.State)
	}
	c.FD = int32(fd)
	so.c, so.gen = c, c.Gen
	b.sockets[c.Slot] = so
	b.live = append(b.live, so)
}

// of is the socket of c.
func (b *Backend) of(c *engine.Conn, doing string) *socket {
	so := b.sockets[c.Slot]
	if so == nil || so.gen != c.Gen {
		violation(c, "%s without a socket", doing)
	}
	if c.State&engine.StateClosing != 0 {
		violation(c, "%s after Close", doing)
	}
	return so
}

// stream is the socket of c, which must not be one for datagrams.
func (b *Backend) stream(c *engine.Conn, doing string) *socket {
	so := b.of(c, doing)
	if so.udp != nil {
		violation(c, "%s on a UDP socket", doing)
	}
	return so
}

// Attach implements engine.Backend.
func (b *Backend) Attach(c *engine.Conn, fd int) {
	so := b.w.fds[fd]
	if so == nil {
		violation(c, "attach of descriptor %d, which was not accepted or is attached already", fd)
	}
	delete(b.w.fds, fd)
	b.place(c, so, fd)
}

// Connect implements engine.Backend.
func (b *Backend) Connect(c *engine.Conn, to *engine.Addr) {
	so := newSocket(b.w, netip.AddrPort{})
	b.w.nextFD++
	b.place(c, so, b.w.nextFD)
	c.State |= engine.StateConnect
	c.Ops++
	so.to = *to
	so.since = b.w.now
	so.refused = b.w.chance(b.w.faults.Refuse)
	so.lost = so.refused && b.w.rng.IntN(2) == 0
}

// Recv implements engine.Backend.
func (b *Backend) Recv(c *engine.Conn, mode engine.RecvMode) {
	so := b.stream(c, "Recv")
	if c.State&engine.StateRecv != 0 {
		violation(c, "Recv while a receive is armed")
	}
	c.State |= engine.StateRecv
	c.Ops++
	so.mode = mode
}

// RecvPipe implements engine.Backend.
func (b *Backend) RecvPipe(c *engine.Conn, most uint32) {
	b.Recv(c, engine.RecvPiped)
	if most == 0 {
		violation(c, "RecvPipe of nothing")
	}
	c.Most = most
}

// RecvCancel implements engine.Backend.
func (b *Backend) RecvCancel(c *engine.Conn) {
	if c.State&(engine.StateRecv|engine.StateClosing) == engine.StateRecv {
		c.State |= engine.StateCancel
	}
}

// Send implements engine.Backend. It remembers the bytes, to find out whether they change before the EvSent.
func (b *Backend) Send(c *engine.Conn, spans []mem.Span, more bool) {
	so := b.sending(c)
	if len(spans) == 0 || len(spans) > engine.SendSpansMax {
		violation(c, "Send of %d spans", len(spans))
	}
	so.spans = append(so.spans, spans...)
	for _, s := range spans {
		if s.Len == 0 {
			violation(c, "Send of an empty span")
		}
		so.bytes = append(so.bytes, b.env.Mem.Bytes(s)...)
	}
}

// SendPipe implements engine.Backend.
func (b *Backend) SendPipe(c *engine.Conn, pipe mem.Buf, n uint32) {
	so := b.sending(c)
	if held := len(b.pipes[pipe]); n == 0 || int(n) > held {
		violation(c, "SendPipe of %d bytes out of %d", n, held)
	}
	so.pipe, so.bytes = pipe, append(so.bytes, b.pipes[pipe][:n]...)
}

// sending begins a send of c's socket, which has nothing to send yet.
func (b *Backend) sending(c *engine.Conn) *socket {
	so := b.stream(c, "Send")
	switch {
	case c.State&engine.StateSend != 0:
		violation(c, "Send while a send is in flight")
	case so.peer.in.ended:
		violation(c, "Send after CloseWrite")
	}
	so.spans, so.bytes, so.pipe = so.spans[:0], so.bytes[:0], mem.NoBuf
	c.State |= engine.StateSend
	c.Ops++
	return so
}

// CloseWrite implements engine.Backend.
func (b *Backend) CloseWrite(c *engine.Conn) {
	so := b.stream(c, "CloseWrite")
	if c.State&engine.StateSend != 0 {
		violation(c, "CloseWrite while a send is in flight")
	}
	so.peer.in.ended = true
}

// Close implements engine.Backend. A send in flight is cut at a byte drawn by chance.
func (b *Backend) Close(c *engine.Conn, reset bool) {
	if c.State&engine.StateClosing != 0 {
		violation(c, "closed twice")
	}
	so := b.sockets[c.Slot]
	if so == nil || so.gen != c.Gen {
		so = newSocket(b.w, netip.AddrPort{})
		b.place(c, so, -1)
	}
	if c.State&engine.StateSend != 0 && c.State&engine.StateConnect == 0 && !so.peer.broken {
		room := min(so.peer.in.room(), len(so.bytes))
		so.peer.in.data = append(so.peer.in.data, so.bytes[:b.w.rng.IntN(room+1)]...)
	}
	so.close(reset)
	c.State |= engine.StateClosing
	so.due = [operations]int64{}
}

// Peer implements engine.Backend.
func (b *Backend) Peer(ev *engine.Event) netip.AddrPort {
	if ev.Kind != engine.EvAccept || ev.Res < 0 {
		return netip.AddrPort{}
	}
	return b.peers[ev.Off]
}

// Wake implements engine.Backend.
func (b *Backend) Wake() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Shutdown implements engine.Backend.
func (b *Backend) Shutdown() {
	for _, so := range b.live {
		so.close(false)
		so.c.FD = -1
	}
	b.live = nil
}

// socket is the backend's end of a connection.
type socket struct {
	w     *World
	c     *engine.Conn
	gen   uint32
	peer  *Peer
	local netip.AddrPort    // of one that was accepted
	due   [operations]int64 // one past the time at which a completion that is possible is reported; 0: not drawn

	mode   engine.RecvMode
	udp    *udpSocket // instead of everything but due
	spans  []mem.Span
	bytes  []byte  // what the spans, or the pipe, held when Send was called
	pipe   mem.Buf // what is sent comes out of it; NoBuf: out of the spans
	closed bool

	to      engine.Addr // while connecting
	since   int64
	refused bool // by a fault
	lost    bool // and nobody says so
	doubted bool // the peer had closed and swallowed one send
}

func newSocket(w *World, from netip.AddrPort) *socket {
	so := &socket{w: w}
	so.peer = &Peer{so: so, addr: from, in: stream{window: w.faults.Window}, out: stream{window: w.faults.Window}}
	return so
}

// close ends the socket as a kernel does: with data unread or when asked to, by a reset.
func (so *socket) close(reset bool) {
	if so.closed {
		return
	}
	so.closed = true
	if so.udp != nil {
		so.w.unplug(so.udp)
		return
	}
	if reset || len(so.peer.out.data) > 0 {
		so.peer.broke()
	}
	so.peer.in.ended = true
}

// errno is e as a result.
func errno(e unix.Errno) int32 { return -int32(e) }

// Unacked implements engine.Backend: what the peer has not read counts as not acknowledged.
func (b *Backend) Unacked(c *engine.Conn) int {
	if so := b.sockets[c.Slot]; so != nil && so.gen == c.Gen && !so.closed {
		return len(so.peer.in.data)
	}
	return 0
}

// AckNow implements engine.Backend; here everything is acknowledged when it is read.
func (b *Backend) AckNow(*engine.Conn) {}

// Local implements engine.Backend.
func (b *Backend) Local(c *engine.Conn) netip.AddrPort {
	if so := b.sockets[c.Slot]; so != nil && so.gen == c.Gen {
		return so.local
	}
	return netip.AddrPort{}
}

// Gone implements engine.Backend.
func (b *Backend) Gone(c *engine.Conn) bool {
	so := b.sockets[c.Slot]
	return so != nil && so.gen == c.Gen && so.peer.broken
}

// Expect implements engine.Backend; what is ready is always taken together here.
func (b *Backend) Expect(int) {}
