package handshake

import (
	"crypto"
	"crypto/tls"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/tls/certs"
	"github.com/uringproxy/uringproxy/tls/record"
)

// turnUntil takes news until something is so.
func (b *bench) turnUntil(what string, so func() bool) {
	b.t.Helper()
	limit := time.NewTimer(deadline)
	defer limit.Stop()
	for !so() {
		if b.port.Next() != nil {
			continue
		}
		select {
		case <-b.bell:
		case <-limit.C:
			b.t.Fatalf("waiting until %s", what)
		}
	}
}

// TestSilentServer has many wait for a server that does not answer: who wants another one waits neither behind them in
// the line nor until they give up, and who wants that one more is shed.
func TestSilentServer(t *testing.T) {
	b := newBench(t, PoolOptions{InFlight: 2, Waiting: 4})
	silent := newClient(t, ClientOptions{ServerName: "silent"})
	var all []*Conversation
	for id := range uint64(6) {
		all = append(all, b.port.Dial(id, silent))
	}
	if all[5] == nil || b.port.Dial(6, silent) != nil {
		t.Fatal("two are on their way, and four wait")
	}
	var other *Client
	for other == nil || b.port.servers.line.to(other) == b.port.servers.line.to(silent) {
		other = newClient(t, ClientOptions{ServerName: "other"})
	}
	wanted := b.port.Dial(7, other)
	if wanted == nil || all[5].bucket != nil {
		t.Fatal("who wants another server is not let into the line")
	}
	for all[0].stage != running || !all[0].stuck() {
		runtime.Gosched()
	}
	for _, c := range all[:2] {
		c.began = c.began.Add(-patience)
	}
	b.port.servers.relieve()
	b.turnUntil("a handshake with the other server is begun", func() bool { return wanted.stage == running })
	for _, c := range append(all, wanted) {
		c.End()
	}
	b.quiet()
	if n := testing.AllocsPerRun(100, func() { b.port.servers.line.to(other) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestWaitingHoldsNothing offers bytes to who waits in the line: they are taken when it is its turn, and it is told.
func TestWaitingHoldsNothing(t *testing.T) {
	b := newBench(t, PoolOptions{InFlight: 1, Waiting: 1})
	server := newServer(t, ServerOptions{})
	first := b.port.Serve(1, server, theAddr, nil)
	hello := helloOf(t, b)
	second := b.port.Serve(2, server, theAddr, hello[:20])
	if took := second.Feed(hello[20:]); took != 0 || second.in.Load() != nil {
		t.Fatalf("%d bytes are taken from who waits", took)
	}
	first.End()
	took := 0
	b.turnUntil("the rest of the hello is taken", func() bool {
		if second.stage == running {
			took += second.Feed(hello[20+took:])
		}
		return took == len(hello)-20
	})
	b.turnUntil("there is an answer", func() bool { return len(second.Output()) > 0 })
	second.End()
	b.quiet()
}

// TestRefusedIsTold has a byte offered in the line, and nothing more said: when the handshake waits for it, that is
// news.
func TestRefusedIsTold(t *testing.T) {
	b := newBench(t, PoolOptions{InFlight: 1, Waiting: 1})
	server := newServer(t, ServerOptions{})
	first := b.port.Serve(1, server, theAddr, nil)
	second := b.port.Serve(2, server, theAddr, nil)
	second.Feed([]byte{0x16})
	first.End()
	for news := b.port.Next(); news != second; news = b.port.Next() {
		if news == nil {
			<-b.bell
		}
	}
	if second.Feed([]byte{0x16}) != 1 {
		t.Error("a byte is not taken now either")
	}
	second.End()
	b.quiet()
}

// TestGoneInLine has a client leave the line: no goroutine computes for it.
func TestGoneInLine(t *testing.T) {
	b := newBench(t, PoolOptions{InFlight: 1, Waiting: 3})
	server := newServer(t, ServerOptions{})
	first := b.port.Serve(1, server, theAddr, nil)
	second := b.port.Serve(2, server, theAddr, nil)
	second.EOF()
	if b.port.Waiting() != 0 {
		t.Error("who has gone waits")
	}
	b.turnUntil("it is told", func() bool { return second.Outcome() != nil })
	if o := second.Outcome(); o.Reason != Gone || !errors.Is(o.Err, io.EOF) || second.worker != nil {
		t.Errorf("%+v", o)
	}
	second.End()
	first.End()
	b.quiet()
}

// TestOverdueRelayed has a relayed handshake succeed in the moment in which its place is taken away.
func TestOverdueRelayed(t *testing.T) {
	at := &places{leaving: 2}
	relayed := &Conversation{overdue: true, outcome: Outcome{Relayed: true, Policy: 3}}
	at.leave(relayed)
	if o := relayed.outcome; o.Reason != Shed || o.Err == nil || o.Relayed || o.Policy != 3 {
		t.Errorf("%+v goes on with goroutines that were told to end", o)
	}
	done := &Conversation{overdue: true, outcome: Outcome{Keys: new(record.Keys)}}
	if at.leave(done); done.outcome.Err != nil || at.leaving != 0 {
		t.Errorf("%+v: a handshake that has succeeded fails", done.outcome)
	}
}

// TestKeysAreOverwritten ends a conversation whose keys nobody took.
func TestKeysAreOverwritten(t *testing.T) {
	b := newBench(t, PoolOptions{InFlight: 1})
	s, done := b.serve(newServer(t, ServerOptions{}), theWorld().client(), heard)
	for s.c.Outcome() == nil {
		s.receive()
		for s.port.Next() != nil {
		}
		s.feed()
		s.flush()
	}
	keys := s.c.Outcome().Keys
	if keys == nil || *keys == (record.Keys{}) {
		t.Fatal("there are no keys")
	}
	s.end(done)
	if *keys != (record.Keys{}) {
		t.Error("keys of a connection that has ended are in memory")
	}
}

// panicking is a private key that does what none should.
type panicking struct{ crypto.Signer }

func (panicking) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { panic("no more ink") }

// TestPanic has the signing of one handshake panic, and a record layer.
func TestPanic(t *testing.T) {
	w := theWorld()
	b := newBench(t, PoolOptions{InFlight: 1})
	broken := *w.ecdsa.ours
	broken.TLS.PrivateKey = panicking{broken.TLS.PrivateKey.(crypto.Signer)}
	server := newServer(t, ServerOptions{Certificates: certs.NewSet([]*certs.Certificate{&broken}, nil)})
	s, done := b.serve(server, w.client(), heard)
	o := s.settled()
	if o.Reason != Internal || !errors.Is(o.Err, errPanic) || !strings.Contains(o.Err.Error(), "ink") {
		t.Errorf("%+v", o)
	}
	s.end(done)

	r, c := newRelay(), &Conversation{port: b.port, reader: newWaker(), room: newWaker()}
	c.relay = r
	r.read(c, &gate{c: c}, nil)
	if closed, err := c.Ended(); closed || !errors.Is(err, errPanic) || !c.cancelled.Load() {
		t.Errorf("a record layer that panics: closed %v, %v", closed, err)
	}
	c.ended, c.left = true, true // as a shard would have it
	b.port.Next()
}

// TestVerifyingPolicyKeepsToItself says of each mode whether requests need a connection of the policy's own.
func TestVerifyingPolicyKeepsToItself(t *testing.T) {
	for mode, want := range map[tls.ClientAuthType]bool{
		tls.NoClientCert: false, tls.RequestClientCert: false, tls.RequireAnyClientCert: true,
		tls.VerifyClientCertIfGiven: true, tls.RequireAndVerifyClientCert: true,
	} {
		s := newServer(t, ServerOptions{Default: Policy{ClientAuth: mode, ClientCAs: theWorld().roots}})
		if got := s.Requires(0); got != want {
			t.Errorf("%v: %v", mode, got)
		}
	}
}
