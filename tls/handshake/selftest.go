package handshake

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/uringproxy/uringproxy/tls/certs"
	"github.com/uringproxy/uringproxy/tls/record"
)

// SelfTest shakes hands in memory, with crypto/tls as the peer, and has each connection carry data both ways after the
// hand-over: in both versions, in both roles, with each cipher suite that can be asked for, with new and with resumed
// sessions. An error says that this build's crypto/tls cannot hand over: then PoolOptions.Relay is to be set.
func SelfTest() error {
	t, err := newTrial()
	if err != nil {
		return fmt.Errorf("test TLS hand-over: %w", err)
	}
	defer t.pool.Close()
	suites := append([]uint16{0}, Suites12...) // 0: of TLS 1.3
	for _, suite := range suites {
		if suite != 0 && !signsECDSA(suite) {
			continue // the trial's key is for ECDSA; what follows does not depend on it
		}
		if err := t.serve(suite); err != nil {
			return fmt.Errorf("test TLS hand-over: serve %s: %w", suiteName(suite), err)
		}
		if err := t.dial(suite); err != nil {
			return fmt.Errorf("test TLS hand-over: dial %s: %w", suiteName(suite), err)
		}
	}
	return nil
}

func signsECDSA(suite uint16) bool {
	switch suite {
	case tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return true
	}
	return false
}

func suiteName(suite uint16) string {
	if suite == 0 {
		return "TLS 1.3"
	}
	return tls.CipherSuiteName(suite)
}

const (
	trialName  = "localhost"
	trialLimit = 20 * time.Second // for one connection: a machine may be busy
)

var errTrialLimit = errors.New("it does not end")

// trial is what SelfTest needs: a certificate, and a port whose shard is the goroutine that runs it.
type trial struct {
	certificate *certs.Certificate
	roots       *x509.CertPool
	pool        *Pool
	port        *Port
	bell        chan struct{}
}

func newTrial() (*trial, error) {
	t := &trial{roots: x509.NewCertPool(), bell: make(chan struct{}, 1)}
	var err error
	if t.certificate, err = certs.SelfSigned(trialName); err != nil {
		return nil, err
	}
	leaf, err := t.certificate.Leaf()
	if err != nil {
		return nil, err
	}
	t.roots.AddCert(leaf)
	t.pool = NewPool(PoolOptions{InFlight: 1})
	t.port, err = t.pool.Port(t.ring)
	return t, err
}

func (t *trial) ring() {
	select {
	case t.bell <- struct{}{}:
	default:
	}
}

// versions are those that a suite is for.
func versions(suite uint16) (version uint16, suites []uint16) {
	if suite == 0 {
		return tls.VersionTLS13, nil
	}
	return tls.VersionTLS12, []uint16{suite}
}

// serve tests our server, with a new session and with a resumed one.
func (t *trial) serve(suite uint16) error {
	version, suites := versions(suite)
	server, err := NewServer(ServerOptions{
		Certificates: certs.NewSet([]*certs.Certificate{t.certificate}, nil), Tickets: RandomTickets(),
		Default: Policy{MinVersion: version, MaxVersion: version, Suites: suites},
	})
	if err != nil {
		return err
	}
	config := &tls.Config{
		ServerName: trialName, RootCAs: t.roots, MinVersion: tls.VersionTLS12,
		ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}
	for _, resumed := range []bool{false, true} {
		start := func(hello []byte) *Conversation { return t.port.Serve(1, server, netip.Addr{}, hello) }
		peer := func(w *wire) *tls.Conn { return tls.Client(w, config) }
		o, err := t.run(start, peer)
		if err != nil {
			return fmt.Errorf("resumed %v: %w", resumed, err)
		}
		if o.Resumed != resumed || o.Version != version {
			return fmt.Errorf("resumed %v: agreed on %s, resumed %v", resumed, tls.VersionName(o.Version), o.Resumed)
		}
	}
	return nil
}

// dial tests our client.
func (t *trial) dial(suite uint16) error {
	version, suites := versions(suite)
	client, err := NewClient(ClientOptions{
		ServerName: trialName, Roots: t.roots, MinVersion: version, MaxVersion: version, Suites: suites,
	})
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{t.certificate.TLS}, MinVersion: tls.VersionTLS12}
	start := func([]byte) *Conversation { return t.port.Dial(1, client) }
	_, err = t.run(start, func(w *wire) *tls.Conn { return tls.Server(w, config) })
	return err
}

// trialData is sent by the peer first, and then by us.
const trialData = "what crypto/tls seals we open, and the other way round"

// run shakes hands over a wire and goes on as a shard would.
func (t *trial) run(start func(hello []byte) *Conversation, peer func(*wire) *tls.Conn) (Outcome, error) {
	w := newWire(t.ring)
	ended := make(chan error, 1)
	go func() {
		ended <- converse(peer(w))
		t.ring()
	}()
	shard := &trialShard{trial: t, wire: w, limit: time.Now().Add(trialLimit)}
	o, err := shard.run(start)
	w.cut()
	if peerErr := <-ended; err == nil {
		err = peerErr
	}
	return o, err
}

// converse is the peer's part.
func converse(conn *tls.Conn) error {
	if _, err := conn.Write([]byte(trialData)); err != nil {
		return err
	}
	got := make([]byte, len(trialData))
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if string(got) != trialData {
		return errors.New("what we sealed was opened as something else")
	}
	return nil
}

// trialShard is a shard with one connection.
type trialShard struct {
	*trial
	wire   *wire
	limit  time.Time
	stream []byte // received, and not used
}

// wait waits until something has happened.
func (s *trialShard) wait() error {
	timer := time.NewTimer(time.Until(s.limit))
	defer timer.Stop()
	select {
	case <-s.bell:
		return nil
	case <-timer.C:
		return errTrialLimit
	}
}

// receive takes what the peer has sent.
func (s *trialShard) receive() {
	for p := s.wire.up.front(); len(p) > 0; p = s.wire.up.front() {
		s.stream = append(s.stream, p...)
		s.wire.up.drop(len(p))
	}
	s.wire.waker.wake()
}

func (s *trialShard) send(p []byte) {
	s.wire.down.put(p) // a ring is longer than any flight of the trial's
	s.wire.waker.wake()
}

func (s *trialShard) run(start func(hello []byte) *Conversation) (Outcome, error) {
	c := start(nil)
	if c == nil {
		return Outcome{}, errShed
	}
	defer func() {
		c.End()
		s.port.Next()
	}()
	for c.Outcome() == nil {
		if err := s.wait(); err != nil {
			return Outcome{}, err
		}
		s.receive()
		s.port.Next()
		s.stream = s.stream[c.Feed(s.stream):]
		for p := c.Output(); len(p) > 0; p = c.Output() {
			s.send(p)
			c.Sent(len(p))
		}
	}
	o := *c.Outcome()
	if o.Err != nil {
		return o, o.Err
	}
	s.stream = append(append([]byte(nil), o.Left...), s.stream...)
	return o, s.exchange(o.Keys)
}

// exchange opens what the peer has sealed, and seals the same for it.
func (s *trialShard) exchange(keys *record.Keys) error {
	var layer record.Layer
	layer.Start(keys)
	defer layer.Wipe()
	for got := ""; got != trialData; {
		r := layer.Open(s.stream)
		switch r.Kind {
		case record.Data:
			got += string(s.stream[r.Off : r.Off+r.Len])
		case record.Quiet:
		case record.NeedMore:
			if err := s.wait(); err != nil {
				return err
			}
			s.receive()
		default:
			return fmt.Errorf("open the peer's first record: %v %v", r.Kind, r.Alert)
		}
		s.stream = s.stream[r.N:]
	}
	sealed, took, refusal := layer.SealTo(make([]byte, 0, 2*len(trialData)+record.ControlRoom),
		[][]byte{[]byte(trialData)}, 0)
	if took != len(trialData) {
		return fmt.Errorf("seal: %v", refusal)
	}
	s.send(sealed)
	return nil
}
