package load

import (
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
)

// deaf is an address where connections can be had, and nobody answers.
func deaf(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// running is a generator in a closed loop without an end, of which the test plays the server.
func running(t *testing.T, cfg Config) *Generator {
	t.Helper()
	if !cfg.Addr.IsValid() {
		cfg.Addr = deaf(t)
	}
	cfg.Services = []string{"a", "b"}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	g.begin(Phase{Services: cfg.Services})
	return g
}

// expect has a connection wait for answers, without anything being sent.
func expect(g *Generator, c *conn) {
	c.state, c.asked, c.answered = busy, g.cfg.Pipeline, 0
	g.inFlight += c.asked
}

func TestAnswersAtEverySplit(t *testing.T) {
	dated := okHead + "100\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\n\r\n"
	pattern := string(Pattern(120))
	a, b := string(Body("a")), string(Body("b"))
	for name, c := range map[string]struct {
		cfg    Config
		text   string
		right  int // of the requests
		errors Errors
	}{
		"length": {Config{}, dated + a, 1, Errors{}},
		"chunked": {Config{}, chunkedHead + "5\r\n" + b[:5] + "\r\n5f\r\n" + b[5:] + "\r\n0\r\nX: y\r\n\r\n", 1,
			Errors{}},
		"download": {Config{Download: 120}, okHead + "120\r\n\r\n" + pattern, 1, Errors{}},
		"wrong":    {Config{Download: 120}, okHead + "120\r\n\r\n" + pattern[:119] + ".", 0, Errors{Body: 1}},
		"announced": {Config{}, "HTTP/1.1 100 Continue\r\n\r\n" + okHead + "100\r\n\r\n" + a, 1,
			Errors{}},
		"pipelined": {Config{Pipeline: 3}, dated + a + dated + b + "HTTP/1.1 404 X\r\nContent-Length: 1\r\n\r\nx", 2,
			Errors{Status: 1}},
	} {
		c.cfg.Conns = 1
		g := running(t, c.cfg)
		conn := &g.conns[0]
		for cut := range len(c.text) {
			for _, second := range []int{cut, min(cut+1, len(c.text)), min(cut+17, len(c.text))} {
				g.tally = newTally(2)
				expect(g, conn)
				for _, part := range []string{c.text[:cut], c.text[cut:second], c.text[second:]} {
					if part != "" {
						g.process(conn, []byte(part))
					}
				}
				if g.tally.Answered != c.right || g.tally.Errors != c.errors || g.inFlight != 0 || conn.state != idle {
					t.Fatalf("%s, split at %d and %d: %+v, state %d", name, cut, second, g.tally.Result, conn.state)
				}
			}
		}
	}
}

func TestHeadsThatAreTooLong(t *testing.T) {
	for _, step := range []int{1000, 1 << 20} {
		g := running(t, Config{Conns: 1})
		expect(g, &g.conns[0])
		text := []byte("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", headBytes))
		for len(text) > 0 && g.tally.Errors.Framing == 0 {
			n := min(step, len(text))
			g.process(&g.conns[0], text[:n])
			text = text[n:]
		}
		if g.tally.Errors != (Errors{Framing: 1}) {
			t.Errorf("%d at once: %+v", step, g.tally.Errors)
		}
	}
}

func FuzzHeads(f *testing.F) {
	head := "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 10:00:00 GMT\r\nContent-Length: 5\r\n\r\n"
	f.Add([]byte(head), []byte(strings.Replace(head, "22", "23", 1)))
	f.Add([]byte(head), []byte(strings.Replace(head, "10:", "\r\n\r", 1)))
	f.Add([]byte("HTTP/1.1 204 \r\ndate:\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var k heads
		for _, text := range [][]byte{first, second, first} {
			got, whole, err := k.parse(text)
			want, wantWhole, wantErr := parseHead(text)
			got.date, got.dateEnd, want.date, want.dateEnd = 0, 0, 0, 0
			if whole != wantWhole || err != wantErr || whole && got != want {
				t.Fatalf("%q: %+v, %v, %v, want %+v, %v, %v", text, got, whole, err, want, wantWhole, wantErr)
			}
			if whole && (got.size > len(text) || got.length < -1) {
				t.Fatalf("%q: %+v", text, got)
			}
		}
	})
}

// constant answers every size bytes with reply, and allocates nothing meanwhile.
func constant(t *testing.T, size int, reply []byte) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	serve := func(c net.Conn) {
		defer c.Close()
		buffer := make([]byte, size)
		for {
			if _, err := io.ReadFull(c, buffer); err != nil {
				return
			}
			if _, err := c.Write(reply); err != nil {
				return
			}
		}
	}
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go serve(c)
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

func TestRequestsCostNoAllocation(t *testing.T) {
	answer := func(body []byte) []byte { return append([]byte(okHead+strconv.Itoa(len(body))+"\r\n\r\n"), body...) }
	for name, c := range map[string]struct {
		cfg   Config
		reply []byte
	}{
		"small":    {Config{Conns: 3}, answer(Body("a"))},
		"download": {Config{Conns: 2, Path: "/x", Download: 300_000}, answer(Pattern(300_000))},
		"upload":   {Config{Conns: 2, Method: "PUT", Upload: 300_000}, answer(AppendUploaded(nil, 300_000))},
		"pipeline": {Config{Conns: 2, Pipeline: 4}, answer(Body("b"))},
	} {
		for rate := range 2 {
			cfg := c.cfg
			if err := cfg.complete(); cfg.Addr.IsValid() || err == nil {
				t.Fatal("an address where none is")
			}
			m := cfg.message(false)
			cfg.Addr = constant(t, m.head+int(m.body), c.reply)
			g := running(t, cfg)
			g.closedLoop, g.schedule = rate == 0, newSchedule(rate*20_000, time.Hour)
			turn := func() {
				for before := g.tally.Answered; g.tally.Answered == before; {
					g.dispatch()
					if err := g.wait(g.untilNext()); err != nil || g.tally.Errors != (Errors{}) {
						t.Fatalf("%v, %+v", err, g.tally.Errors)
					}
					g.clock = g.now()
				}
			}
			for range 30 {
				turn() // until every connection is there
			}
			if n := testing.AllocsPerRun(100, turn); n != 0 || g.tally.Errors != (Errors{}) {
				t.Errorf("%s, rate %d: %v allocations, %+v", name, g.schedule.rate, n, g.tally.Errors)
			}
		}
	}
}

func TestConnectionsCostNoAllocation(t *testing.T) {
	g := running(t, Config{Conns: 1, PerRequest: true})
	g.closedLoop, g.schedule = true, newSchedule(0, time.Hour)
	g.dispatch()
	text := append([]byte(okHead+"100\r\n\r\n"), Body("a")...)
	if n := testing.AllocsPerRun(100, func() {
		g.clock++
		g.process(&g.conns[0], text)
	}); n != 0 || g.tally.Answered != 101 || g.tally.Errors != (Errors{}) || g.inFlight != 1 {
		t.Errorf("%v allocations, %d in flight, %+v", n, g.inFlight, g.tally.Result)
	}
}

func TestPiecesCostNoAllocation(t *testing.T) {
	g := running(t, Config{Streams: 1})
	c := &g.conns[0]
	c.state, c.asked, c.fd = busy, 1, -1
	g.process(c, []byte(chunkedHead))
	var text []byte
	n := 0
	if allocations := testing.AllocsPerRun(100, func() {
		text = append(AppendPiece(append(text[:0], "20\r\n"...), n), "\r\n"...)
		g.process(c, text)
		n++
	}); allocations != 0 || g.tally.Pieces != n || g.tally.Dropped != 0 {
		t.Errorf("%v allocations, %+v", allocations, g.tally.Result)
	}
}
