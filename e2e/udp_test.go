package e2e

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// udpEcho answers every datagram with a name in front of it, unless it asks for silence. It returns where it is, and
// how to end it.
func udpEcho(t *testing.T, name string) (addr string, end func()) {
	t.Helper()
	conn, err := net.ListenPacket("udp", FreeAddr(t, "127.0.0.1"))
	do(t, err)
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if string(b[:n]) != "silence" {
				_, _ = conn.WriteTo(append([]byte(name+":"), b[:n]...), from)
			}
		}
	}()
	return conn.LocalAddr().String(), func() { conn.Close() }
}

// udpFrom is a client's socket at an address of the loopback network, connected to addr.
func udpFrom(t *testing.T, source, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(source)}}
	conn, err := d.Dial("udp", addr)
	do(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// asked tells one question from another, so that a late answer to one that was repeated is not taken for the next.
var asked atomic.Int64

// askUDP sends a question until there is an answer, as clients of UDP do.
func askUDP(t *testing.T, conn net.Conn, question string) string {
	t.Helper()
	b := make([]byte, 64<<10)
	mark := fmt.Sprintf("#%d", asked.Add(1))
	for range 300 {
		_, _ = conn.Write([]byte(question + mark)) // a refusal of the one before is told here too
		do(t, conn.SetReadDeadline(time.Now().Add(100*time.Millisecond)))
		for {
			n, err := conn.Read(b)
			if err != nil {
				break
			}
			if answer, ok := strings.CutSuffix(string(b[:n]), mark); ok {
				return answer
			}
		}
	}
	t.Fatalf("%s gets no answer", conn.LocalAddr())
	return ""
}

// udpConfig passes datagrams on from addr to endpoints.
func udpConfig(addr, more string, endpoints ...string) string {
	for i, e := range endpoints {
		endpoints[i] = fmt.Sprintf("%q", "udp://"+e)
	}
	return fmt.Sprintf("%s\n[admin]\naddress = \"off\"\n[listeners.u]\naddress = %q\nprotocol = \"udp\"\n"+
		"[udp_routes.u]\nservice = \"u\"\n[services.u]\nendpoints = [%s]\n",
		more, addr, strings.Join(endpoints, ", "))
}

// A client keeps its endpoint, as long as it is there: one that ends, or is taken out, is replaced by another.
func TestUDPEndpoints(t *testing.T) {
	Engines(t, func(t *testing.T, engine string) {
		first, endFirst := udpEcho(t, "first")
		second, _ := udpEcho(t, "second")
		third, _ := udpEcho(t, "third")
		addr := FreeAddr(t, "127.0.0.1")
		p := Start(t, udpConfig(addr, "", first, second), "--engine", engine)
		var clients []net.Conn
		before := map[string]int{}
		for n := range 10 {
			c := udpFrom(t, fmt.Sprintf("127.0.3.%d", n+1), addr)
			clients = append(clients, c)
			answer := askUDP(t, c, "who")
			before[answer]++
			if again := askUDP(t, c, "who"); again != answer {
				t.Errorf("client %d gets %q, then %q", n, answer, again)
			}
		}
		if len(before) != 2 {
			t.Errorf("the answers are %v", before)
		}
		endFirst()
		for n, c := range clients {
			if got := askUDP(t, c, "who"); got != "second:who" {
				t.Errorf("without the first, client %d gets %q", n, got)
			}
		}
		p.Rewrite(udpConfig(addr, "", third))
		p.WaitOutput("configuration reloaded", 1)
		for n, c := range clients {
			if got := askUDP(t, c, "who"); got != "third:who" {
				t.Errorf("with the third alone, client %d gets %q", n, got)
			}
		}
		p.NoWorkers()
		p.Stop()
	})
}

// A flood from many addresses that are not answered takes no more memory and no more descriptors than the limit says,
// and disturbs nobody who is in the middle of something.
func TestUDPFlood(t *testing.T) {
	const sessions, flood = 100, 2000
	Engines(t, func(t *testing.T, engine string) {
		far, _ := udpEcho(t, "far")
		addr := FreeAddr(t, "127.0.0.1")
		p := Start(t, udpConfig(addr, fmt.Sprintf("[limits]\nudp_sessions = %d", sessions), far), "--engine", engine)
		talking := udpFrom(t, "127.0.0.1", addr)
		askUDP(t, talking, "one")
		askUDP(t, talking, "two")
		send := func(from, to int) {
			for n := from; n < to; n++ {
				c := udpFrom(t, fmt.Sprintf("127.9.%d.%d", n>>8, n&0xff), addr)
				_, _ = c.Write([]byte("silence"))
				c.Close()
				if n%200 == 0 { // as fast as they are handled: what a full socket loses is no load
					askUDP(t, talking, "more")
				}
			}
		}
		idle := p.Sockets()
		send(0, flood/4)
		before := p.AnonBytes()
		send(flood/4, flood)
		if grown := p.AnonBytes() - before; grown > 4<<20 {
			t.Errorf("the flood takes %d KiB", grown>>10)
		}
		if n := p.Sockets() - idle; n > sessions+16 {
			t.Errorf("the flood takes %d sockets", n)
		}
		if got := askUDP(t, talking, "three"); got != "far:three" {
			t.Errorf("the answer is %q", got)
		}
		p.Stop()
	})
}
