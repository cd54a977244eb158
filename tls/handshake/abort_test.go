package handshake

import (
	"crypto/tls"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// quiet waits until nothing goes on at the port.
func (b *bench) quiet() {
	b.t.Helper()
	limit := time.NewTimer(deadline)
	defer limit.Stop()
	for {
		for b.port.Next() != nil {
		}
		if p := b.port; p.busy() == 0 && p.Waiting() == 0 && p.relays.len == 0 {
			return
		}
		select {
		case <-b.bell:
		case <-limit.C:
			b.t.Fatalf("%d on their way, %d in line, %d relays", b.port.busy(), b.port.Waiting(), b.port.relays.len)
		}
	}
}

// TestAborted ends conversations after a random number of bytes from the client: in the line, while crypto/tls computes
// and while it waits, with the outcome there and not seen. Nothing of them is left.
func TestAborted(t *testing.T) {
	for _, relay := range []bool{false, true} {
		before := runtime.NumGoroutine()
		total := 2000
		if testing.Short() {
			total = 300
		}
		b := newBench(t, PoolOptions{InFlight: 6, Waiting: 10, Relay: relay})
		rng := rand.New(rand.NewPCG(3, 4))
		fast := Policy{Curves: []tls.CurveID{tls.X25519}}
		server := newServer(t, ServerOptions{Tickets: RandomTickets(), Default: fast})
		upstream := newClient(t, ClientOptions{ServerName: "example.com", Roots: theWorld().roots})
		var peers atomic.Int32
		type aborted struct {
			*session
			limit int
			done  <-chan error
		}
		var open []aborted
		shed, agreed := 0, 0
		for begun := 0; begun < total || len(open) > 0; {
			for begun < total && len(open) < 18 {
				config := theWorld().client()
				config.MaxVersion = tls.VersionTLS12 + uint16(rng.IntN(2))
				from := netip.AddrFrom4([4]byte{192, 0, 2, byte(rng.IntN(5))})
				var c *Conversation
				dial := rng.IntN(4) == 0
				if dial {
					c = b.port.Dial(uint64(begun), upstream)
				} else {
					c = b.port.Serve(uint64(begun), server, from, nil)
				}
				if c == nil {
					shed++
					break
				}
				begun++
				peers.Add(1)
				s, done := b.connect(func() *Conversation { return c }, func(w *wire) error {
					defer peers.Add(-1)
					if dial {
						return chat(tls.Server(w, theWorld().upstream()))
					}
					return chat(tls.Client(w, config))
				})
				open = append(open, aborted{s, rng.IntN(700), done})
			}
			kept := open[:0]
			for _, s := range open {
				s.chunk = 1 + rng.IntN(300)
				s.turn()
				switch {
				case s.outcome != nil && s.outcome.Err == nil && s.outcome.Left == nil && s.limit > 600:
					agreed++
				case s.fed < s.limit && rng.IntN(200) > 0 && (s.outcome == nil || s.limit > 500):
					kept = append(kept, s)
					continue
				}
				if rng.IntN(2) == 0 {
					s.c.EOF()
				}
				s.c.End()
				s.wire.cut()
			}
			open = kept
			runtime.Gosched()
		}
		b.quiet()
		b.pool.Close()
		b.pool = NewPool(PoolOptions{}) // for the bench's own end
		t.Logf("relayed %v: %d shed, %d agreed, %d conversations made", relay, shed, agreed, b.port.idleLen)
		for limit := time.Now().Add(deadline); runtime.NumGoroutine() > before || peers.Load() > 0; runtime.Gosched() {
			if time.Now().After(limit) {
				t.Fatalf("%d goroutines, %d before, %d peers", runtime.NumGoroutine(), before, peers.Load())
			}
		}
	}
}

// anotherThan is the address of a client that has another bucket in the line than addr. There are some hundred, and who
// has which is by chance.
func anotherThan(b *bench, addr netip.Addr) netip.Addr {
	other := addr.Next()
	for line := &b.port.clients.line; line.of(other) == line.of(addr); {
		other = other.Next()
	}
	return other
}

// TestShed has a client ask for more than there is room for; another one gets in, in its place.
func TestShed(t *testing.T) {
	b := newBench(t, PoolOptions{InFlight: 1, Waiting: 2})
	server := newServer(t, ServerOptions{})
	first := b.port.Serve(1, server, theAddr, nil)
	second := b.port.Serve(2, server, theAddr, nil)
	third := b.port.Serve(3, server, theAddr, nil)
	if first == nil || second == nil || third == nil || b.port.Serve(4, server, theAddr, nil) != nil {
		t.Fatal("one is on its way, and two wait")
	}
	if n := b.port.Waiting(); n != 2 {
		t.Errorf("%d are said to wait", n)
	}
	other := b.port.Serve(5, server, anotherThan(b, theAddr), nil)
	if other == nil {
		t.Fatal("another client is shed")
	}
	var news *Conversation
	for news = b.port.Next(); news == nil; news = b.port.Next() {
		<-b.bell
	}
	if news.ID() != 3 || third.Outcome() == nil || third.Outcome().Reason != Shed {
		t.Fatalf("conversation %d has news, and %+v", news.ID(), third.Outcome())
	}
	if second.Outcome() != nil || second.Output() != nil {
		t.Error("one that waits has an outcome, or output")
	}
	for _, c := range []*Conversation{third, second, other, first} {
		c.End()
	}
	b.quiet()
}

// TestShedAndEnded ends a conversation before it is known that it was shed.
func TestShedAndEnded(t *testing.T) {
	b := newBench(t, PoolOptions{InFlight: 1, Waiting: 1})
	server := newServer(t, ServerOptions{})
	first, second := b.port.Serve(1, server, theAddr, nil), b.port.Serve(2, server, theAddr, nil)
	third := b.port.Serve(3, server, anotherThan(b, theAddr), nil)
	if second.bucket != nil || third == nil {
		t.Fatal("another client does not take the place of the first one's second")
	}
	second.End()
	if b.port.Next() != nil {
		t.Error("an ended conversation has news")
	}
	first.End()
	third.End()
	b.quiet()
}

// TestDialsWait has servers take all places there are for them: clients have theirs.
func TestDialsWait(t *testing.T) {
	b := newBench(t, PoolOptions{InFlight: 1, Waiting: 2})
	client := newClient(t, ClientOptions{ServerName: "a"})
	var list []*Conversation
	for id := range uint64(3) {
		list = append(list, b.port.Dial(id, client))
	}
	if at := &b.port.servers; b.port.Dial(9, client) != nil || at.running.len != 1 || at.line.len != 2 {
		t.Errorf("%d on their way, %d wait", at.running.len, at.line.len)
	}
	list = append(list, b.port.Serve(3, newServer(t, ServerOptions{}), theAddr, nil))
	if list[3].stage != running {
		t.Error("a client waits for servers")
	}
	list[1].End()
	list[0].End()
	for list[2].stage != running {
		if b.port.Next() == nil {
			<-b.bell
		}
	}
	list[2].End()
	list[3].End()
	b.quiet()
}

// TestPoolClose closes a pool with conversations in all states.
func TestPoolClose(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, relay := range []bool{false, true} {
		pool := NewPool(PoolOptions{Shards: 2, InFlight: 8, Waiting: 8, Relay: relay})
		for range 2 {
			port, err := pool.Port(func() {})
			if err != nil {
				t.Fatal(err)
			}
			for id := range uint64(7) {
				if port.Serve(id, newServer(t, ServerOptions{}), theAddr, []byte("\x16\x03\x01\x00")) == nil {
					t.Fatal("there is room")
				}
			}
			last, more := port.Serve(8, nil, theAddr, nil), port.Serve(9, nil, theAddr, nil)
			if last == nil || more != nil || port.busy() != 4 {
				t.Errorf("a port has half of the pool: %d on their way, %d in line", port.busy(), port.Waiting())
			}
		}
		pool.Close()
	}
	for limit := time.Now().Add(deadline); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(limit) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// TestOverdue has clients begin handshakes and leave it at that: those who come later get their places, once the first
// have had their time.
func TestOverdue(t *testing.T) {
	b := newBench(t, PoolOptions{InFlight: 3, Waiting: 10})
	server := newServer(t, ServerOptions{})
	begin := func(id uint64) *Conversation { return b.port.Serve(id, server, theAddr, nil) }
	slow := []*Conversation{begin(0), begin(1), begin(2)}
	late := begin(3)
	for limit := time.Now().Add(deadline); !slow[0].stuck() || !slow[1].stuck() || !slow[2].stuck(); runtime.Gosched() {
		if time.Now().After(limit) {
			t.Fatal("nobody waits for a client")
		}
	}
	b.port.clients.relieve()
	if slow[0].overdue || b.port.clients.leaving > 0 {
		t.Error("a client had no time at all")
	}
	for _, c := range slow {
		c.began = c.began.Add(-patience)
	}
	b.port.clients.relieve()
	b.port.clients.relieve()
	if !slow[0].overdue || slow[1].overdue || b.port.clients.leaving != 1 {
		t.Error("one place is needed, and another number is made")
	}
	for slow[0].Outcome() == nil {
		if b.port.Next() == nil {
			<-b.bell
		}
	}
	if o := slow[0].Outcome(); o.Reason != Shed || late.stage != running || b.port.clients.leaving != 0 {
		t.Errorf("%+v, and the one that waited is in stage %d", o, late.stage)
	}
	for _, c := range append(slow, late) {
		c.End()
	}
	b.quiet()
}
