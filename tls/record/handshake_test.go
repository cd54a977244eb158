package record

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// certificates for 127.0.0.1, one of each kind, made once.
var certificates = sync.OnceValue(func() []tls.Certificate {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	var list []tls.Certificate
	for _, key := range []crypto.Signer{ec, rs} {
		template := x509.Certificate{
			SerialNumber: big.NewInt(1), IPAddresses: []net.IP{{127, 0, 0, 1}},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		}
		der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
		if err != nil {
			panic(err)
		}
		list = append(list, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	}
	return list
})

// gate is the connection that crypto/tls sees while it shakes hands: it gives out one record at a time, so that nothing
// behind the last is taken, and keeps what goes by.
type gate struct {
	net.Conn
	read, written []byte
	header        []byte // not given out yet
	rest          int    // bytes of the record's body that are still in Conn
}

func (g *gate) Read(p []byte) (int, error) {
	if len(g.header) == 0 && g.rest == 0 {
		header := make([]byte, headerLen)
		if _, err := io.ReadFull(g.Conn, header); err != nil {
			return 0, err
		}
		g.header, g.rest = header, bodyLen(header)
	}
	if len(g.header) > 0 {
		n := copy(p, g.header)
		g.header = g.header[n:]
		g.read = append(g.read, p[:n]...)
		return n, nil
	}
	n, err := g.Conn.Read(p[:min(len(p), g.rest)])
	g.rest -= n
	g.read = append(g.read, p[:n]...)
	return n, err
}

func (g *gate) Write(p []byte) (int, error) {
	g.written = append(g.written, p...)
	return g.Conn.Write(p)
}

// secrets is a KeyLogWriter that keeps them by their labels.
type secrets map[string][]byte

func (s secrets) Write(line []byte) (int, error) {
	words := strings.Fields(string(line))
	if words[0] == "CLIENT_RANDOM" {
		s["client random"], _ = hex.DecodeString(words[1])
	}
	s[words[0]], _ = hex.DecodeString(words[2])
	return len(line), nil
}

// taken is a connection whose handshake crypto/tls has done and whose records are ours.
type taken struct {
	layer *Layer
	spare *Keys // the same once more
	gate  *gate
	conn  net.Conn
	state tls.ConnectionState
}

// takeOver shakes hands with crypto/tls and takes the connection away from it.
func takeOver(conn net.Conn, config *tls.Config, client bool) (*taken, error) {
	g, log := &gate{Conn: conn}, secrets{}
	config = config.Clone()
	config.KeyLogWriter = log
	shake := tls.Server
	if client {
		shake = tls.Client
	}
	tc := shake(g, config)
	if err := tc.Handshake(); err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	state := tc.ConnectionState()
	derive := func(written []byte) (*Keys, error) {
		if state.Version == tls.VersionTLS13 {
			return NewKeys13(state.CipherSuite, client, log["CLIENT_TRAFFIC_SECRET_0"], log["SERVER_TRAFFIC_SECRET_0"],
				written)
		}
		hello := g.written
		if client {
			hello = g.read
		}
		return NewKeys12(state.CipherSuite, client, log["CLIENT_RANDOM"], log["client random"], hello[11:43], written)
	}
	k, err := derive(g.written)
	if err != nil {
		return nil, err
	}
	l := new(Layer)
	l.Start(k)
	spare, err := derive(g.written)
	if err != nil {
		return nil, err
	}
	return &taken{layer: l, spare: spare, gate: g, conn: conn, state: state}, nil
}

// queue is one direction of a connection in memory.
type queue struct {
	mu    sync.Mutex
	come  sync.Cond
	bytes []byte
	ended bool
}

// memConn is one end of a connection in memory that never blocks a writer.
type memConn struct {
	in, out *queue
	net.Conn
}

func memPipe() (a, b net.Conn) {
	q := []*queue{{}, {}}
	for _, q := range q {
		q.come.L = &q.mu
	}
	return &memConn{in: q[0], out: q[1]}, &memConn{in: q[1], out: q[0]}
}

func (c *memConn) Read(p []byte) (int, error) {
	q := c.in
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.bytes) == 0 {
		if q.ended {
			return 0, io.EOF
		}
		q.come.Wait()
	}
	n := copy(p, q.bytes)
	q.bytes = q.bytes[n:]
	return n, nil
}

func (c *memConn) Write(p []byte) (int, error) {
	q := c.out
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended {
		return 0, io.ErrClosedPipe
	}
	q.bytes = append(q.bytes, p...)
	q.come.Signal()
	return len(p), nil
}

func (c *memConn) Close() error {
	for _, q := range []*queue{c.in, c.out} {
		q.mu.Lock()
		q.ended = true
		q.come.Broadcast()
		q.mu.Unlock()
	}
	return nil
}

func (c *memConn) SetWriteDeadline(time.Time) error { return nil }

// setup is a way to shake hands.
type setup struct {
	name     string
	max      uint16
	suite    uint16 // TLS 1.2
	noTicket bool
	mutual   bool
	resume   bool
	retry    bool // TLS 1.3: HelloRetryRequest
}

func setups() []setup {
	list := []setup{
		{name: "1.3", max: tls.VersionTLS13},
		{name: "1.3 no ticket", max: tls.VersionTLS13, noTicket: true},
		{name: "1.3 mutual", max: tls.VersionTLS13, mutual: true},
		{name: "1.3 resumed", max: tls.VersionTLS13, resume: true},
		{name: "1.3 retried", max: tls.VersionTLS13, retry: true},
		{name: "1.2 mutual", max: tls.VersionTLS12, suite: tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, mutual: true},
		{
			name: "1.2 no ticket", max: tls.VersionTLS12, suite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			noTicket: true,
		},
	}
	for _, s := range tls.CipherSuites() {
		if _, err := family12(s.ID); err == nil {
			list = append(list, setup{name: "1.2 " + s.Name, max: tls.VersionTLS12, suite: s.ID})
		}
	}
	return list
}

// configs are of the server and the client.
func (s setup) configs() (server, client *tls.Config) {
	roots := x509.NewCertPool()
	for _, c := range certificates() {
		leaf, _ := x509.ParseCertificate(c.Certificate[0])
		roots.AddCert(leaf)
	}
	server = &tls.Config{Certificates: certificates(), MaxVersion: s.max, SessionTicketsDisabled: s.noTicket}
	client = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MaxVersion: s.max}
	client.ClientSessionCache = tls.NewLRUClientSessionCache(1) // without one crypto/tls asks for no tickets
	if s.suite != 0 {
		server.CipherSuites = []uint16{s.suite}
	}
	if s.mutual {
		server.ClientAuth = tls.RequireAnyClientCert
		client.Certificates = certificates()[:1]
	}
	if s.retry {
		client.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP384}
		server.CurvePreferences = []tls.CurveID{tls.CurveP384}
	}
	return server, client
}

// prime makes a session that can be resumed, with crypto/tls on both sides.
func prime(t *testing.T, server, client *tls.Config) {
	t.Helper()
	a, b := memPipe()
	done := make(chan error, 1)
	go func() {
		s := tls.Server(a, server)
		_, err := s.Write([]byte("x"))
		done <- err
	}()
	c := tls.Client(b, client)
	_, err := io.ReadFull(c, make([]byte, 1)) // the ticket is in front of it
	if err := errors.Join(err, <-done); err != nil {
		t.Fatal(err)
	}
	a.Close()
}

// software reports whether the test runs without the processor's AES, where crypto/tls prefers ChaCha20-Poly1305.
func software() bool { return strings.Contains(os.Getenv("GODEBUG"), "cpu.aes=off") }

// onWire checks all that one side ever wrote: each record behind the handshake opens with the number behind the one
// before it, counting anew with each key. So no number was used twice or left out, whoever sealed the record.
func onWire(t *testing.T, k *Keys, written []byte) (records int) {
	t.Helper()
	k.read, k.write = k.write, k.read // look at it with the peer's eyes
	k.client = !k.client
	k.read.seq = 0
	var l Layer
	l.Start(k)
	for len(written) > 0 {
		n := headerLen + bodyLen(written)
		rec := written[:n]
		written = written[n:]
		probe := l.read
		if _, _, _, fault := probe.open(bytes.Clone(rec)); fault != none {
			if records > 0 {
				t.Fatalf("record %d behind the handshake does not open with number %d", records, l.read.seq)
			}
			continue
		}
		records++
		if l.read.form != form13 && records == 1 {
			l.read.seq++ // Finished, which a Layer does not know
			continue
		}
		if res := l.Open(bytes.Clone(rec)); res.Kind == Fault {
			t.Fatalf("record %d behind the handshake: %v", records, res.Alert)
		}
	}
	return records
}
