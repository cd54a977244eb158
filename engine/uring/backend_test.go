package uring

import (
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/mem"
)

func TestRecvStream(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 8)
		p := tcpPair(t)
		c := h.attach(p[1])
		h.b.Recv(c, engine.RecvStream)
		for _, s := range []string{"one", "two", "three"} {
			write(t, p[0], s)
			ev := h.await(engine.EvRecv, c.Slot, nil)
			if got := h.text(ev); got != s || ev.Flags != engine.FlagMore || !c.RecvArmed() {
				t.Fatalf("got %q with flags %x", got, ev.Flags)
			}
		}
		unix.Close(p[0])
		if ev := h.await(engine.EvRecv, c.Slot, nil); ev.Res != 0 || ev.Flags != 0 || c.RecvArmed() {
			t.Fatalf("end of stream: %+v", ev)
		}
		h.close(c, false)
		h.checkIdle()
	})
}

// TestEndBehindData has data and the end of a connection come together, so that one may hide the other.
func TestEndBehindData(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 8)
		for _, reset := range []bool{false, true} {
			for _, armed := range []bool{false, true} {
				for _, p := range [][2]int{unixPair(t), tcpPair(t)} {
					c := h.attach(p[1])
					if armed {
						h.b.Recv(c, engine.RecvStream)
						h.poll(0)
					}
					write(t, p[0], "data")
					if reset {
						linger := unix.Linger{Onoff: 1}
						_ = unix.SetsockoptLinger(p[0], unix.SOL_SOCKET, unix.SO_LINGER, &linger)
					}
					unix.Close(p[0])
					if !armed {
						h.b.Recv(c, engine.RecvStream)
					}
					var got string
					for turns := 0; c.RecvArmed(); turns++ {
						if turns == 60 {
							t.Fatalf("reset %v, armed %v: the end does not come", reset, armed)
						}
						for _, ev := range h.poll(1e9) {
							if ev.Res > 0 {
								got += h.text(ev)
							}
						}
					}
					if got != "data" {
						t.Errorf("reset %v, armed %v: got %q", reset, armed, got)
					}
					h.close(c, false)
				}
			}
		}
	})
}

func TestRecvCancel(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 8)
		p := tcpPair(t)
		defer unix.Close(p[0])
		c := h.attach(p[1])
		for _, mode := range []engine.RecvMode{engine.RecvStream, engine.RecvSmall, engine.RecvBulk} {
			h.b.Recv(c, mode)
			h.poll(0)
			h.b.RecvCancel(c)
			h.b.RecvCancel(c)
			if ev := h.await(engine.EvRecv, c.Slot, nil); ev.Res != -int32(unix.ECANCELED) || ev.Flags != 0 {
				t.Fatalf("mode %d: %+v", mode, ev)
			}
			h.b.RecvCancel(c) // nothing is armed
			write(t, p[0], "kept")
			h.b.Recv(c, mode)
			ev := h.await(engine.EvRecv, c.Slot, nil)
			if got := h.text(ev); got != "kept" {
				t.Fatalf("mode %d: got %q", mode, got)
			}
			if mode == engine.RecvStream {
				h.b.RecvCancel(c)
				h.await(engine.EvRecv, c.Slot, nil)
			}
			for c.Ops > 0 {
				h.poll(1e9)
			}
		}
		h.close(c, false)
		h.checkIdle()
	})
}

func TestSendSpans(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 8)
		p := tcpPair(t)
		defer unix.Close(p[0])
		c := h.attach(p[1])
		words := []string{"a", "bc", "def", "ghij", "klmno", "pqr", "st", "u"}
		var spans []mem.Span
		for i, w := range words {
			buf, span := h.buffer(w)
			defer h.mem.Drop(buf)
			spans = append(spans, span)
			want := strings.Join(words[:i+1], "")
			h.b.Send(c, spans, i%2 == 0)
			if ev := h.await(engine.EvSent, c.Slot, nil); int(ev.Res) != len(want) || c.SendBusy() {
				t.Fatalf("sent %+v", ev)
			}
			if i%2 == 0 {
				h.b.Send(c, spans[:1], false)
				h.await(engine.EvSent, c.Slot, nil)
				want += words[0]
			}
			if got := readN(t, p[0], len(want)); got != want {
				t.Fatalf("peer read %q, want %q", got, want)
			}
		}
		for h.b.Unacked(c) > 0 { // the peer has read it all, and its kernel acknowledges within milliseconds
			h.poll(1e6)
		}
		h.b.CloseWrite(c)
		if got := readAll(t, p[0]); got != "" {
			t.Fatalf("peer read %q after half-close", got)
		}
		h.close(c, false)
	})
}

func TestConnect(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 8)
		l, at := listenTCP(t)
		to := loopback(at)
		c := h.conns.Alloc()
		h.b.Connect(c, &to)
		if ev := h.await(engine.EvConnected, c.Slot, nil); ev.Res != 0 {
			t.Fatalf("connect: %+v", ev)
		}
		if v, _ := unix.GetsockoptInt(int(c.FD), unix.IPPROTO_TCP, unix.TCP_NODELAY); v != 1 {
			t.Error("TCP_NODELAY is not set")
		}
		peer, _, err := unix.Accept(l)
		if err != nil {
			t.Fatal(err)
		}
		h.b.Recv(c, engine.RecvSmall)
		write(t, peer, "hello")
		if got := h.text(h.await(engine.EvRecv, c.Slot, nil)); got != "hello" {
			t.Fatalf("got %q", got)
		}
		unix.Close(peer)
		h.close(c, false)

		unix.Close(l)
		c = h.conns.Alloc()
		h.b.Connect(c, &to)
		if ev := h.await(engine.EvConnected, c.Slot, nil); ev.Res != -int32(unix.ECONNREFUSED) {
			t.Fatalf("connect to a closed port: %+v", ev)
		}
		h.close(c, false)

		missing, err := engine.UnixAddr("/nonexistent/socket")
		if err != nil {
			t.Fatal(err)
		}
		c = h.conns.Alloc()
		h.b.Connect(c, &missing)
		if ev := h.await(engine.EvConnected, c.Slot, nil); ev.Res != -int32(unix.ENOENT) {
			t.Fatalf("connect to a missing path: %+v", ev)
		}
		h.close(c, true)
	})
}

// TestCloseWhileConnecting closes before the connect was submitted, and while it waits for an answer that
// cannot come.
func TestCloseWhileConnecting(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 256)
		l, at := listenTCP(t)
		defer unix.Close(l)
		if err := unix.Listen(l, 0); err != nil {
			t.Fatal(err)
		}
		to := loopback(at)
		var waiting []*engine.Conn
		for range 8 { // more than the queue holds, so some stay in SYN-SENT
			c := h.conns.Alloc()
			h.b.Connect(c, &to)
			waiting = append(waiting, c)
		}
		h.poll(0)
		unsent := h.conns.Alloc()
		h.b.Connect(unsent, &to)
		for i, c := range append(waiting, unsent) {
			h.b.Close(c, i%2 == 0)
		}
		for h.conns.Live() > 0 {
			for _, ev := range h.poll(1e9) {
				if ev.Kind != engine.EvClosed {
					t.Fatalf("got %+v of a closed connection", ev)
				}
				h.conns.Release(h.conns.At(ev.Slot))
			}
		}
	})
}

func TestAccept(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 1024)
		l, at := listenTCP(t)
		defer unix.Close(l)
		if err := h.b.Listen(3, l); err != nil {
			t.Fatal(err)
		}
		if err := h.b.Listen(3, l); err == nil {
			t.Error("a listener's number was given twice")
		}
		const clients = 300 // more than one turn accepts
		peers := map[netip.AddrPort]bool{}
		for range clients {
			fd := dialTCP(t, at)
			defer unix.Close(fd)
			sa, err := unix.Getsockname(fd)
			if err != nil {
				t.Fatal(err)
			}
			local := loopback(sa.(*unix.SockaddrInet4))
			peers[local.AddrPort()] = true
		}
		for len(peers) > 0 {
			n, err := h.b.Poll(1e9, h.out[:100])
			if err != nil || n == 0 {
				t.Fatalf("%d peers missing: %d events, %v", len(peers), n, err)
			}
			for i := range h.out[:n] {
				ev := &h.out[i]
				if ev.Kind != engine.EvAccept || ev.Listener != 3 || ev.Res < 0 {
					t.Fatalf("got %+v", *ev)
				}
				if !peers[h.b.Peer(ev)] {
					t.Fatalf("accepted %v, which nobody is", h.b.Peer(ev))
				}
				delete(peers, h.b.Peer(ev))
				unix.Close(int(ev.Res))
			}
		}
		h.b.Unlisten(3)
		unix.Close(dialTCP(t, at))
		if evs := h.poll(0); len(evs) != 0 {
			t.Fatalf("accepted while not listening: %+v", evs)
		}
		if err := h.b.Listen(3, l); err != nil {
			t.Fatal(err)
		}
		evs := h.poll(1e9)
		for len(evs) == 0 {
			evs = h.poll(1e9)
		}
		unix.Close(int(evs[0].Res))
	})
}

func TestAcceptWithoutDescriptors(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 8)
		l, at := listenTCP(t)
		defer unix.Close(l)
		if err := h.b.Listen(0, l); err != nil {
			t.Fatal(err)
		}
		client := dialTCP(t, at)
		defer unix.Close(client)
		var old unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		evs := h.poll(1e9)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
		if len(evs) != 1 || evs[0].Kind != engine.EvAccept || evs[0].Res != -int32(unix.EMFILE) {
			t.Fatalf("got %+v", evs)
		}
		evs = h.poll(1e9)
		for len(evs) == 0 {
			evs = h.poll(1e9)
		}
		if evs[0].Kind != engine.EvAccept || evs[0].Res < 0 {
			t.Fatalf("got %+v", evs)
		}
		unix.Close(int(evs[0].Res))
	})
}

// TestCloseSeenByPeer closes with nothing and with a receive in flight, gently and with a reset.
func TestCloseSeenByPeer(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 8)
		for _, armed := range []bool{false, true} {
			for _, reset := range []bool{false, true} {
				p := tcpPair(t)
				c := h.attach(p[1])
				if armed {
					h.b.Recv(c, engine.RecvStream)
					h.poll(0)
				}
				buf, span := h.buffer("bye")
				h.b.Send(c, []mem.Span{span}, false)
				h.await(engine.EvSent, c.Slot, nil)
				h.mem.Drop(buf)
				h.close(c, reset)
				if got := readN(t, p[0], 3); got != "bye" {
					t.Errorf("peer got %q", got)
				}
				var rest [1]byte
				if n, err := unix.Read(p[0], rest[:]); reset != (err == unix.ECONNRESET) || n > 0 {
					t.Errorf("armed %v, reset %v: peer got %d, %v", armed, reset, n, err)
				}
				unix.Close(p[0])
			}
		}
		h.checkIdle()
	})
}

// TestCloseWithSendInFlight closes while the peer reads nothing, so that the send waits for room.
func TestCloseWithSendInFlight(t *testing.T) {
	tiers(t, func(t *testing.T, tier string) {
		h := newHarness(t, Options{Tier: tier}, smallSizes, 8)
		for _, reset := range []bool{false, true} {
			p := tcpPair(t)
			c := h.attach(p[1])
			h.b.Recv(c, engine.RecvStream)
			buf, _ := h.mem.Take(mem.Bulk)
			span := h.mem.Data(buf)
			for {
				h.b.Send(c, []mem.Span{span}, false)
				if h.poll(0); c.SendBusy() {
					break
				}
			}
			h.close(c, reset)
			h.mem.Drop(buf)
			unix.Close(p[0])
		}
		h.checkIdle()
	})
}

func write(t testing.TB, fd int, s string) {
	t.Helper()
	if n, err := unix.Write(fd, []byte(s)); n != len(s) {
		t.Fatalf("wrote %d of %d bytes: %v", n, len(s), err)
	}
}

// readN reads n bytes from a blocking socket.
func readN(t testing.TB, fd, n int) string {
	t.Helper()
	buf := make([]byte, n)
	for got := 0; got < n; {
		m, err := unix.Read(fd, buf[got:])
		if m <= 0 {
			t.Fatalf("read %d of %d bytes: %v", got, n, err)
		}
		got += m
	}
	return string(buf)
}

// readAll reads from a blocking socket to the end of stream.
func readAll(t testing.TB, fd int) string {
	t.Helper()
	var all []byte
	for {
		var buf [4096]byte
		n, err := unix.Read(fd, buf[:])
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return string(all)
		}
		all = append(all, buf[:n]...)
	}
}
