package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// duplex is a connection either of whose directions may end first.
type duplex interface {
	net.Conn
	CloseWrite() error
}

// sides says where a tunnel has TLS, and who keeps the records.
type sides struct {
	client, upstream, relay bool
}

// onSides runs f for every combination in which there is TLS.
func onSides(t *testing.T, f func(t *testing.T, s sides)) {
	both(t, func(t *testing.T, relay bool) {
		t.Run("client", func(t *testing.T) { f(t, sides{client: true, relay: relay}) })
		t.Run("upstream", func(t *testing.T) { f(t, sides{upstream: true, relay: relay}) })
		t.Run("both", func(t *testing.T) { f(t, sides{client: true, upstream: true, relay: relay}) })
	})
}

// sidedRig has one stream, which asks for pass.example.com unless TLS ends here for all, with TLS where s has it.
func sidedRig(s sides, id identity, endpoints ...string) func(*rig) {
	return edits(tunnelRig(id, endpoints...), func(r *rig) {
		r.t.Helper()
		r.pool.Close()
		r.pool = handshake.NewPool(handshake.PoolOptions{Shards: 1, InFlight: 64, Waiting: 1024, Relay: s.relay})
		r.snap.Streams[0].Terminate = s.client
		if !s.upstream {
			return
		}
		client, err := handshake.NewClient(handshake.ClientOptions{Roots: id.believers, ServerName: "example.com"})
		if err != nil {
			r.t.Fatal(err)
		}
		for i := range r.snap.Services[1].Endpoints {
			r.snap.Services[1].Endpoints[i].TLS = client
		}
	})
}

// sidedEnd is farEnd, with TLS where s has it.
func sidedEnd(t testing.TB, s sides, id identity, f func(duplex, *net.TCPConn)) string {
	cfg := &tls.Config{Certificates: []tls.Certificate{id.certificate.TLS}}
	return farEnd(t, func(raw *net.TCPConn) {
		defer raw.Close()
		if !s.upstream {
			f(raw, raw)
			return
		}
		c := tls.Server(raw, cfg)
		if c.Handshake() == nil {
			f(c, raw)
		}
	})
}

// sidedClient connects, with TLS where s has it; where not, it says a ClientHello, which is a part of the stream.
func sidedClient(t testing.TB, s sides, r *rig, id identity) (c duplex, raw *net.TCPConn, said []byte) {
	t.Helper()
	raw = dialRig(t, r)
	if !s.client {
		said = clientHello(t, "pass.example.com")
		if _, err := raw.Write(said); err != nil {
			t.Fatal(err)
		}
		return raw, raw, said
	}
	secured := tls.Client(raw, &tls.Config{InsecureSkipVerify: true, ServerName: "pass.example.com"})
	if err := secured.Handshake(); err != nil {
		t.Fatal(err)
	}
	return secured, raw, nil
}

// TestTunnelTLSBothWays sends much in both directions at once, each of which ends for itself, in an order of its own.
func TestTunnelTLSBothWays(t *testing.T) {
	const size = 1 << 20
	id := newIdentity(t)
	up, down := noise(size, 1), noise(size+12345, 2)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		onSides(t, func(t *testing.T, s sides) {
			for _, order := range []string{"at once", "client first", "endpoint first"} {
				got := make(chan []byte, 1)
				far := sidedEnd(t, s, id, func(conn duplex, _ *net.TCPConn) {
					read := make(chan []byte, 1)
					send := func() {
						conn.Write(down)
						conn.CloseWrite()
					}
					receive := func() {
						b, _ := io.ReadAll(conn)
						read <- b
					}
					if order == "client first" {
						receive()
						send()
					} else {
						go receive()
						send()
					}
					got <- <-read
				})
				r := start(t, open(), []string{far}, sidedRig(s, id, far))
				conn, _, said := sidedClient(t, s, r, id)
				send := func() {
					conn.Write(up)
					conn.CloseWrite()
				}
				if order != "endpoint first" {
					go send()
				}
				back, err := io.ReadAll(conn)
				if err != nil || !bytes.Equal(back, down) {
					t.Errorf("%s: %d bytes came back of %d, %v", order, len(back), len(down), err)
				}
				if order == "endpoint first" {
					send()
				}
				if there := <-got; !bytes.Equal(there, append(said, up...)) {
					t.Errorf("%s: %d bytes arrived of %d", order, len(there), len(said)+len(up))
				}
				r.settled()
				snap := r.metrics.Snapshot()
				if n := snap.PassagesEnded(metrics.Streams, metrics.None); n != 1 {
					t.Errorf("%s: not ended in order: %v", order, snap)
				}
				series := r.metrics.Series(metrics.StreamSeries)[0]
				if want := uint64(len(said) + len(up)); series.CarriedUp != want {
					t.Errorf("%s: %d bytes are counted of %d", order, series.CarriedUp, want)
				}
			}
		})
	})
}

// A stream that ends without close_notify may have been cut off by anybody, and the other side must not take it for
// complete.
func TestTunnelTLSTruncated(t *testing.T) {
	id := newIdentity(t)
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		onSides(t, func(t *testing.T, s sides) {
			ended := make(chan error, 1)
			cut := make(chan bool, 1)
			far := sidedEnd(t, s, id, func(conn duplex, raw *net.TCPConn) {
				if !s.client {
					io.ReadFull(conn, make([]byte, 100))
				}
				conn.Write([]byte("there"))
				if s.upstream && !s.client {
					<-cut
					raw.CloseWrite()
				}
				_, err := io.ReadAll(conn)
				ended <- err
			})
			r := start(t, open(), []string{far}, sidedRig(s, id, far))
			conn, raw, _ := sidedClient(t, s, r, id)
			if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			if s.client {
				conn.Write([]byte("some"))
				raw.CloseWrite()
			} else {
				cut <- true
			}
			if err := <-ended; !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("the endpoint sees %v", err)
			}
			if _, err := io.ReadAll(raw); s.upstream && !s.client && !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("the client sees %v", err)
			}
			r.settled()
			snap := r.metrics.Snapshot()
			why := metrics.ClientGoneStream
			if !s.client {
				why = metrics.UpstreamStream
			}
			if snap.PassagesEnded(metrics.Streams, why) != 1 || snap.Counter(metrics.Truncations) != 1 {
				t.Errorf("counted otherwise: %v", snap)
			}
		})
	})
}

// An endpoint with which there is no TLS is none, and the next is tried.
func TestTunnelTLSEndpoints(t *testing.T) {
	id, other := newIdentity(t), newIdentity(t)
	s := sides{client: true, upstream: true}
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		good := sidedEnd(t, s, id, func(conn duplex, _ *net.TCPConn) {
			conn.Write([]byte("there"))
			conn.CloseWrite()
			io.Copy(io.Discard, conn)
		})
		unknown := sidedEnd(t, s, other, func(duplex, *net.TCPConn) {})
		deaf := farEnd(t, func(conn *net.TCPConn) { conn.Close() })
		r := start(t, open(), []string{good}, sidedRig(s, id, unknown, deaf, good))
		for range 3 {
			conn, _, _ := sidedClient(t, s, r, id)
			if b, err := io.ReadAll(conn); err != nil || string(b) != "there" {
				t.Errorf("%q, %v", b, err)
			}
			conn.Close()
		}
		lost := start(t, open(), []string{good}, sidedRig(s, id, unknown, deaf))
		_, raw, _ := sidedClient(t, s, lost, id)
		if _, err := io.ReadAll(raw); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("without an endpoint the client sees %v", err)
		}
		lost.settled()
		if n := lost.metrics.Snapshot().PassagesEnded(metrics.Streams, metrics.UpstreamTLS); n != 1 {
			t.Errorf("counted %d times", n)
		}
	})
}
