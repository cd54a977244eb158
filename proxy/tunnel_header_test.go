package proxy

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/engine"
	"github.com/uringproxy/uringproxy/engine/sim"
	"github.com/uringproxy/uringproxy/metrics"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/proxy/proxyproto"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// introduced is what an endpoint was told by a PROXY header, and the rest of its connection.
type introduced struct {
	header proxyproto.Header
	block  []byte
	rest   string
}

// hearing is an endpoint that expects a header, with TLS behind it where s has it. It is the first to speak, once it
// has the header.
func hearing(t testing.TB, s sides, id identity, to chan<- introduced) string {
	return farEnd(t, func(raw *net.TCPConn) {
		defer raw.Close()
		var b []byte
		for {
			h, n, code := proxyproto.Parse(b)
			switch {
			case code == proxyproto.NeedMore: // byte by byte: what is behind it belongs to others
				b = append(b, 0)
				if _, err := io.ReadFull(raw, b[len(b)-1:]); err != nil {
					return
				}
				continue
			case code != proxyproto.OK || n != len(b):
				t.Errorf("%q: %v", b, code)
				return
			}
			heard := introduced{header: h, block: b}
			var conn duplex = raw
			if s.upstream {
				conn = tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{id.certificate.TLS}})
			}
			io.WriteString(conn, "welcome")
			rest, _ := io.ReadAll(conn)
			heard.rest = string(rest)
			conn.CloseWrite()
			to <- heard
			return
		}
	})
}

// An endpoint is told whose connection it is before anything else, also when it is the first to speak, and when others
// were tried before it.
func TestTunnelAnnounces(t *testing.T) {
	id := newIdentity(t)
	all := []sides{{}, {client: true}, {upstream: true}, {client: true, upstream: true}}
	onEach(t, func(t *testing.T, open func() engine.Backend) {
		for _, s := range all {
			for version := plan.ProxyV1; version <= plan.ProxyV2; version++ {
				heard := make(chan introduced, 1)
				far := hearing(t, s, id, heard)
				r := start(t, open(), []string{far}, edits(sidedRig(s, id, nobody(t), far), func(r *rig) {
					r.snap.Services[1].Proxy = version
				}))
				conn, raw, said := sidedClient(t, s, r, id)
				if _, err := io.ReadFull(conn, make([]byte, len("welcome"))); err != nil {
					t.Fatalf("%+v: %v", s, err)
				}
				io.WriteString(conn, "hello")
				conn.CloseWrite()
				if _, err := io.ReadAll(conn); err != nil {
					t.Errorf("%+v: %v", s, err)
				}
				got := <-heard
				if got.rest != string(said)+"hello" {
					t.Errorf("%+v: behind the header came %d bytes", s, len(got.rest))
				}
				from, to := raw.LocalAddr().(*net.TCPAddr).AddrPort(), netip.MustParseAddrPort(r.addr)
				if got.header.Source != from || got.header.Destination != to {
					t.Errorf("%+v: %+v, from %v to %v", s, got.header, from, to)
				}
				if version == plan.ProxyV2 {
					checkFacts(t, s, got.block)
				}
				r.settled()
				if n := r.metrics.Snapshot().ProxySent(uint8(version)); n != 1 {
					t.Errorf("%+v: %d headers are counted", s, n)
				}
			}
		}
	})
}

// checkFacts looks into a header of version 2 for what must be told of the client's TLS.
func checkFacts(t *testing.T, s sides, block []byte) {
	t.Helper()
	facts := map[byte]string{}
	for b := block[16+12:]; len(b) > 0; {
		n := int(binary.BigEndian.Uint16(b[1:]))
		facts[b[0]] = string(b[3 : 3+n])
		b = b[3+n:]
	}
	if facts[2] != "pass.example.com" {
		t.Errorf("the server's name is told as %q", facts[2])
	}
	if tls := facts[0x20]; (tls != "") != s.client || s.client && !strings.Contains(tls, "TLSv1.3") {
		t.Errorf("%+v: of TLS is told %q", s, tls)
	}
}

// What a handshake has found out is told: version, suite in OpenSSL's words, protocol, and the client's certificate.
func TestAnnouncedFacts(t *testing.T) {
	f := facts{
		version: tls.VersionTLS12, suite: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", alpn: "mqtt",
		cert: &certificate{common: []byte("somebody")},
	}
	var to proxyproto.Facts
	f.tell(&to, make([]byte, 0, 100))
	if !to.TLS || string(to.Version) != "TLSv1.2" || string(to.Cipher) != "ECDHE-RSA-AES128-GCM-SHA256" ||
		string(to.ALPN) != "mqtt" || !to.Certificate || !to.Verified || string(to.CommonName) != "somebody" {
		t.Errorf("told: %+v", to)
	}
	for _, suite := range tls.CipherSuites() {
		name := cipherName(suite.Name)
		if strings.Contains(suite.Name, "_GCM_") && suite.SupportedVersions[0] < tls.VersionTLS13 &&
			strings.Contains(suite.Name, "ECDHE") && (name == suite.Name || strings.Contains(name, "_")) {
			t.Errorf("%s is called %s", suite.Name, name)
		}
	}
}

// A client of a unix socket has no address to be told, and an endpoint learns that.
func TestSimTunnelAnnouncesNobody(t *testing.T) {
	pool := handshake.NewPool(handshake.PoolOptions{Shards: 1, InFlight: 1, Waiting: 1})
	defer pool.Close()
	r := newSimRig(t, simConfig{endpoints: simEndpoints[:1], pool: pool, edit: func(s *plan.Snapshot) {
		streaming(t, s)
		s.Services[1].Proxy = plan.ProxyV1
	}})
	var heard []byte
	r.world.Serve(engine.IPAddr(netip.MustParseAddrPort(simEndpoints[0])), func(p *sim.Peer) {
		r.actors = append(r.actors, func() { heard = append(heard, p.Arrived()...) })
	})
	at, err := engine.UnixAddr("/run/test")
	if err != nil {
		t.Fatal(err)
	}
	r.sockets[1] = r.world.Listen(at)
	r.publish(func(s *plan.Snapshot) {
		s.Listeners = append(slices.Clone(s.Listeners), s.Listeners[0])
		s.Listeners[1].Unix, s.Listeners[1].Addr = "/run/test", netip.AddrPort{}
	})
	r.turn()
	p, first := r.world.DialAddr(at), clientHello(t, "pass.example.com")
	if _, err := p.Write(first); err != nil {
		t.Fatal(err)
	}
	r.until("the hello", func() bool { return bytes.HasSuffix(heard, first) })
	if want := "PROXY UNKNOWN\r\n" + string(first); string(heard) != want {
		t.Errorf("%q", heard)
	}
	p.Reset()
	r.until("the end", func() bool { return r.w.tunnels.Used() == 0 })
	r.count(metrics.ConnsClosedError, 1)
	r.stop()
}
