package load_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/perf/load"
	"github.com/uringproxy/uringproxy/perf/origin"
)

// serving is an origin's service of a kind that lives as long as the test.
func serving(t *testing.T, kind origin.Kind) netip.AddrPort {
	t.Helper()
	o, err := origin.Listen(origin.Service{Name: "a", Addr: netip.MustParseAddrPort("127.0.0.1:0"), Kind: kind})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	addr := o.Addrs()[0]
	go func() { ended <- o.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return addr
}

// start makes a loader that is closed with the test.
func start(t *testing.T, cfg load.Config) load.Loader {
	t.Helper()
	cfg.Host, cfg.Services = "test.example.com", []string{"a"}
	l, err := load.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

func run(t *testing.T, l load.Loader, p load.Phase) *load.Result {
	t.Helper()
	p.Services = []string{"a"}
	r, err := l.Run(p)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

const short = 30 * time.Millisecond

func TestMessagesComeBack(t *testing.T) {
	for name, c := range map[string]struct {
		kind origin.Kind
		cfg  load.Config
	}{
		"connections":     {origin.Echo, load.Config{Conns: 3, Wire: load.Echo, Message: 1024}},
		"a message each":  {origin.Echo, load.Config{Conns: 3, Wire: load.Echo, Message: 100, PerRequest: true}},
		"least":           {origin.Echo, load.Config{Conns: 1, Wire: load.Echo, Message: load.StampBytes}},
		"most":            {origin.Echo, load.Config{Conns: 2, Wire: load.Echo, Message: 32 << 10}},
		"idle":            {origin.Echo, load.Config{Conns: 1, Idle: 200, Wire: load.Echo, Message: 64}},
		"websocket":       {origin.HTTP, load.Config{Conns: 3, Wire: load.WebSocket, Message: 100}},
		"125":             {origin.HTTP, load.Config{Conns: 2, Wire: load.WebSocket, Message: 125}},
		"126":             {origin.HTTP, load.Config{Conns: 2, Wire: load.WebSocket, Message: 126}},
		"long websocket":  {origin.HTTP, load.Config{Conns: 2, Wire: load.WebSocket, Message: 30_000}},
		"idle websockets": {origin.HTTP, load.Config{Conns: 1, Idle: 200, Wire: load.WebSocket, Message: 100}},
		"datagrams":       {origin.Datagrams, load.Config{Conns: 5, Wire: load.Datagrams, Message: 100}},
	} {
		t.Run(name, func(t *testing.T) {
			c.cfg.Addr = serving(t, c.kind)
			l := start(t, c.cfg)
			for range 2 {
				r := run(t, l, load.Phase{Length: short})
				if r.Errors != (load.Errors{}) || r.Answered == 0 || r.Answered != r.Requests || len(r.Samples) > 0 ||
					r.Bytes != 2*int64(r.Answered)*int64(c.cfg.Message) || r.Idle != c.cfg.Idle || r.P50 > r.Max {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

func TestStreamsAreCounted(t *testing.T) {
	for name, cfg := range map[string]load.Config{
		"one":    {Conns: 1, Wire: load.Bulk},
		"some":   {Conns: 5, Wire: load.Bulk},
		"duplex": {Conns: 2, Wire: load.Bulk, Duplex: true},
	} {
		t.Run(name, func(t *testing.T) {
			cfg.Addr = serving(t, origin.Source)
			l := start(t, cfg)
			for _, p := range []load.Phase{
				{Length: short, Compare: true, Finish: true}, {Length: short}, {Length: short},
				{Length: short, Compare: true}, {Finish: true}, {Length: short},
			} {
				r := run(t, l, p)
				if r.Errors != (load.Errors{}) || r.Answered != cfg.Conns || r.Requests != cfg.Conns ||
					len(r.Samples) > 0 || (r.Bytes == 0) != (p.Length == 0) || r.Elapsed < p.Length {
					t.Errorf("%+v: %+v", p, r)
				}
			}
		})
	}
}

// server gives every connection to a function, on a port of its own.
func server(t *testing.T, serve func(c net.Conn)) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// What goes wrong on a stream is found, and told.
func TestStreamsThatAreWrong(t *testing.T) {
	piece := load.Pattern(load.PatternPeriod)
	ending := func(sent int64, b ...byte) func(c net.Conn) {
		return func(c net.Conn) {
			c.Write(piece)
			io.Copy(io.Discard, c)
			c.Write(load.AppendTotals(b, sent, 0, 0))
		}
	}
	for want, serve := range map[string]func(c net.Conn){
		"not what was sent": func(c net.Conn) {
			c.Write([]byte("x"))
			io.Copy(io.Discard, c)
		},
		"stream ended after 4093": func(c net.Conn) { c.Write(piece) },
		"the upstream ends with":  ending(load.PatternPeriod + 1),
		"among 1 bytes from 4093": ending(load.PatternPeriod, 'X'),
	} {
		l := start(t, load.Config{Addr: server(t, serve), Conns: 1, Wire: load.Bulk})
		r := run(t, l, load.Phase{Length: short, Compare: true, Finish: true})
		if r.Errors.Sum() != 1 || r.Answered != 0 || !strings.Contains(strings.Join(r.Samples, "; "), want) {
			t.Errorf("%s: %+v", want, r)
		}
	}
	l := start(t, load.Config{Addr: server(t, ending(load.PatternPeriod)), Conns: 1, Wire: load.Bulk})
	if r := run(t, l, load.Phase{Length: short, Compare: true, Finish: true}); r.Answered != 1 || len(r.Samples) > 0 {
		t.Errorf("%+v", r)
	}
}

// A message that comes back changed, or is another's, is found.
func TestMessagesThatAreWrong(t *testing.T) {
	stale := func(c net.Conn) { // which sends the first message back again and again
		first := make([]byte, 64)
		next := make([]byte, 64)
		for _, err := io.ReadFull(c, first); err == nil; _, err = io.ReadFull(c, next) {
			c.Write(first)
		}
	}
	l := start(t, load.Config{Addr: server(t, stale), Conns: 1, Wire: load.Echo, Message: 64})
	r := run(t, l, load.Phase{Length: short})
	if r.Answered == 0 || r.Errors.Framing == 0 || !strings.Contains(r.Samples[0], "not the message that was sent") {
		t.Errorf("%+v", r)
	}
	refusing := server(t, func(c net.Conn) {
		c.Read(make([]byte, 1024))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	})
	l = start(t, load.Config{Addr: refusing, Conns: 1, Wire: load.WebSocket, Message: 64})
	r = run(t, l, load.Phase{Length: short})
	if r.Answered != 0 || r.Errors.Connect == 0 || !strings.Contains(r.Samples[0], "not what a WebSocket begins with") {
		t.Errorf("%+v", r)
	}
}

// Datagrams that are lost, late, doubled or another's.
func TestDatagramsThatGoWrong(t *testing.T) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		b := make([]byte, 1024)
		for n := 0; ; n++ {
			size, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			switch n {
			case 3: // lost
				continue
			case 5:
				conn.WriteToUDPAddrPort(b[:size], from) // twice
			case 7:
				other := append([]byte(nil), b[:size]...)
				binary.LittleEndian.PutUint64(other, 1<<50)
				conn.WriteToUDPAddrPort(other, from)
			}
			conn.WriteToUDPAddrPort(b[:size], from)
		}
	}()
	addr := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	l := start(t, load.Config{Addr: addr, Conns: 1, Wire: load.Datagrams, Message: 32})
	r := run(t, l, load.Phase{Length: 1100 * time.Millisecond})
	if r.Errors.Lost != 1 || r.Errors.Body != 1 || r.Answered != r.Requests-1 || r.Answered < 9 || len(r.Samples) != 2 {
		t.Errorf("%+v", r)
	}
}

func TestWiresThatCannotBe(t *testing.T) {
	addr := netip.MustParseAddrPort("127.0.0.1:9")
	for want, cfg := range map[string]load.Config{
		"with HTTP":         {Message: 10},
		"expected 8 to":     {Wire: load.Echo, Message: 7},
		`found wire "x"`:    {Wire: "x"},
		"expected it alone": {Wire: load.Echo, Message: 10, Pipeline: 2},
		"with idle":         {Wire: load.Bulk, Idle: 1},
		"one for each":      {Wire: load.WebSocket, Message: 10, PerRequest: true},
	} {
		cfg.Addr, cfg.Conns, cfg.Host = addr, 1, "x"
		if _, err := load.Start(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
