package proxy

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/certs"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// identity is the certificate of our side, and who believes it.
type identity struct {
	certificate *certs.Certificate
	believers   *x509.CertPool
}

func newIdentity(t testing.TB) identity {
	t.Helper()
	c, err := certs.SelfSigned("example.com", "127.0.0.1", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(c.TLS.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(leaf)
	return identity{c, pool}
}

// secureRig has a listener over TLS. relay is whether crypto/tls keeps the records.
func secureRig(id identity, relay bool, policy handshake.Policy) func(*rig) {
	return func(r *rig) {
		r.t.Helper()
		server, err := handshake.NewServer(handshake.ServerOptions{
			Certificates: certs.NewSet([]*certs.Certificate{id.certificate}, id.certificate), Default: policy,
		})
		if err != nil {
			r.t.Fatal(err)
		}
		r.pool = handshake.NewPool(handshake.PoolOptions{Shards: 1, InFlight: 64, Waiting: 1024, Relay: relay})
		r.snap.Listeners[0].TLS = &plan.TLS{Server: server, Timeout: 20 * time.Second}
	}
}

// both runs f with the records in the shard, and in crypto/tls.
func both(t *testing.T, f func(t *testing.T, relay bool)) {
	t.Run("own", func(t *testing.T) { f(t, false) })
	t.Run("relayed", func(t *testing.T) { f(t, true) })
}

// secureClient is an HTTP client that speaks TLS.
func secureClient(t testing.TB, id identity, edit func(*tls.Config)) *http.Client {
	cfg := &tls.Config{RootCAs: id.believers, ServerName: "example.com"}
	if edit != nil {
		edit(cfg)
	}
	tr := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true, TLSClientConfig: cfg}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// secureUpstream starts a Go server that speaks TLS with id's certificate.
func secureUpstream(t testing.TB, id identity, h http.HandlerFunc, edit func(*tls.Config)) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{id.certificate.TLS}}
	if edit != nil {
		edit(s.TLS)
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return "http://" + s.Listener.Addr().String()
}

// toSecure has all endpoints spoken to over TLS.
func toSecure(id identity, relay bool, options handshake.ClientOptions) func(*rig) {
	return func(r *rig) {
		r.t.Helper()
		if options.Roots == nil {
			options.Roots = id.believers
		}
		if options.ServerName == "" {
			options.ServerName = "example.com"
		}
		client, err := handshake.NewClient(options)
		if err != nil {
			r.t.Fatal(err)
		}
		if r.pool == nil {
			r.pool = handshake.NewPool(handshake.PoolOptions{Shards: 1, InFlight: 64, Waiting: 1024, Relay: relay})
		}
		for i := range r.snap.Services[0].Endpoints {
			r.snap.Services[0].Endpoints[i].TLS = client
		}
	}
}

// edits are several edits of a rig.
func edits(all ...func(*rig)) func(*rig) {
	return func(r *rig) {
		for _, edit := range all {
			edit(r)
		}
	}
}

// slowly is a connection whose writes leave in pieces of n bytes each.
type slowly struct {
	net.Conn
	n int
}

func (s slowly) Write(b []byte) (int, error) {
	for at := 0; at < len(b); at += s.n {
		if n, err := s.Conn.Write(b[at:min(at+s.n, len(b))]); err != nil {
			return at + n, err
		}
	}
	return len(b), nil
}

// dialTCP connects without TLS.
func dialTCP(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(30 * time.Second))
	return c.(*net.TCPConn)
}

// dialTLS shakes hands over a connection.
func dialTLS(t testing.TB, raw net.Conn, id identity, edit func(*tls.Config)) *tls.Conn {
	t.Helper()
	cfg := &tls.Config{RootCAs: id.believers, ServerName: "example.com"}
	if edit != nil {
		edit(cfg)
	}
	c := tls.Client(raw, cfg)
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

// askOver sends a request and reads the response whole.
func askOver(t testing.TB, c net.Conn, br *bufio.Reader, request string) (*http.Response, string) {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// waitFor turns until something that others do has come.
func (r *rig) waitFor(what string, done func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s does not come: %+v", what, r.gauges())
		}
		time.Sleep(time.Millisecond)
	}
}
