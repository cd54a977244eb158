package proxy

import (
	"crypto/sha512"
	"crypto/tls"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/certs"
	"github.com/uringproxy/uringproxy/tls/handshake"
	"github.com/uringproxy/uringproxy/tls/record"
)

// On virtual sockets there are no handshakes: they take real time. A connection over TLS begins with the keys that
// would have come of one, and both ends go on with the record layer.

// simTLS is the record layer at the far end.
type simTLS struct {
	layer record.Layer
	raw   []byte // received and not opened
	wire  []byte // sealed and not written
}

// simKeys counts the keys that were made: no two connections of the process have the same.
var simKeys atomic.Uint64

// simSecrets are the keys of one connection, for both ends.
func simSecrets(t testing.TB, dice *simDice) (client, server *record.Keys) {
	suites := []uint16{tls.TLS_AES_128_GCM_SHA256, tls.TLS_AES_256_GCM_SHA384, tls.TLS_CHACHA20_POLY1305_SHA256}
	i := dice.n(len(suites))
	var seed [8]byte
	binary.BigEndian.PutUint64(seed[:], simKeys.Add(1))
	sum := sha512.Sum512(seed[:])
	n := []int{32, 48, 32}[i]
	make := func(client bool) *record.Keys {
		a, b := sha512.Sum384(sum[:1]), sha512.Sum384(sum[:2])
		copy(a[:], sum[:32])
		copy(b[:], sum[32:])
		keys, err := record.NewKeys13(suites[i], client, a[:n], b[:n], nil)
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	return make(true), make(false)
}

// simShaker is what listeners over TLS would shake hands with.
var simShaker = sync.OnceValue(func() *handshake.Server {
	c, err := certs.SelfSigned("example.com")
	if err != nil {
		panic(err)
	}
	s, err := handshake.NewServer(handshake.ServerOptions{Certificates: certs.NewSet([]*certs.Certificate{c}, c)})
	if err != nil {
		panic(err)
	}
	return s
})

// overTLS makes the run's clients speak TLS.
func (run *simRun) overTLS(snap *plan.Snapshot) {
	run.keys = map[uint16]*record.Keys{}
	snap.Listeners[0].TLS = &plan.TLS{Server: simShaker(), Timeout: 10 * time.Second}
}

// agree gives clients that have just been accepted their keys.
func (run *simRun) agree() {
	w := run.w
	for slot := range w.links {
		l := &w.links[slot]
		if l.kind != kindClient || l.state != stateHello {
			continue
		}
		s := w.secure[slot]
		s.facts.server, s.began = simShaker(), w.sh.Now()
		w.agreed(l, w.conns.At(uint32(slot)), s, &handshake.Outcome{Keys: run.keys[l.port], Version: tls.VersionTLS13})
		delete(run.keys, l.port)
		w.rearmUnlessGone(l, w.conns.At(uint32(slot)))
	}
}

// seal makes records of the next n bytes to be written.
func (e *simEnd) seal(n int) {
	dst := make([]byte, 0, n+n/50+2000)
	for n > 0 {
		piece := e.out[:min(n, 1+e.run.dice.n(20_000))]
		if e.run.dice.percent(20) { // records however small
			piece = piece[:1+e.run.dice.n(min(len(piece), 30))]
		}
		dst = append(make([]byte, 0, len(dst)+len(piece)+len(piece)/20+500), dst...)
		b, took, refused := e.tls.layer.SealTo(dst, [][]byte{piece}, e.run.world.Now())
		if refused != record.Sealed {
			e.run.fail("the far end cannot seal: %v", refused)
			return
		}
		dst, e.out, e.sent, n = b, e.out[took:], e.sent+took, n-took
	}
	e.tls.wire = append(e.tls.wire, dst...)
}

// writeTLS is write over TLS.
func (e *simEnd) writeTLS(most int) bool {
	t := e.tls
	if len(t.wire) == 0 {
		n := min(most, burst(e.pace.write, len(e.out)), len(e.out))
		if n == 0 {
			return true
		}
		e.seal(n)
	}
	size := burst(e.pace.write, len(t.wire))
	if e.run.dice.percent(80) { // small records are much longer than what is in them
		size = len(t.wire)
	}
	n, err := e.p.Write(t.wire[:size])
	t.wire = t.wire[n:]
	if err == nil && len(t.wire)+len(e.out) > 0 {
		e.rest()
	}
	return err == nil || err == sim.ErrWait
}

// readTLS is read over TLS. An end of stream is one when it was announced, or when nothing is calm.
func (e *simEnd) readTLS() ([]byte, error) {
	t := e.tls
	b := e.run.scratch[:burst(e.pace.read, len(e.run.scratch))]
	n, err := e.p.Read(b)
	if err == sim.ErrWait {
		return nil, nil
	}
	if n > 0 {
		e.rest()
	}
	t.raw = append(t.raw, b[:n]...)
	var plain []byte
	for len(t.raw) > 0 {
		r := t.layer.Open(t.raw)
		if r.Kind == record.Data {
			plain = append(plain, t.raw[r.Off:r.Off+r.Len]...)
		} else if r.Kind == record.Closed {
			return plain, io.EOF
		} else if r.Kind != record.Quiet {
			if r.Kind != record.NeedMore {
				e.run.fail("the far end reads %v: %v", r.Kind, r.Alert)
			}
			break
		}
		t.raw = t.raw[r.N:]
	}
	if err == io.EOF {
		if e.run.calm {
			e.run.fail("the stream has ended without close_notify")
		}
		err = io.ErrUnexpectedEOF
	}
	return plain, err
}

// bye says close_notify, if there is room for it.
func (e *simEnd) bye() {
	if len(e.tls.wire) == 0 && e.run.dice.percent(80) {
		_, _ = e.p.Write(e.tls.layer.Alert(make([]byte, 0, record.ControlRoom), alert.CloseNotify))
	}
}

// simOverTLS is a rig whose clients speak TLS, and one of them that has been accepted.
func simOverTLS(t *testing.T) (*simRun, *sim.Peer, *simTLS) {
	run := &simRun{dice: &simDice{rng: rand.New(rand.NewPCG(1, 1))}}
	run.simRig = newSimRig(t, simConfig{endpoints: simEndpoints[:1], edit: func(snap *plan.Snapshot) {
		simPatient(snap)
		run.overTLS(snap)
	}})
	run.turned = run.agree
	ours, theirs := simSecrets(t, run.dice)
	far := &simTLS{}
	far.layer.Start(ours)
	run.keys[1] = theirs
	p := run.world.Dial(0, netip.AddrPortFrom(simListener.Addr(), 1))
	run.until("the handshake", func() bool { return len(run.keys) == 0 })
	return run, p, far
}

// say sends a request whole.
func (s *simTLS) say(t *testing.T, p *sim.Peer, text string) {
	t.Helper()
	b, took, refused := s.layer.SealTo(make([]byte, 0, 2*len(text)+200), [][]byte{[]byte(text)}, 1)
	if n, err := p.Write(b); took < len(text) || n < len(b) {
		t.Fatalf("%d of %d bytes sealed, %v; %d of %d written, %v", took, len(text), refused, n, len(b), err)
	}
}

// What was sealed and never left is not counted as sent, and what was sent before stays counted.
func TestSimUnsentRecordsUncounted(t *testing.T) {
	run, p, far := simOverTLS(t)
	run.server(func(int) string { return okResponse })
	sent := func() (n uint64) {
		for _, v := range run.metrics.Series(metrics.ListenerSeries) {
			n += v.Sent
		}
		return n
	}
	far.say(t, p, simGet)
	run.until("the first response", func() bool { return run.metrics.Snapshot().Requests() == 1 })
	before := sent()
	p.SetWindow(0)
	far.say(t, p, simGet)
	run.until("the end of patience", func() bool {
		return run.metrics.Snapshot().Errors(metrics.TimeoutSendResponse) == 1
	})
	if after := sent(); after != before {
		t.Errorf("%d bytes were counted as sent, and %d when nothing more was", before, after)
	}
	p.Close()
	run.stop()
}
