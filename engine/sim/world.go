// Package sim is a backend without a kernel: sockets, peers and time live in memory, and faults are drawn from a seed.
//
// It exists so that the state machines above the engine can be driven through every order of events that
// the contract allows, again and again, in the same order for the same seed. Where the contract leaves a choice (how
// much a send takes, when a receive ends, which connection comes first), sim chooses by the seed, as hard as its Faults
// say. Where a caller breaks the contract, sim panics and says how.
//
// Time is virtual. It moves only inside Poll: to the next thing that happens in the World, or to the end of Poll's
// timeout, and no thread ever waits, except for Wake when nothing else can happen.
//
// Invariants: everything but Wake runs on one thread; the same seed and the same calls give the same events. It
// may import engine, engine/mem and internal/*, and is imported by tests only.
package sim

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/uringproxy/uringproxy/engine"
)

// Faults are the probabilities, from 0 to 1, of what may go wrong or take long, and what bounds it. The zero value is a
// world without faults.
type Faults struct {
	ShortRead  float64 // a receive takes fewer bytes than there are
	ShortSend  float64 // a send takes fewer bytes than would fit
	Delay      float64 // a completion comes late, up to DelayMax nanoseconds (0: 1 ms); others overtake it
	NoBufs     float64 // a receive ends with -ENOBUFS though there are buffers
	CancelData float64 // a cancelled receive delivers data that is there before it ends
	EndEarly   float64 // a stream receive ends by itself, with data
	Reset      float64 // a connection that does something breaks instead
	Refuse     float64 // a connect is refused, or nobody answers
	NoFiles    float64 // an accept finds no descriptor (-EMFILE)

	Lose      float64 // a datagram is lost
	Duplicate float64 // a datagram arrives twice
	Late      float64 // a datagram arrives up to DelayMax later; others overtake it
	Full      float64 // a UDP socket takes no more for the moment (-EAGAIN)
	Gather    float64 // a datagram is received together with the next one, if that is of the same sender and size

	DelayMax int64

	// ConnectTimeout is after how many nanoseconds a connect that nobody answers ends with -ETIMEDOUT; 0: 127 s.
	ConnectTimeout int64

	// Window is how many bytes a new connection holds in each direction before the writer has to wait; 0: 64 KiB.
	Window int
}

// World is everything behind the sockets of one Backend.
type World struct {
	faults Faults
	rng    *rand.Rand
	now    int64
	order  uint64 // of timers set for the same time
	timers []timer

	listening map[int]*listening    // by descriptor
	numbers   map[uint16]*listening // by the number it was last registered under
	services  map[engine.Addr]*service
	fds       map[int]*socket // accepted, not yet attached
	nextFD    int
	port      uint16

	bound          map[int]*udpSocket // by descriptor; not yet attached
	udp            []*udpSocket
	correspondents []*Correspondent
}

type timer struct {
	at    int64
	order uint64
	f     func()
}

// listening is a listening socket of the backend's.
type listening struct {
	at    engine.Addr
	queue []*socket
}

// service is who the backend connects to.
type service struct {
	silent bool
	serve  func(*Peer)
	queue  []*Peer
}

// NewWorld is an empty world. Equal seeds give equal fates.
func NewWorld(seed uint64, faults Faults) *World {
	if faults.DelayMax == 0 {
		faults.DelayMax = 1e6
	}
	if faults.ConnectTimeout == 0 {
		faults.ConnectTimeout = 127e9
	}
	if faults.Window == 0 {
		faults.Window = 64 << 10
	}
	return &World{
		faults: faults, rng: rand.New(rand.NewPCG(seed, 0)), nextFD: 1 << 20, port: 40000,
		listening: map[int]*listening{}, numbers: map[uint16]*listening{},
		services: map[engine.Addr]*service{}, fds: map[int]*socket{},
		bound: map[int]*udpSocket{},
	}
}

// Now is the virtual time in nanoseconds; it starts at 0.
func (w *World) Now() int64 { return w.now }

// After has f called inside a Poll, when d nanoseconds have passed.
func (w *World) After(d int64, f func()) {
	w.order++
	w.timers = append(w.timers, timer{at: w.now + d, order: w.order, f: f})
}

// due takes the earliest timer that has come; nil when none has.
func (w *World) due() func() {
	i := w.earliest()
	if i < 0 || w.timers[i].at > w.now {
		return nil
	}
	f := w.timers[i].f
	w.timers = append(w.timers[:i], w.timers[i+1:]...)
	return f
}

func (w *World) earliest() int {
	first := -1
	for i, t := range w.timers {
		if first < 0 || t.at < w.timers[first].at || t.at == w.timers[first].at && t.order < w.timers[first].order {
			first = i
		}
	}
	return first
}

// chance draws whether something of probability p happens. Without probability nothing is drawn.
func (w *World) chance(p float64) bool { return p > 0 && w.rng.Float64() < p }

// Listen makes a listening socket for the backend and returns its descriptor, to be handed to Backend.Listen.
func (w *World) Listen(at engine.Addr) int {
	w.nextFD++
	w.listening[w.nextFD] = &listening{at: at}
	return w.nextFD
}

// number registers a listening socket under l. A descriptor that the world does not know becomes one of a socket with
// an address of the loopback network.
func (w *World) number(l uint16, fd int) {
	s := w.listening[fd]
	if s == nil {
		s = &listening{at: engine.IPAddr(loopback(8080 + l))}
		w.listening[fd] = s
	}
	w.numbers[l] = s
}

func loopback(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)
}

// Dial connects a peer with the address from to the listener of number l, which must have been registered. The zero
// from stands for a fresh loopback address, and is the only one for a unix socket.
func (w *World) Dial(l uint16, from netip.AddrPort) *Peer {
	s := w.numbers[l]
	if s == nil {
		panic(fmt.Sprintf("sim: dial: no listener was ever registered as number %d", l))
	}
	return w.dial(s, from)
}

// DialAddr is Dial for a listener that is named by its address; nil when there is none.
func (w *World) DialAddr(at engine.Addr) *Peer {
	for fd := 1 << 20; fd <= w.nextFD; fd++ { // in order: a map's order would differ from run to run
		if s := w.listening[fd]; s != nil && s.at == at {
			return w.dial(s, netip.AddrPort{})
		}
	}
	return nil
}

func (w *World) dial(s *listening, from netip.AddrPort) *Peer {
	if !from.IsValid() {
		if at := s.at.AddrPort(); at.IsValid() {
			w.port++
			from = netip.AddrPortFrom(at.Addr(), w.port)
		}
	}
	so := newSocket(w, from)
	so.local = s.at.AddrPort()
	s.queue = append(s.queue, so)
	return so.peer
}

// Serve answers the backend's connects to an address: serve is called with each new peer, inside Poll. With
// a nil serve the peers wait for Accept.
func (w *World) Serve(at engine.Addr, serve func(*Peer)) {
	w.services[at] = &service{serve: serve}
}

// Silence makes an address one that neither answers nor refuses.
func (w *World) Silence(at engine.Addr) { w.services[at] = &service{silent: true} }

// Unserve makes nobody listen at an address any more.
func (w *World) Unserve(at engine.Addr) { delete(w.services, at) }

// Accept takes the next connection that the backend made to an address; nil when there is none.
func (w *World) Accept(at engine.Addr) *Peer {
	s := w.services[at]
	if s == nil || len(s.queue) == 0 {
		return nil
	}
	p := s.queue[0]
	s.queue = s.queue[1:]
	return p
}
