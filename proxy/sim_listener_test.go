package proxy

import (
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
)

// add opens a listener with the next ID, as server does it: its socket is there before it is published.
func (r *simRig) add() (id int) {
	id = len(r.snap.Listeners)
	at := netip.AddrPortFrom(simListener.Addr(), simListener.Port()+uint16(id))
	r.sockets[id] = r.world.Listen(engine.IPAddr(at))
	r.publish(func(s *plan.Snapshot) {
		s.Listeners = append(slices.Clone(s.Listeners), plan.Listener{Name: "more", Addr: at})
	})
	r.bringBack(id)
	return id
}

// remove makes a listener vacant.
func (r *simRig) remove(id int) (fd int) {
	fd = r.sockets[id]
	delete(r.sockets, id)
	r.publish(func(s *plan.Snapshot) {
		s.Listeners = slices.Clone(s.Listeners)
		s.Listeners[id].Table = nil
	})
	return fd
}

// bringBack makes a listener what it was before it was removed; its socket is the test's business.
func (r *simRig) bringBack(id int) {
	table, err := routing.Compile([]routing.Route{{Name: "all"}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.publish(func(s *plan.Snapshot) {
		s.Listeners = slices.Clone(s.Listeners)
		s.Listeners[id].Table = table
	})
}

func (r *simRig) count(c metrics.Counter, want uint64) {
	r.t.Helper()
	if n := r.metrics.Snapshot().Counter(c); n != want {
		r.t.Errorf("%v: %d, want %d", c, n, want)
	}
}

// What is idle on a removed listener is closed at once; what is running goes on to its end and is told so where it can
// be; the other listeners' connections do not notice.
func TestSimListenerIsRemoved(t *testing.T) {
	r := newTimeoutRig(t, nil)
	s := r.server(func(int) string { return "" })
	answer := func(n int, text string) {
		if _, err := s.peers[n].Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	asked := func(n int) { r.until("a request", func() bool { return len(s.got) == n }) }
	id := uint16(r.add())
	r.turn()

	idle := r.talkTo(id, simGet)
	asked(1)
	answer(0, okResponse)
	idle.heard("ok")
	other := r.talk(simGet)
	r.until("a request", func() bool { return strings.Count(s.got[0], "GET") == 2 })
	streaming := r.talkTo(id, simGet)
	asked(2)
	answer(1, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
	streaming.heard("first")
	waiting := r.talkTo(id, simGet+simGet)
	asked(3)

	fd := r.remove(int(id))
	if idle.ended(); idle.err != io.EOF || r.now() > time.Millisecond {
		t.Errorf("the idle connection ended with %v after %v", idle.err, r.now())
	}
	r.count(metrics.ConnsClosedDrain, 1)
	r.until("the socket let go", func() bool { return r.letGo[fd] })
	about(t, "let go", r.now(), lastCallFor)
	if n := r.sh.Snapshots(); n != 2 {
		t.Errorf("%d snapshots in use", n)
	}
	answer(1, "-last")
	if streaming.ended(); streaming.err != io.EOF || !strings.HasSuffix(streaming.got, "first-last") {
		t.Errorf("%q, then %v", streaming.got, streaming.err)
	}
	answer(2, okResponse)
	if waiting.ended(); strings.Count(waiting.got, "HTTP/1.1 200") != 1 ||
		!strings.Contains(waiting.got, "\r\nConnection: close\r\n") {
		t.Errorf("%q, then %v", waiting.got, waiting.err)
	}
	answer(0, okResponse)
	other.heard("ok")
	r.until("the end of the old snapshot", func() bool { return r.sh.Snapshots() == 1 })
	other.say(simGet)
	r.until("another request", func() bool { return strings.Count(strings.Join(s.got, ""), "GET") == 5 })
	for n := range s.got {
		if strings.Count(s.got[n], "GET") > 1 { // the connection that was taken again
			_, _ = s.peers[n].Write([]byte(okResponse))
		}
	}
	r.until("another answer", func() bool { return strings.Count(other.got, "HTTP/1.1 200") == 2 })
	r.stop()
}

// Connections in the queue of a removed listener, and those that have just been opened, get to make their request. It
// runs on the last snapshot that had the listener.
func TestSimListenerServesWhoHasConnected(t *testing.T) {
	for seed := range uint64(50) {
		r := newSimRig(t, simConfig{
			seed: seed, endpoints: simEndpoints[:1], edit: simPatient, faults: sim.Faults{Delay: 0.5, ShortRead: 0.3},
		})
		r.server(func(int) string { return okResponse })
		id := uint16(r.add())
		r.turn()
		early := r.talkTo(id, "")
		r.until("an accepted connection", func() bool { return r.w.clients == 1 })
		fd := r.remove(int(id))
		var queued []*simTalk
		for range 20 {
			queued = append(queued, r.talkTo(id, simGet))
		}
		late := r.talkTo(id, "")
		r.until("the socket let go", func() bool { return r.letGo[fd] })
		r.pass(time.Second)
		early.say(simGet)
		for i, k := range append(queued, early) {
			k.ended()
			if !strings.HasPrefix(k.got, "HTTP/1.1 200 ") || !strings.Contains(k.got, "\r\nConnection: close\r\n") {
				t.Fatalf("seed %d, client %d: %q, then %v", seed, i, k.got, k.err)
			}
		}
		if n := r.sh.Snapshots(); n != 2 {
			t.Fatalf("%d snapshots in use", n)
		}
		if late.ended(); late.at > 10200*time.Millisecond || late.got != "" {
			t.Errorf("who said nothing was left after %v, with %q", late.at, late.got)
		}
		if n := r.sh.Snapshots(); n != 1 {
			t.Fatalf("%d snapshots in use", n)
		}
		r.stop()
	}
}

// A listener that comes back before its socket is let go keeps it, or takes the new one that there is.
func TestSimListenerComesBack(t *testing.T) {
	for _, same := range []bool{true, false} {
		r := newTimeoutRig(t, nil)
		r.server(func(int) string { return okResponse })
		kept := r.talk(simGet).heard("ok")
		fd := r.remove(0)
		kept.ended()
		r.sockets[0] = fd
		if !same {
			r.sockets[0] = r.world.Listen(engine.IPAddr(simListener))
		}
		r.bringBack(0)
		r.turn()
		if r.letGo[fd] == same {
			t.Errorf("same socket: %v, let go: %v", same, r.letGo[fd])
		}
		k := r.talk(simGet).heard("ok")
		r.pass(time.Second)
		k.say(simGet)
		r.until("a second answer", func() bool { return strings.Count(k.got, "HTTP/1.1 200") == 2 })
		if strings.Contains(k.got, "Connection: close") || r.letGo[fd] == same || r.sh.Snapshots() != 1 {
			t.Errorf("same socket: %v, let go: %v, %q", same, r.letGo[fd], k.got)
		}
		r.stop()
	}
}

// A shard may see a listener go and come back as one change, or come and go as none.
func TestSimSnapshotsAreSkipped(t *testing.T) {
	r := newTimeoutRig(t, nil)
	r.server(func(int) string { return okResponse })
	kept := r.talk(simGet).heard("ok")
	fd := r.remove(0)
	r.sockets[0] = r.world.Listen(engine.IPAddr(simListener))
	r.bringBack(0)
	short := r.add()
	shortFD := r.remove(short)
	r.turn()
	if !r.letGo[fd] || r.letGo[shortFD] {
		t.Errorf("let go of %v, want of %d only", r.letGo, fd)
	}
	kept.say(simGet)
	r.until("a second answer", func() bool { return strings.Count(kept.got, "HTTP/1.1 200") == 2 })
	r.talk(simGet).heard("ok")
	// The snapshot that has it is adopted when its socket is gone already.
	id := r.add()
	delete(r.sockets, id)
	r.turn()
	r.remove(id)
	r.turn()
	if n := r.sh.Snapshots(); n != 1 {
		t.Errorf("%d snapshots in use", n)
	}
	r.stop()
}

// While too many clients are there, a listener that is removed is not listened on again, and one that is added waits.
func TestSimListenersChangeInAPause(t *testing.T) {
	r := newTimeoutRig(t, func(s *plan.Snapshot) { s.Limits.Connections = 1 })
	r.server(func(int) string { return okResponse })
	only := r.talk(simGet).heard("ok")
	id := uint16(r.add())
	r.turn()
	fd := r.remove(0)
	if only.ended(); only.err != io.EOF {
		t.Errorf("it ended with %v", only.err)
	}
	k := r.talkTo(id, simGet).heard("ok")
	r.until("the socket let go", func() bool { return r.letGo[fd] })
	if k.err != nil || r.metrics.Snapshot().Counter(metrics.AcceptPauses) != 2 {
		t.Errorf("%v, %v", k.err, r.metrics.Snapshot())
	}
	r.stop()
}

// A shutdown does not wait for a listener that is about to end.
func TestSimDrainEndsRemovedListeners(t *testing.T) {
	r := newTimeoutRig(t, nil)
	r.server(func(int) string { return okResponse })
	id := r.add()
	r.turn()
	r.talkTo(uint16(id), simGet).heard("ok")
	fd := r.remove(id)
	r.turn()
	r.drain()
	r.until("the end of the drain", func() bool { return r.drained })
	if !r.letGo[fd] || r.now() > 10*time.Millisecond {
		t.Errorf("let go: %v, after %v", r.letGo[fd], r.now())
	}
	r.stop()
}
