package handshake

import (
	"crypto/tls"
	"io"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// pipeEnd is one end of a connection in memory of which both ends block, as crypto/tls wants it.
type pipeEnd struct {
	nowhere
	in, out     *ring
	mine, other *waker
	ended       *atomic.Bool
}

func newPipe() (a, b *pipeEnd) {
	wakers := [2]waker{newWaker(), newWaker()}
	var rings [2]ring
	ended := new(atomic.Bool)
	return &pipeEnd{in: &rings[0], out: &rings[1], mine: &wakers[0], other: &wakers[1], ended: ended},
		&pipeEnd{in: &rings[1], out: &rings[0], mine: &wakers[1], other: &wakers[0], ended: ended}
}

func (p *pipeEnd) Read(b []byte) (int, error) {
	p.mine.wait(func() bool { return p.in.len() > 0 || p.ended.Load() })
	n := p.in.get(b)
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (p *pipeEnd) Write(b []byte) (int, error) {
	if took := p.out.put(b); took < len(b) {
		return took, io.ErrShortWrite
	}
	p.other.wake()
	return len(b), nil
}

func (p *pipeEnd) Close() error {
	p.ended.Store(true)
	p.other.wake()
	return nil
}

// costs are the handshakes that are measured.
var costs = []struct {
	name    string
	version uint16
	curve   tls.CurveID
	resumed bool
}{
	{"1.3 X25519MLKEM768", tls.VersionTLS13, tls.X25519MLKEM768, false},
	{"1.3 X25519", tls.VersionTLS13, tls.X25519, false},
	{"1.3 X25519 resumed", tls.VersionTLS13, tls.X25519, true},
	{"1.2 P-256", tls.VersionTLS12, tls.CurveP256, false},
	{"1.2 P-256 resumed", tls.VersionTLS12, tls.CurveP256, true},
}

// BenchmarkHandshake shakes hands with a client of crypto/tls, whose work is measured with ours. With "plain" the
// server is crypto/tls too, so what the Port costs is the difference.
func BenchmarkHandshake(b *testing.B) {
	for _, c := range costs {
		p := Policy{MinVersion: c.version, MaxVersion: c.version, Curves: []tls.CurveID{c.curve}}
		client := theWorld().client()
		client.MaxVersion = c.version
		if !c.resumed {
			client.ClientSessionCache = nil
		}
		b.Run(c.name+"/port", func(b *testing.B) {
			bench := newBench(b, PoolOptions{InFlight: 4})
			server := newServer(b, ServerOptions{Default: p, Tickets: RandomTickets()})
			shake := func() {
				s, done := bench.serve(server, client, greet)
				s.settled()
				s.write(ping) // the tickets are in front of it
				s.until("the client has got it", func() bool { return len(done) > 0 })
				if err := s.end(done); err != nil {
					b.Fatal(err)
				}
			}
			measure(b, shake)
		})
		b.Run(c.name+"/plain", func(b *testing.B) {
			config := &tls.Config{
				MinVersion: c.version, MaxVersion: c.version, CurvePreferences: p.Curves, CipherSuites: Suites12,
				Certificates: []tls.Certificate{theWorld().ecdsa.tls},
			}
			shake := func() {
				near, far := newPipe()
				done := make(chan error, 1)
				go func() { done <- greet(tls.Client(far, client)) }()
				if _, err := tls.Server(near, config).Write(ping); err != nil {
					b.Fatal(err)
				}
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			measure(b, shake)
		})
	}
}

// measure reports the processor's time, of all threads, beside that which passes.
func measure(b *testing.B, shake func()) {
	shake()
	b.ReportAllocs()
	before := processorTime(b)
	for b.Loop() {
		shake()
	}
	b.ReportMetric(float64(processorTime(b)-before)/float64(b.N), "cpu-ns/op")
}

func processorTime(b *testing.B) int64 {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return used.Utime.Nano() + used.Stime.Nano()
}

// greet is a client that reads ping.
func greet(c *tls.Conn) error {
	_, err := io.ReadFull(c, make([]byte, len(ping)))
	return err
}

// TestMemory says what a conversation in flight takes: one whose client has sent its hello and waits.
func TestMemory(t *testing.T) {
	const count = 200
	b := newBench(t, PoolOptions{InFlight: count})
	server := newServer(t, ServerOptions{Tickets: RandomTickets()})
	hello := helloOf(t, b)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	waiting := map[*Conversation]bool{}
	for id := range uint64(count) {
		waiting[b.port.Serve(id, server, theAddr, hello)] = true
	}
	for answered := map[*Conversation]bool{}; len(answered) < count; {
		for c := b.port.Next(); c != nil; c = b.port.Next() {
			for p := c.Output(); len(p) > 0; p = c.Output() {
				c.Sent(len(p))
				answered[c] = true
			}
		}
		if len(answered) < count {
			<-b.bell
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	heap := int(after.HeapAlloc-before.HeapAlloc) / count
	stacks := int(after.StackInuse-before.StackInuse) / count
	t.Logf("a handshake in flight: %d bytes of heap, %d of stack", heap, stacks)
	if heap > 64<<10 {
		t.Errorf("%d bytes of heap for a handshake in flight", heap)
	}
	for c := range waiting {
		c.End()
	}
	b.quiet()
}

// helloOf is what a client of crypto/tls sends first.
func helloOf(t *testing.T, b *bench) []byte {
	w := newWire(b.ring)
	done := make(chan error, 1)
	go func() { done <- tls.Client(w, theWorld().client()).Handshake() }()
	for w.up.len() == 0 {
		<-b.bell
	}
	hello := append([]byte(nil), w.up.front()...)
	w.cut()
	<-done
	return hello
}

// TestShuttlingAllocatesNothing has bytes go to and fro: what the shard does for a conversation allocates nothing.
func TestShuttlingAllocatesNothing(t *testing.T) {
	b := newBench(t, PoolOptions{InFlight: 1, Waiting: 1, Relay: true})
	s, done := b.serve(newServer(t, ServerOptions{}), theWorld().client(), chat)
	s.answer(done)
	server := newServer(t, ServerOptions{})
	c := b.port.Serve(1, server, theAddr, nil)
	b.port.Serve(2, server, theAddr, nil).End()
	c.Feed(make([]byte, 1))
	piece := make([]byte, 10)
	if n := testing.AllocsPerRun(50, func() {
		b.port.Next()
		c.Feed(piece)
		c.Outcome()
		c.Sent(len(c.Output()))
		b.port.Serve(2, server, theAddr, nil).End() // one that waits, and has nothing but its hello
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
	c.End()
	b.quiet()
}
