package handshake

import (
	"crypto/tls"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/record"
)

// deadline is for what would hang. No test waits for it.
const deadline = 60 * time.Second

// bench is a shard in a test: a port, and what it is woken by.
type bench struct {
	t    testing.TB
	pool *Pool
	port *Port
	bell chan struct{}
}

func newBench(t testing.TB, options PoolOptions) *bench {
	b := &bench{t: t, pool: NewPool(options), bell: make(chan struct{}, 1)}
	var err error
	if b.port, err = b.pool.Port(b.ring); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.pool.Close()
		if t.Failed() {
			return
		}
		for b.port.Next() != nil { // what Close has cancelled
		}
		if p := b.port; p.busy() != 0 || p.relays.len != 0 || p.Waiting() != 0 {
			t.Errorf("at the end %d are on their way, %d in line, %d relayed", p.busy(), p.Waiting(), p.relays.len)
		}
	})
	return b
}

// busy is how many handshakes are on their way.
func (p *Port) busy() int {
	return p.clients.running.len + p.clients.leaving + p.servers.running.len + p.servers.leaving
}

func (b *bench) ring() {
	select {
	case b.bell <- struct{}{}:
	default:
	}
}

// session is a connection of the bench: the other end of a wire.
type session struct {
	*bench
	wire   *wire
	c      *Conversation
	chunk  int                   // how many bytes are fed at a time; 0: all
	hold   bool                  // what is received is not fed yet
	mangle func(p []byte) []byte // what becomes of a piece that is received; nil: nothing
	stream []byte
	fed    int

	outcome *Outcome
	layer   *record.Layer
	plain   []byte
	closed  bool
	fault   string
	sending []byte // plaintext that has not been taken
}

// connect begins a session by start, with a peer at the other end.
func (b *bench) connect(start func() *Conversation, peer func(w *wire) error) (*session, <-chan error) {
	s := &session{bench: b, wire: newWire(b.ring), c: start()}
	done := make(chan error, 1)
	go func() {
		err := peer(s.wire)
		s.wire.Close()
		done <- err
		b.ring()
	}()
	return s, done
}

// serve begins a session with a client. The hello is fed like the rest.
func (b *bench) serve(server *Server, config *tls.Config, peer func(*tls.Conn) error) (*session, <-chan error) {
	b.t.Helper()
	return b.connect(func() *Conversation {
		return b.port.Serve(7, server, netip.MustParseAddr("192.0.2.1"), nil)
	}, func(w *wire) error { return peer(tls.Client(w, config)) })
}

// dial begins a session with a server.
func (b *bench) dial(client *Client, config *tls.Config, peer func(*tls.Conn) error) (*session, <-chan error) {
	return b.connect(func() *Conversation { return b.port.Dial(8, client) },
		func(w *wire) error { return peer(tls.Server(w, config)) })
}

// until turns the shard's loop until something is so.
func (s *session) until(what string, so func() bool) {
	s.t.Helper()
	limit := time.NewTimer(deadline)
	defer limit.Stop()
	for s.turn(); !so(); s.turn() {
		select {
		case <-s.bell:
		case <-limit.C:
			s.t.Fatalf("waiting until %s: outcome %+v, fault %q, %d bytes not fed", what, s.outcome, s.fault,
				len(s.stream))
		}
	}
}

// turn is one turn of the loop.
func (s *session) turn() {
	s.receive()
	for s.port.Next() != nil {
	}
	s.feed()
	s.flush()
	if s.outcome == nil && s.c.Outcome() != nil {
		o := *s.c.Outcome()
		s.outcome = &o
		if o.Keys != nil {
			s.layer = new(record.Layer)
			s.layer.Start(o.Keys)
			s.stream = append(slices.Clone(o.Left), s.stream...)
		}
	}
	if s.layer != nil {
		s.open()
	}
	if o := s.outcome; o != nil && o.Relayed {
		s.relay()
	}
	s.flush()
}

// receive takes what the peer has sent.
func (s *session) receive() {
	for p := s.wire.up.front(); len(p) > 0; p = s.wire.up.front() {
		if s.mangle != nil {
			s.stream = append(s.stream, s.mangle(p)...)
		} else {
			s.stream = append(s.stream, p...)
		}
		s.wire.up.drop(len(p))
		s.wire.waker.wake()
	}
}

func (s *session) feed() {
	if s.hold || s.layer != nil {
		return
	}
	if len(s.stream) == 0 && s.wire.closed.Load() && s.wire.up.len() == 0 {
		s.c.EOF()
	}
	for len(s.stream) > 0 {
		n := len(s.stream)
		if s.chunk > 0 {
			n = min(n, s.chunk)
		}
		took := s.c.Feed(s.stream[:n])
		s.fed += took
		s.stream = s.stream[took:]
		if took < n {
			return
		}
	}
}

// flush sends output as far as there is room on the wire.
func (s *session) flush() {
	for p := s.c.Output(); len(p) > 0; p = s.c.Output() {
		n := s.wire.down.put(p)
		s.wire.waker.wake()
		if n == 0 {
			return
		}
		s.c.Sent(n)
	}
}

// open opens records that are whole.
func (s *session) open() {
	for {
		r := s.layer.Open(s.stream)
		switch r.Kind {
		case record.NeedMore:
			return
		case record.Data:
			s.plain = append(s.plain, s.stream[r.Off:r.Off+r.Len]...)
		case record.Quiet:
		case record.Closed:
			s.closed = true
			return
		default:
			s.fault = r.Kind.String() + " " + r.Alert.String()
			return
		}
		s.stream = s.stream[r.N:]
	}
}

func (s *session) relay() {
	for p := s.c.Plain(); len(p) > 0; p = s.c.Plain() {
		s.plain = append(s.plain, p...)
		s.c.Took(len(p))
	}
	if len(s.sending) > 0 {
		s.sending = s.sending[s.c.Write(s.sending):]
	}
	closed, err := s.c.Ended()
	s.closed = closed
	if err != nil {
		s.fault = err.Error()
	}
}

// write sends data.
func (s *session) write(p []byte) {
	if s.outcome.Relayed {
		s.sending = append(s.sending, p...)
		s.until("all is written", func() bool { return len(s.sending) == 0 })
		return
	}
	out, took, refusal := s.layer.SealTo(make([]byte, 0, 2*len(p)+record.ControlRoom), [][]byte{p}, 1)
	if took != len(p) {
		s.t.Fatalf("sealed %d of %d bytes: %v", took, len(p), refusal)
	}
	s.put(out)
}

func (s *session) put(out []byte) {
	for len(out) > 0 {
		out = out[s.wire.down.put(out):]
		s.wire.waker.wake()
		if len(out) > 0 {
			s.until("there is room", func() bool { return len(s.wire.down.space()) > 0 })
		}
	}
}

// closeWrite says close_notify.
func (s *session) closeWrite() {
	if s.outcome.Relayed {
		s.c.CloseWrite()
		return
	}
	s.put(s.layer.Alert(make([]byte, 0, record.ControlRoom), alert.CloseNotify))
}

// settled waits for the outcome.
func (s *session) settled() *Outcome {
	s.t.Helper()
	s.until("the handshake is over", func() bool { return s.outcome != nil })
	return s.outcome
}

// end lets go of the session, and waits until the conversation can be used again.
func (s *session) end(done <-chan error) error {
	s.t.Helper()
	c := s.c
	c.End()
	s.wire.cut()
	limit := time.NewTimer(deadline)
	defer limit.Stop()
	for {
		for s.port.Next() != nil {
		}
		if c.port.idle == c {
			break
		}
		select {
		case <-s.bell:
		case <-limit.C:
			s.t.Fatal("a conversation that was ended does not come back")
		}
	}
	return <-done
}
