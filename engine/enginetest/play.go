package enginetest

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
)

// Script limits: enough for every pair of operations to meet, few enough for thousands of scripts a minute.
const (
	actorsMax   = 4
	stepsMax    = 48
	unreadMax   = 32 << 10 // bytes under way to an unarmed receive: they fit every connection
	streamBytes = 2 << 20  // most of one direction
)

// Play runs a script on a harness and returns what could be observed, one line a connection, as far as the
// contract determines it. So the same script must return the same on every backend, and with every fault that loses
// nothing. Two bytes of the script are one step: what to do with which connection, and how much of it. A step
// that makes no sense in the connection's state is none.
func Play(t testing.TB, h Harness, script []byte) string {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := &stage{rig: newRig(t, h, usual)}
	s.fd, s.at[TCP4] = s.listen(0, TCP4)
	_, s.at[Unix] = s.listen(1, Unix)
	s.acceptors[TCP4], s.acceptors[Unix] = s.serve(TCP4), s.serve(Unix)
	for i := 0; i+1 < len(script) && i < 2*stepsMax; i += 2 {
		s.step(int(script[i]), int(script[i+1]))
	}
	for i := range s.cast {
		s.finish(i)
	}
	s.end()
	return strings.Join(s.record, "\n")
}

// stage is where a script is played.
type stage struct {
	*rig
	fd        int
	at        [3]engine.Addr
	acceptors [3]Acceptor
	cast      [actorsMax]*actor
	record    []string
}

// actor is one connection of a script. Between steps it is settled: what must have come has come.
type actor struct {
	s        *stage
	l        *link
	p        Peer
	name     string
	tcp      bool
	up, down []byte
	written  int // of up
	sent     int // of down
	got      []byte
	peerFin  bool // the peer's stream to us has ended, by whatever means
	linkFin  bool
	peerEnd  error
	pending  int  // bytes written of which it is open whether they have been received
	loose    bool // the contract no longer determines what is observed
}

// lines is the text that all streams are cut from.
var lines = sync.OnceValue(func() []byte { return pattern(99, 2*streamBytes) })

// moves are the operations of a script.
var moves = [...]func(a *actor, arg int){
	(*actor).peerWrites, (*actor).peerWrites, (*actor).arm, (*actor).arm, (*actor).once, (*actor).cancels,
	(*actor).cancelRace, (*actor).sends, (*actor).sends, (*actor).sendsMuch, (*actor).peerHalfCloses,
	(*actor).halfCloses, (*actor).peerCloses, (*actor).peerResets, (*actor).sendsToNobody, (*actor).closes,
	(*actor).closesAtOnce, (*actor).wakes,
}

func (s *stage) step(op, arg int) {
	i := op % actorsMax
	op /= actorsMax
	if a := s.cast[i]; a != nil {
		moves[op%len(moves)](a, arg)
		return
	}
	if op%8 == 0 {
		s.refused(arg)
		return
	}
	s.cast[i] = s.enter(len(s.record)*actorsMax+i, arg)
}

// enter opens a connection: by an accept, by an accept after Unlisten and Listen, or by a connect.
func (s *stage) enter(seed, arg int) *actor {
	f := []Family{TCP4, Unix}[arg&1]
	up, down := 4099*seed%streamBytes, 7907*seed%streamBytes
	a := &actor{s: s, tcp: f == TCP4, up: lines()[up:][:streamBytes], down: lines()[down:][:streamBytes]}
	switch {
	case arg&2 != 0:
		a.name = fmt.Sprint("connected ", f)
		a.l = s.connect(s.acceptors[f].Addr())
		a.l.wantConnected(0)
		a.p = s.acceptPeer(s.acceptors[f])
	case arg&4 != 0 && f == TCP4:
		a.name = fmt.Sprint("queued ", f)
		s.b.Unlisten(0)
		a.p = s.dial(s.at[f])
		s.poll(0)
		if err := s.b.Listen(0, s.fd); err != nil {
			s.t.Fatal(err)
		}
		a.l = s.link()
		s.b.Attach(a.l.c, s.take().fd)
	default:
		a.name = fmt.Sprint("accepted ", f)
		a.l, a.p = s.pair(s.at[f])
	}
	return a
}

// refused connects to where nobody listens.
func (s *stage) refused(arg int) {
	l := s.connect(s.w.Nobody([]Family{TCP4, Unix}[arg&1]))
	s.until("a refusal", func() bool { return len(l.dialled) == 1 })
	l.close(arg&2 != 0)
	s.until("EvClosed", func() bool { return l.closed == 1 })
	s.record = append(s.record, fmt.Sprintf("refused: %d", l.dialled[0]))
}

// settle lets an armed receive take everything that was written. A single receive is repeated while there is something
// left, and is then unarmed.
func (a *actor) settle() {
	l := a.l
	if !l.armed || a.loose {
		return
	}
	if !l.keep && a.pending > 0 {
		a.drain()
	}
	a.s.until("the receives to catch up", func() bool { return l.ended() || len(l.got) == a.written })
	a.pending = 0
	if a.peerFin && !l.ended() {
		a.untilEnd()
	}
}

// drain repeats single receives until everything has come; none is armed then.
func (a *actor) drain() {
	l := a.l
	for l.armed || len(l.got) < a.written && !l.ended() {
		if !l.armed {
			l.recv(l.mode)
		}
		a.s.until("the receive to end", func() bool { return !l.armed })
	}
	a.pending = 0
}

// untilEnd receives up to the end of the peer's stream.
func (a *actor) untilEnd() {
	l := a.l
	l.keep = true
	if !l.armed && !l.ended() {
		l.recv(engine.RecvStream)
	}
	a.s.until("the stream's end", l.ended)
	a.pending = 0
}

// room reports whether the peer may write n bytes more.
func (a *actor) room(n int) bool {
	return !a.peerFin && a.pending+n <= unreadMax && a.written+n <= len(a.up)
}

func (a *actor) peerWrites(arg int) {
	n := 1 + arg*33
	if !a.room(n) {
		return
	}
	a.s.push(a.p, a.up[a.written:a.written+n])
	a.written += n
	a.pending += n
	a.settle()
}

func (a *actor) arm(arg int) {
	if a.l.armed || a.l.ended() {
		return
	}
	a.l.keep = true
	a.l.recv(engine.RecvMode(arg % 3))
	a.settle()
}

// once arms a single receive. With something to receive it ends, and is repeated until all has come.
func (a *actor) once(arg int) {
	l := a.l
	if l.armed || l.ended() {
		return
	}
	l.keep = false
	l.mode = []engine.RecvMode{engine.RecvSmall, engine.RecvBulk}[arg%2]
	switch {
	case a.peerFin:
		a.untilEnd()
	case a.pending > 0:
		a.drain()
	default:
		l.recv(l.mode)
	}
}

func (a *actor) cancels(int) {
	a.l.keep = false
	a.l.cancel()
	a.s.until("the receive to end", func() bool { return !a.l.armed })
}

// cancelRace cancels while data is on its way. How much arrives is open; that nothing is lost shows later.
func (a *actor) cancelRace(arg int) {
	n := 1 + arg*33
	if !a.room(n) {
		return
	}
	if k, err := a.p.Write(a.up[a.written : a.written+n]); err == nil {
		a.written += k
		a.pending += k
	}
	a.cancels(0)
}

func (a *actor) sends(arg int) { a.send(1 + arg*97) }

// sendsMuch sends more than a connection holds, while the peer reads.
func (a *actor) sendsMuch(arg int) { a.send(400_000 + arg) }

func (a *actor) send(n int) {
	if a.linkFin || a.loose || a.peerEnd != nil || a.sent+n > len(a.down) {
		return
	}
	a.l.write(a.down[a.sent : a.sent+n])
	a.sent += n
	a.got = append(a.got, a.s.pull(a.p, n)...)
	a.s.until("EvSent", func() bool { return !a.l.sending })
}

func (a *actor) peerHalfCloses(int) {
	if a.peerFin {
		return
	}
	a.peerFin = true
	a.p.CloseWrite()
	a.afterPeer()
}

// afterPeer lets an armed receive see the end.
func (a *actor) afterPeer() {
	if a.l.armed {
		a.untilEnd()
	}
}

func (a *actor) halfCloses(int) {
	if a.linkFin || a.loose || a.peerEnd != nil {
		return
	}
	a.linkFin = true
	a.s.b.CloseWrite(a.l.c)
	rest, end := a.s.pullAll(a.p)
	a.got, a.peerEnd = append(a.got, rest...), end
}

// gonePeer is how a peer's own stream ends when the peer itself left.
var gonePeer = errors.New("left")

func (a *actor) peerCloses(int) {
	if a.peerEnd == gonePeer {
		return
	}
	a.peerFin, a.peerEnd = true, gonePeer
	a.p.Close()
	a.afterPeer()
}

func (a *actor) peerResets(int) {
	if a.peerEnd == gonePeer || !a.tcp {
		return
	}
	a.peerEnd = gonePeer
	a.loose = a.loose || a.peerFin || !a.l.armed
	a.peerFin = true
	a.p.Reset()
	a.afterPeer()
}

// sendsToNobody sends to a peer that left: sooner or later an error, and only once.
func (a *actor) sendsToNobody(int) {
	if a.linkFin || a.peerEnd != gonePeer {
		return
	}
	a.loose = true
	a.l.write(a.down[:1000])
	a.s.until("EvSent", func() bool { return !a.l.sending && len(a.l.outbox) == 0 })
}

func (a *actor) wakes(int) {
	a.s.b.Wake()
	a.s.poll(0)
}

// closes ends the connection from our side and looks at what the peer sees.
func (a *actor) closes(arg int) {
	reset := arg&1 != 0
	a.l.close(reset)
	a.s.until("EvClosed", func() bool { return a.l.closed == 1 })
	if a.peerEnd == nil {
		rest, end := a.s.pullAll(a.p)
		a.got, a.peerEnd = append(a.got, rest...), end
		if a.pending > 0 || reset && !a.tcp {
			a.peerEnd = nil // an end or a reset, both are right
		}
	}
	a.leave()
}

// closesAtOnce closes while data is on its way in both directions.
func (a *actor) closesAtOnce(arg int) {
	a.loose = true
	if !a.peerFin {
		a.p.Write(a.up[:1+arg])
	}
	if !a.linkFin {
		a.l.write(a.down[:1+arg*50])
	}
	a.closes(arg)
}

// finish ends what is still on the stage, in order.
func (s *stage) finish(i int) {
	a := s.cast[i]
	if a == nil {
		return
	}
	if !a.loose {
		if !a.peerFin {
			a.peerHalfCloses(0)
		}
		a.untilEnd()
	}
	a.closes(0)
}

// leave writes down what was observed of a connection that is closed.
func (a *actor) leave() {
	line := a.name + ": loose"
	if !a.loose {
		if !bytes.HasPrefix(a.up, a.l.got) || !bytes.Equal(a.got, a.down[:a.sent]) {
			a.s.t.Fatalf("%s: a stream arrived changed", a.name)
		}
		end := "open"
		switch {
		case a.l.ended() && a.l.last() == 0:
			end = "end"
		case a.l.ended():
			end = "error"
		}
		received := ""
		if end == "end" { // else how far a receive got is not determined
			received = fmt.Sprintf(" %d bytes %08x", len(a.l.got), crc32.ChecksumIEEE(a.l.got))
		}
		line = fmt.Sprintf("%s: received%s, then %s; the peer %d bytes, then %v",
			a.name, received, end, len(a.got), a.peerEnd)
	}
	a.s.record = append(a.s.record, line)
	for i, other := range a.s.cast {
		if other == a {
			a.s.cast[i] = nil
		}
	}
}
