package proxy

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/alert"
	"github.com/uringproxy/uringproxy/tls/handshake"
	"github.com/uringproxy/uringproxy/tls/hello"
	"github.com/uringproxy/uringproxy/tls/record"
)

// simCrowd is a rig through which many streams go. Connections over TLS begin with keys that would have come of a
// handshake; what an endpoint is sent first tells it which.
type simCrowd struct {
	*simRig
	dice    *simDice
	hellos  [][]byte              // by kind
	clients map[uint16]*simStream // by port: those over TLS that have no keys yet
	keys    []*record.Keys        // of endpoints, by the number that they are told; nil: they have been
	all     []*simStream
	endings func() ending // of endpoints
	asked   bool          // for another turn
}

const simSecured = "10.0.0.9:443"

func newSimCrowd(t testing.TB, seed uint64, faults sim.Faults, memory mem.Sizes, slots int) *simCrowd {
	crowd := &simCrowd{
		dice: &simDice{rng: rand.New(rand.NewPCG(seed, 9))}, clients: map[uint16]*simStream{},
		endings: func() ending { return endsAtOnce },
	}
	for _, k := range kinds {
		crowd.hellos = append(crowd.hellos, clientHello(t, k.name))
	}
	// Nobody waits in line: who does would have those before him cut off that take their time, which is real.
	pool := handshake.NewPool(handshake.PoolOptions{Shards: 1, InFlight: 1 << 12, Waiting: 1 << 12})
	t.Cleanup(pool.Close)
	client, err := handshake.NewClient(handshake.ClientOptions{ServerName: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	crowd.simRig = newSimRig(t, simConfig{
		seed: seed, faults: faults, memory: memory, slots: slots, endpoints: simEndpoints[:1], pool: pool,
		edit: func(snap *plan.Snapshot) {
			streaming(t, snap)
			far, secured := snap.Services[1], snapshotFor(t, simListener, simSecured).Services[0]
			secured.Name, secured.ID, secured.Stream = "secured", 2, true
			secured.Endpoints[0].ID, secured.Endpoints[0].TLS = 50, client
			kindsOf(t, snap, far, secured)
			snap.Timeouts.Connect = time.Hour
			snap.Listeners[0].TLS.Timeout = time.Hour
		},
	})
	crowd.turned = crowd.agree
	for _, at := range []string{simEndpoints[0], simSecured} {
		secured := at == simSecured
		crowd.world.Serve(engine.IPAddr(netip.MustParseAddrPort(at)), func(p *sim.Peer) {
			crowd.begin(p, false, crowd.endings()).sealed = secured
		})
	}
	return crowd
}

// simStream is one end of a stream.
type simStream struct {
	streamEnd
	crowd *simCrowd
	p     *sim.Peer
	tls   *simTLS // nil: none, or there are no keys yet
	raw   []byte  // what has come of it

	said, notified bool
	broke          bool
	until          int64
}

// begin makes an end with something to say.
func (crowd *simCrowd) begin(p *sim.Peer, near bool, how ending) *simStream {
	e := &simStream{crowd: crowd, p: p}
	most := 1000
	if crowd.dice.percent(15) {
		most = 50_000
	}
	e.streamEnd = newStreamEnd(uint32(len(crowd.all)), near, how, crowd.dice.n(most))
	e.breakAt = 1 + crowd.dice.n(len(e.whole)-streamTag)
	if crowd.dice.percent(20) {
		p.SetWindow(200 + crowd.dice.n(5000))
	}
	crowd.all = append(crowd.all, e)
	crowd.actors = append(crowd.actors, e.step)
	return e
}

// dial begins a stream of a kind.
func (crowd *simCrowd) dial(kind int, how ending) {
	port := uint16(1024 + len(crowd.all))
	e := crowd.begin(crowd.world.Dial(0, netip.AddrPortFrom(simListener.Addr(), port)), true, how)
	e.kind, e.sealed = kind, kinds[kind].client
	if e.sealed {
		crowd.clients[port] = e
		return
	}
	e.saysFirst(crowd.hellos[kind])
}

// agree gives connections that wait for them their keys.
func (crowd *simCrowd) agree() {
	w := crowd.w
	if !crowd.asked { // ends go on when there may be room
		crowd.asked = true
		crowd.world.After(3e6, func() { crowd.asked = false; crowd.sh.Backend.Wake() })
	}
	if len(crowd.clients) == 0 && w.shaking == 0 {
		return
	}
	for slot := range w.links {
		l, c := &w.links[slot], w.conns.At(uint32(slot))
		switch {
		case l.kind == kindClient && l.state == stateHello && crowd.clients[l.port] != nil:
			e := crowd.clients[l.port]
			delete(crowd.clients, l.port)
			e.tls = &simTLS{}
			theirs, ours := simSecrets(crowd.t, crowd.dice)
			e.tls.layer.Start(theirs)
			s := w.secure[slot]
			s.facts.server, s.began = simShaker(), w.sh.Now()
			w.bind(l, s, e.kind)
			w.agreed(l, c, s, &handshake.Outcome{
				Keys: ours, Version: hello.VersionTLS13, SNI: kinds[e.kind].name,
			})
			w.rearmUnlessGone(l, c)
		case l.kind == kindUpstream && l.state == stateHandshake:
			crowd.agreeUpstream(l, c, w.secure[slot])
		}
	}
}

// agreeUpstream is agree for an endpoint, once nothing of the handshake that was begun with it is on its way.
func (crowd *simCrowd) agreeUpstream(l *link, c *engine.Conn, s *secure) {
	w := crowd.w
	if l.has(flagSending) || s.wire.buf != noBuf {
		return
	}
	buf, ok := w.mem.Take(mem.Small)
	if !ok {
		return
	}
	ours, theirs := simSecrets(crowd.t, crowd.dice)
	at := w.mem.Data(buf)
	b := append(w.mem.All()[at.Off:at.Off:at.End()], simPreamble...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(crowd.keys)))
	crowd.keys = append(crowd.keys, theirs)
	s.wire = held{mem.Span{Off: at.Off, Len: uint32(len(b))}, buf}
	w.agreed(l, c, s, &handshake.Outcome{Keys: ours, Version: hello.VersionTLS13})
	w.rearmUnlessGone(l, c)
}

// simPreamble begins what tells an endpoint its keys: it looks like a handshake message of a type that there is not.
const simPreamble = "\x16\x03\x03\x00\x05\xee"

// learn takes handshake messages off what has come, and the keys.
func (e *simStream) learn(raw []byte) []byte {
	for len(raw) >= len(simPreamble) && e.tls == nil {
		n := 5 + int(binary.BigEndian.Uint16(raw[3:]))
		if len(raw) < n {
			break
		}
		if string(raw[:len(simPreamble)]) == simPreamble {
			e.tls = &simTLS{}
			e.tls.layer.Start(e.crowd.keys[binary.BigEndian.Uint32(raw[len(simPreamble):])])
		}
		raw = raw[n:]
	}
	return raw
}

// over reports whether nothing more happens at this end.
func (e *simStream) over() bool {
	return e.broke || e.err != nil && (e.said || !errors.Is(e.err, io.EOF))
}

func (e *simStream) step() {
	if e.over() || e.crowd.world.Now() < e.until {
		return
	}
	if e.read(); !e.over() && !e.said && (!e.sealed || e.tls != nil) {
		e.write()
	}
	if e.crowd.dice.percent(3) {
		e.until = e.crowd.world.Now() + int64(e.crowd.dice.n(20e6))
	}
}

func (e *simStream) read() {
	b := make([]byte, 16<<10)
	for e.err == nil {
		n, err := e.p.Read(b)
		switch {
		case n == 0 && err == sim.ErrWait:
			return
		case !e.sealed:
			e.in = append(e.in, b[:n]...)
		default:
			e.raw = append(e.raw, b[:n]...)
			if e.tls == nil {
				e.raw = e.learn(e.raw)
			}
			e.open()
		}
		if err != nil && err != sim.ErrWait && e.err == nil {
			e.err = err
			if e.sealed && err == io.EOF {
				e.err = io.ErrUnexpectedEOF
			}
		}
	}
}

// open takes records off what has come.
func (e *simStream) open() {
	for e.tls != nil && len(e.raw) > 0 && e.err == nil {
		r := e.tls.layer.Open(e.raw)
		switch r.Kind {
		case record.NeedMore:
			return
		case record.Data:
			e.in = append(e.in, e.raw[r.Off:r.Off+r.Len]...)
		case record.Closed:
			e.err = io.EOF
		case record.Quiet:
		default:
			e.err = errors.New(r.Kind.String())
			e.crowd.t.Errorf("end %d reads %v: %v", e.id, r.Kind, r.Alert)
		}
		e.raw = e.raw[r.N:]
	}
}

func (e *simStream) write() {
	breaks := e.ending >= endsByReset && len(e.out) <= e.breakAt
	if breaks && e.ending == endsByReset {
		e.p.Reset()
		e.broke = true
		return
	}
	if !e.sealed {
		n, _ := e.p.Write(e.next())
		e.out = e.out[n:]
	} else if e.writeSealed(); len(e.tls.wire) > 0 {
		return
	}
	switch {
	case breaks:
	case len(e.out) > 0, e.ending == endsAfter && e.err == nil:
		return
	case e.sealed && !e.notified:
		e.notified = true
		e.tls.wire = e.tls.layer.Alert(make([]byte, 0, record.ControlRoom), alert.CloseNotify)
		if e.writeSealed(); len(e.tls.wire) > 0 {
			return
		}
	}
	e.p.CloseWrite()
	e.said = true
}

// next is what is to be sent next, up to the point where the end breaks.
func (e *simStream) next() []byte {
	n := min(len(e.out), 1+e.crowd.dice.n(8000))
	if left := len(e.out) - e.breakAt; e.ending >= endsByReset && left > 0 {
		n = min(n, left)
	}
	return e.out[:n]
}

// writeSealed writes what has been sealed, and before that seals something if there is nothing.
func (e *simStream) writeSealed() {
	s := e.tls
	if len(s.wire) == 0 && len(e.out) > 0 {
		piece := e.next()
		b, took, refused := s.layer.SealTo(make([]byte, 0, 2*len(piece)+500), [][]byte{piece}, e.crowd.world.Now())
		if refused != record.Sealed {
			e.crowd.t.Errorf("end %d cannot seal: %v", e.id, refused)
		}
		s.wire, e.out = b, e.out[took:]
	}
	n, _ := e.p.Write(s.wire)
	s.wire = s.wire[n:]
}
