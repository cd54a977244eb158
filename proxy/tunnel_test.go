package proxy

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// tunnelRig has a TLS listener that passes on what asks for pass.example.com, to endpoints.
func tunnelRig(id identity, endpoints ...string) func(*rig) {
	return edits(secureRig(id, false, handshake.Policy{}), func(r *rig) {
		r.t.Helper()
		expr, err := rule.ParseStream("SNI(`pass.example.com`)")
		if err != nil {
			r.t.Fatal(err)
		}
		table, err := routing.CompileStreams([]routing.Route{{Name: "pass", Rule: expr}})
		if err != nil {
			r.t.Fatal(err)
		}
		far := snapshotFor(r.t, r.snap.Listeners[0].Addr, endpoints...).Services[0]
		far.Name, far.ID, far.Stream = "far", 1, true
		for i := range far.Endpoints {
			far.Endpoints[i].ID += 100
		}
		r.snap.Listeners[0].Streams = table
		r.snap.Services = append(r.snap.Services, far)
		r.snap.Streams = []plan.Stream{{Name: "pass", Service: 1}}
		r.snap.Timeouts.StreamIdle = time.Minute
	})
}

// clientHello is what a client begins with that asks for name.
func clientHello(t testing.TB, name string) []byte {
	t.Helper()
	near, far := net.Pipe()
	defer far.Close()
	go func() {
		_ = tls.Client(near, &tls.Config{ServerName: name}).Handshake()
		near.Close()
	}()
	header := make([]byte, 5)
	if _, err := io.ReadFull(far, header); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(header[3])<<8|int(header[4]))
	if _, err := io.ReadFull(far, body); err != nil {
		t.Fatal(err)
	}
	return append(header, body...)
}

// farEnd accepts connections and hands each to f.
func farEnd(t testing.TB, f func(*net.TCPConn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go f(conn.(*net.TCPConn))
		}
	}()
	return ln.Addr().String()
}

// nobody is an address at which nobody listens.
func nobody(t testing.TB) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func dialRig(t testing.TB, r *rig) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn.(*net.TCPConn)
}

// noise is n bytes that look like nothing else.
func noise(n int, seed uint64) []byte {
	b := make([]byte, 0, n+8)
	for rng := rand.NewPCG(seed, 1); len(b) < n; {
		b = binary.LittleEndian.AppendUint64(b, rng.Uint64())
	}
	return b[:n:n]
}

// TestTunnelByName passes one name's connections on as they are, and ends TLS for all others.
func TestTunnelByName(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		ours, theirs := newIdentity(t), newIdentity(t)
		say := func(text string) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) }
		}
		far := secureUpstream(t, theirs, say("passed on"), nil)
		r := start(t, open(), []string{upstream(t, say("ended here"))}, tunnelRig(ours, far))
		for _, c := range []struct {
			name, want string
			id         identity
		}{{"pass.example.com", "passed on", theirs}, {"example.com", "ended here", ours}} {
			k := secureClient(t, c.id, func(cfg *tls.Config) {
				cfg.ServerName = c.name
				if c.name != "example.com" { // the certificate is for example.com alone
					cfg.InsecureSkipVerify = true
				}
			})
			res, err := k.Get("https://" + r.addr + "/")
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			res.Body.Close()
			if err != nil || string(body) != c.want {
				t.Errorf("%s: %q, %v", c.name, body, err)
			}
			leaf, _ := c.id.certificate.Parsed()
			if got := res.TLS.PeerCertificates[0]; !got.Equal(leaf.Leaf) {
				t.Errorf("%s: another certificate", c.name)
			}
			k.CloseIdleConnections()
		}
	})
}

// bothWays sends size bytes up a tunnel and some more down, at once; each direction ends for itself. It returns how
// many bytes there were, with those of the ClientHello.
func bothWays(t *testing.T, be engine.Backend, size int) (r *rig, all uint64) {
	first := clientHello(t, "pass.example.com")
	up, down := noise(size, 1), noise(size+12345, 2)
	got := make(chan []byte, 1)
	far := farEnd(t, func(conn *net.TCPConn) {
		defer conn.Close()
		read := make(chan []byte)
		go func() {
			b, _ := io.ReadAll(conn)
			read <- b
		}()
		conn.Write(down)
		conn.CloseWrite()
		got <- <-read
	})
	r = start(t, be, []string{far}, tunnelRig(newIdentity(t), far))
	conn := dialRig(t, r)
	go func() {
		conn.Write(first)
		conn.Write(up)
		conn.CloseWrite()
	}()
	back, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(back, down) {
		t.Errorf("%d bytes came back of %d, %v", len(back), len(down), err)
	}
	if there := <-got; !bytes.Equal(there, append(first, up...)) {
		t.Errorf("%d bytes arrived of %d", len(there), len(first)+len(up))
	}
	return r, uint64(len(first) + len(up) + len(down))
}

// TestTunnelBothWays sends much in both directions at once, each of which ends for itself.
func TestTunnelBothWays(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) { bothWays(t, open(), 6<<20) })
}

// TestTunnelPingPong has small messages go to and fro after the client has ended its hello in pieces.
func TestTunnelPingPong(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		first := clientHello(t, "pass.example.com")
		far := farEnd(t, func(conn *net.TCPConn) {
			defer conn.Close()
			io.CopyN(io.Discard, conn, int64(len(first)))
			io.Copy(conn, conn)
		})
		r := start(t, open(), []string{far}, tunnelRig(newIdentity(t), far))
		conn := dialRig(t, r)
		for i := range first {
			conn.Write(first[i : i+1])
		}
		for i := range 300 {
			message := noise(1+i*i%5000, uint64(i))
			conn.Write(message)
			back := make([]byte, len(message))
			if _, err := io.ReadFull(conn, back); err != nil || !bytes.Equal(back, message) {
				t.Fatalf("message %d: %v", i, err)
			}
		}
		conn.CloseWrite()
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("after the end: %v", err)
		}
	})
}

// TestTunnelResets checks that what is cut off on one side is cut off on the other, never ended in order.
func TestTunnelResets(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		first := clientHello(t, "pass.example.com")
		resetAll := make(chan bool)
		ended := make(chan error, 1)
		far := farEnd(t, func(conn *net.TCPConn) {
			defer conn.Close()
			io.CopyN(io.Discard, conn, int64(len(first)))
			conn.Write([]byte("x"))
			select {
			case <-resetAll:
				conn.SetLinger(0)
			default:
				_, err := conn.Read(make([]byte, 1))
				ended <- err
			}
		})
		r := start(t, open(), []string{far}, tunnelRig(newIdentity(t), far))
		conn := dialRig(t, r)
		conn.Write(first)
		io.ReadFull(conn, make([]byte, 1))
		conn.SetLinger(0)
		conn.Close()
		if err := <-ended; !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("the endpoint of a client that is gone sees %v", err)
		}
		close(resetAll)
		conn = dialRig(t, r)
		conn.Write(first)
		if _, err := io.ReadAll(conn); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("the client of an endpoint that is gone sees %v", err)
		}
		r.settled()
		snap := r.metrics.Snapshot()
		clients := snap.PassagesEnded(metrics.Streams, metrics.ClientGoneStream)
		if n := snap.PassagesEnded(metrics.Streams, metrics.UpstreamStream); clients != 1 || n != 1 {
			t.Errorf("%d clients and %d endpoints are counted as gone", clients, n)
		}
	})
}

// TestTunnelEndpoints tries the next endpoint, and gives up when there is none.
func TestTunnelEndpoints(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		first := clientHello(t, "pass.example.com")
		far := farEnd(t, func(conn *net.TCPConn) {
			defer conn.Close()
			io.CopyN(io.Discard, conn, int64(len(first)))
			conn.Write([]byte("there"))
		})
		r := start(t, open(), []string{far}, tunnelRig(newIdentity(t), nobody(t), far))
		for range 4 {
			conn := dialRig(t, r)
			conn.Write(first)
			if b, err := io.ReadAll(conn); err != nil || string(b) != "there" {
				t.Errorf("%q, %v", b, err)
			}
			conn.Close()
		}
		lost := start(t, open(), []string{far}, tunnelRig(newIdentity(t), nobody(t), nobody(t)))
		conn := dialRig(t, lost)
		conn.Write(first)
		if _, err := io.ReadAll(conn); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("without an endpoint the client sees %v", err)
		}
		lost.settled()
		if n := lost.metrics.Snapshot().PassagesEnded(metrics.Streams, metrics.UpstreamConnect); n != 1 {
			t.Errorf("counted %d times", n)
		}
	})
}

// TestTunnelSlowReader has an endpoint send without end to a client who does not read: what we hold is bounded.
func TestTunnelSlowReader(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		first := clientHello(t, "pass.example.com")
		stuck := make(chan bool)
		far := farEnd(t, func(conn *net.TCPConn) {
			defer conn.Close()
			conn.SetWriteDeadline(time.Now().Add(time.Second / 2))
			for {
				if _, err := conn.Write(make([]byte, 64<<10)); err != nil {
					stuck <- true
					return
				}
			}
		})
		r := start(t, open(), []string{far}, tunnelRig(newIdentity(t), far))
		conn := dialRig(t, r)
		conn.Write(first)
		<-stuck
		if g := r.gauges(); g.BulkHeld > 4 || g.SmallHeld > 2*windowPieces+128 {
			t.Errorf("held for one client: %+v", g)
		}
	})
}

// TestTunnelIdle ends a tunnel through which nothing passes.
func TestTunnelIdle(t *testing.T) {
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		first := clientHello(t, "pass.example.com")
		far := farEnd(t, func(conn *net.TCPConn) {
			defer conn.Close()
			io.Copy(io.Discard, conn)
		})
		r := start(t, open(), []string{far}, edits(tunnelRig(newIdentity(t), far), func(r *rig) {
			r.snap.Timeouts.StreamIdle = 50 * time.Millisecond
		}))
		conn := dialRig(t, r)
		conn.Write(first)
		if _, err := io.ReadAll(conn); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("the client sees %v", err)
		}
		r.settled()
		if n := r.metrics.Snapshot().PassagesEnded(metrics.Streams, metrics.TimeoutStream); n != 1 {
			t.Errorf("counted %d times", n)
		}
	})
}

// settled waits until there is no tunnel.
func (r *rig) settled() {
	for r.gauges().Tunnels > 0 {
		time.Sleep(time.Millisecond)
	}
}
