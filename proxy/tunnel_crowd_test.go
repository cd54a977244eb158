package proxy

import (
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// crowd are the ends of many streams, each with goroutines of its own.
type crowd struct {
	t      *testing.T
	id     identity
	breaks bool // some of the ends do
	mu     sync.Mutex
	ends   []*streamEnd
	over   sync.WaitGroup
}

// end makes an end with something to say.
func (k *crowd) end(near, sealed bool, rng *rand.Rand) *streamEnd {
	how, most := ending(rng.IntN(2)), 2000
	if !near {
		how = endsAtOnce
	}
	if k.breaks && rng.IntN(4) == 0 {
		how = endsByReset + ending(rng.IntN(2))
	}
	if rng.IntN(8) == 0 {
		most = 100_000
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	e := newStreamEnd(uint32(len(k.ends)), near, how, rng.IntN(most))
	e.sealed, e.breakAt = sealed, 1+rng.IntN(len(e.whole)-streamTag)
	k.ends = append(k.ends, &e)
	return &e
}

// talk says and hears what e has to, in bursts.
func (k *crowd) talk(e *streamEnd, raw *net.TCPConn, conn duplex, rng *rand.Rand) {
	raw.SetDeadline(time.Now().Add(time.Minute))
	heard := make(chan bool)
	go func() {
		defer close(heard)
		b := make([]byte, 1+rand.IntN(20_000))
		for e.err == nil {
			n, err := conn.Read(b)
			e.in, e.err = append(e.in, b[:n]...), err
		}
	}()
	var failed error
	for len(e.out) > 0 {
		if e.ending >= endsByReset && len(e.out) <= e.breakAt {
			break
		}
		n := min(len(e.out), 1+rng.IntN(20_000))
		if left := len(e.out) - e.breakAt; e.ending >= endsByReset {
			n = min(n, left)
		}
		n, err := conn.Write(e.out[:n])
		e.out = e.out[n:]
		if failed = err; err != nil {
			break
		}
		if rng.IntN(10) == 0 {
			time.Sleep(time.Duration(rng.IntN(int(2 * time.Millisecond))))
		}
		runtime.Gosched()
	}
	switch {
	case e.ending == endsByReset:
		raw.SetLinger(0)
		raw.Close()
	case e.ending == endsCutOff:
		raw.CloseWrite()
	default:
		if e.ending == endsAfter {
			<-heard
		}
		if err := conn.CloseWrite(); failed == nil {
			failed = err
		}
	}
	<-heard
	if failed != nil && e.err == io.EOF { // a socket tells of a reset once: to whoever writes, or to whoever reads
		e.err = failed
	}
	raw.Close()
}

// serve is an endpoint.
func (k *crowd) serve(sealed bool) string {
	cfg := &tls.Config{Certificates: []tls.Certificate{k.id.certificate.TLS}}
	return farEnd(k.t, func(raw *net.TCPConn) {
		k.over.Add(1)
		defer k.over.Done()
		rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
		var conn duplex = raw
		if sealed {
			secured := tls.Server(raw, cfg)
			if secured.Handshake() != nil {
				raw.Close()
				return
			}
			conn = secured
		}
		k.talk(k.end(false, sealed, rng), raw, conn, rng)
	})
}

// dial is a client of a stream of a kind.
func (k *crowd) dial(r *rig, kind int, hello []byte, seed uint64) {
	defer k.over.Done()
	rng := rand.New(rand.NewPCG(seed, 2))
	raw, err := net.Dial("tcp", r.addr)
	if err != nil {
		k.t.Error(err)
		return
	}
	e := k.end(true, kinds[kind].client, rng)
	e.kind = kind
	if !e.sealed {
		e.saysFirst(hello)
		k.talk(e, raw.(*net.TCPConn), raw.(*net.TCPConn), rng)
		return
	}
	conn := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, ServerName: kinds[kind].name})
	if err := conn.Handshake(); err != nil {
		k.t.Error(err)
		raw.Close()
		return
	}
	k.talk(e, raw.(*net.TCPConn), conn, rng)
}

// crowdRig has streams of all kinds, to an endpoint in plain and to one over TLS.
func crowdRig(k *crowd, relay bool) func(*rig) {
	plain, secured := k.serve(false), k.serve(true)
	return edits(secureRig(k.id, relay, handshake.Policy{}), func(r *rig) {
		r.pool.Close() // in its place one that turns nobody away, however slowly everybody shakes hands
		r.pool = handshake.NewPool(handshake.PoolOptions{Shards: 1, InFlight: 1024, Waiting: 1024, Relay: relay})
		services := snapshotFor(r.t, r.snap.Listeners[0].Addr, plain, secured).Services[0]
		far, over := services, services
		far.Name, far.ID, far.Stream = "far", 1, true
		over.Name, over.ID, over.Stream = "secured", 2, true
		far.Endpoints, over.Endpoints = services.Endpoints[:1:1], services.Endpoints[1:]
		far.Cycle, over.Cycle = []uint16{0}, []uint16{0}
		client, err := handshake.NewClient(handshake.ClientOptions{Roots: k.id.believers, ServerName: "example.com"})
		if err != nil {
			r.t.Fatal(err)
		}
		far.Endpoints[0].ID, over.Endpoints[0].ID, over.Endpoints[0].TLS = 100, 101, client
		kindsOf(r.t, r.snap, far, over)
		r.snap.Timeouts.StreamIdle, r.snap.Timeouts.Connect = time.Minute, time.Minute
		r.snap.Listeners[0].TLS.Timeout = time.Minute
		r.memory = mem.Sizes{Small: 8192, Bulk: 128, Head: 32, Record: 512, BulkBytes: 128 << 10}
	})
}

// A thousand streams at a time, with TLS or without on either side, arrive whole, or are seen to be cut off.
func TestThousandStreams(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		for _, tc := range []struct {
			name          string
			breaks, relay bool
			streams       int
		}{
			{"calm", false, false, fewer(1000)}, {"breaking", true, false, fewer(300)}, {"relayed", true, true, 100},
		} {
			t.Run(tc.name, func(t *testing.T) {
				k := &crowd{t: t, id: newIdentity(t), breaks: tc.breaks}
				r := start(t, open(), []string{nobody(t)}, crowdRig(k, tc.relay))
				var hellos [][]byte
				for _, kind := range kinds {
					hellos = append(hellos, clientHello(t, kind.name))
				}
				for i := range tc.streams {
					kind := 0
					if i%20 < len(kinds) || tc.relay {
						kind = i % 20 % len(kinds)
					}
					k.over.Add(1)
					go k.dial(r, kind, hellos[kind], uint64(i))
				}
				k.over.Wait()
				r.settled()
				k.over.Wait()
				k.judge(r)
			})
		}
	})
}

// judge says what is wrong with what has come, when all is over.
func (k *crowd) judge(r *rig) {
	carried := uint64(0)
	for _, e := range k.ends {
		if fault := e.verdict(k.ends); fault != "" {
			k.t.Errorf("end %d of kind %d, near %v: %s (%v, %d bytes in, %d left)", e.id, e.kind, e.near, fault, e.err,
				len(e.in), len(e.out))
		}
		carried += uint64(len(e.in))
		if !k.breaks && !errors.Is(e.err, io.EOF) {
			k.t.Errorf("end %d of kind %d, near %v: %v", e.id, e.kind, e.near, e.err)
		}
	}
	series := r.metrics.Series(metrics.StreamSeries)[0]
	if k.t.Failed() {
		for why := range metrics.Reasons {
			if n := r.metrics.Snapshot().PassagesEnded(metrics.Streams, why); n > 0 {
				k.t.Logf("%d tunnels: %v", n, why)
			}
		}
	}
	if !k.breaks && series.CarriedUp+series.CarriedDown != carried {
		k.t.Errorf("%d and %d bytes are counted, %d have arrived", series.CarriedUp, series.CarriedDown, carried)
	}
}
