package proxy

import (
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/plan"
)

// Nothing is allocated for what passes through a tunnel, small or in bulk, with TLS on both sides or on none; nor for a
// tunnel that begins and ends without handshakes, with its limits and its PROXY header.
func TestTunnelNoAllocation(t *testing.T) {
	rate := runtime.MemProfileRate
	runtime.MemProfileRate = 1
	defer func() { runtime.MemProfileRate = rate }()
	const turns = 40
	ours := []string{"uringproxy/proxy.", "uringproxy/tls/record.", "uringproxy/shard.", "uringproxy/engine"}
	id, hello := newIdentity(t), clientHello(t, "pass.example.com")
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		for _, s := range []sides{{}, {client: true, upstream: true}} {
			far := sidedEnd(t, s, id, func(conn duplex, _ *net.TCPConn) {
				buf := make([]byte, 32<<10)
				for {
					n, err := conn.Read(buf)
					if err != nil {
						return
					}
					conn.Write(buf[:n])
				}
			})
			r := start(t, open(), []string{far}, edits(sidedRig(s, id, far), func(r *rig) {
				stream := &r.snap.Streams[0]
				stream.Connections, stream.Rate = 1000, 1<<30
			}))
			conn, _, said := sidedClient(t, s, r, id)
			if _, err := io.ReadFull(conn, make([]byte, len(said))); err != nil {
				t.Fatal(err)
			}
			small, large, back := make([]byte, 100), make([]byte, 200_000), make([]byte, 200_000)
			for name, n := range allocatedBy(ours, turns, func() {
				for _, message := range [][]byte{small, large} {
					go conn.Write(message)
					if _, err := io.ReadFull(conn, back[:len(message)]); err != nil {
						t.Fatal(err)
					}
				}
			}) {
				if n > turns/10 {
					t.Errorf("%+v: %s: %d allocations in %d turns", s, name, n, turns)
				}
			}
		}
		far := farEnd(t, func(conn *net.TCPConn) {
			io.Copy(io.Discard, conn)
			conn.Close()
		})
		r := start(t, open(), []string{far}, edits(tunnelRig(id, nobody(t), far), func(r *rig) {
			r.snap.Services[1].Proxy = plan.ProxyV2
			r.snap.Streams[0].Connections, r.snap.Streams[0].Rate = 1000, 1<<30
		}))
		for name, n := range allocatedBy(ours, turns, func() {
			conn, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			conn.Write(hello)
			conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, conn)
			conn.Close()
		}) {
			if n > turns/10 {
				t.Errorf("beginning and ending: %s: %d allocations in %d turns", name, n, turns)
			}
		}
	})
}
