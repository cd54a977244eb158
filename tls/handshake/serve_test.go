package handshake

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"testing"
)

// forModes runs a test with the hand-over and as a relay.
func forModes(t *testing.T, test func(t *testing.T, b *bench)) {
	for _, relay := range []bool{false, true} {
		t.Run(map[bool]string{false: "handed over", true: "relayed"}[relay], func(t *testing.T) {
			test(t, newBench(t, PoolOptions{InFlight: 4, Waiting: 4, Relay: relay}))
		})
	}
}

var (
	ping = []byte("ping")
	pong = bytes.Repeat([]byte("pong"), 9000) // several records
)

// chat is a peer that sends ping, reads pong, and closes as one should.
func chat(c *tls.Conn) error {
	if _, err := c.Write(ping); err != nil {
		return err
	}
	got := make([]byte, len(pong))
	if _, err := io.ReadFull(c, got); err != nil {
		return fmt.Errorf("read pong: %w", err)
	}
	if !bytes.Equal(got, pong) {
		return errors.New("pong was changed on its way")
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	if n, err := c.Read(got); n != 0 || err != io.EOF {
		return fmt.Errorf("read %d bytes and %v where close_notify belongs", n, err)
	}
	return nil
}

// leave waits for the peer, who must be content, and ends what is over.
func (s *session) leave(done <-chan error) {
	s.t.Helper()
	var err error
	s.until("the peer is content", func() bool {
		select {
		case err = <-done:
			return true
		default:
			return false
		}
	})
	if err != nil {
		s.t.Fatalf("peer: %v", err)
	}
	gone := make(chan error, 1)
	gone <- nil
	s.end(gone)
}

// answer is our part of chat, and gives back the outcome.
func (s *session) answer(done <-chan error) Outcome {
	s.t.Helper()
	o := *s.settled()
	if o.Err != nil {
		s.t.Fatalf("%v: %v, peer: %v", o.Reason, o.Err, s.end(done))
	}
	s.until("ping is there", func() bool { return len(s.plain) >= len(ping) || s.fault != "" })
	if !bytes.Equal(s.plain, ping) {
		s.t.Fatalf("got %q %s, want %q", s.plain, s.fault, ping)
	}
	s.write(pong)
	s.until("the peer has closed", func() bool { return s.closed || s.fault != "" })
	if s.fault != "" {
		s.t.Fatal(s.fault)
	}
	s.closeWrite()
	s.leave(done)
	return o
}

// agreement is a way to shake hands.
type agreement struct {
	name           string
	policy         Policy
	client         func(c *tls.Config)
	version, suite uint16
	resumes        bool
}

func agreements() []agreement {
	w := theWorld()
	mutual := Policy{Name: "mutual", ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: w.roots}
	shown := func(c *tls.Config) { c.Certificates = []tls.Certificate{w.alice.tls} }
	list := []agreement{
		{name: "1.3", version: tls.VersionTLS13, resumes: true},
		{name: "1.3 mutual", version: tls.VersionTLS13, policy: mutual, client: shown, resumes: true},
		{
			name: "1.3 retried", version: tls.VersionTLS13, resumes: true,
			policy: Policy{Curves: []tls.CurveID{tls.CurveP384}},
			client: func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.X25519, tls.CurveP384} },
		},
		{
			name: "1.2 mutual", version: tls.VersionTLS12, client: shown, resumes: true,
			policy: Policy{MaxVersion: tls.VersionTLS12, ClientAuth: mutual.ClientAuth, ClientCAs: w.roots},
		},
		{
			name: "1.2 old client", version: tls.VersionTLS12, resumes: true,
			client: func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
		},
		{
			name: "1.2 no tickets", version: tls.VersionTLS12,
			client: func(c *tls.Config) { c.MaxVersion, c.ClientSessionCache = tls.VersionTLS12, nil },
		},
	}
	for _, suite := range Suites12 {
		list = append(list, agreement{
			name: tls.CipherSuiteName(suite), version: tls.VersionTLS12, suite: suite, resumes: true,
			policy: Policy{MaxVersion: tls.VersionTLS12, Suites: []uint16{suite}},
		})
	}
	for _, curve := range Curves {
		list = append(list, agreement{
			name: curve.String(), version: tls.VersionTLS13, resumes: true,
			policy: Policy{Curves: []tls.CurveID{curve}},
		})
	}
	return list
}

// TestServe shakes hands in all ways, has data go both ways and both sides close, and resumes.
func TestServe(t *testing.T) {
	forModes(t, func(t *testing.T, b *bench) {
		for _, a := range agreements() {
			for _, chunk := range []int{0, 1} {
				t.Run(fmt.Sprintf("%s in pieces of %d", a.name, chunk), func(t *testing.T) {
					b.t = t
					a.policy.ALPN = []string{"http/1.1"}
					server := newServer(t, ServerOptions{Default: a.policy, Tickets: RandomTickets()})
					config := theWorld().client()
					config.NextProtos = []string{"h2", "http/1.1"}
					if a.client != nil {
						a.client(config)
					}
					for _, resumed := range []bool{false, a.resumes} {
						s, done := b.serve(server, config, chat)
						s.chunk = chunk
						o := s.answer(done)
						a.check(t, o, resumed)
					}
				})
			}
		}
	})
}

func (a *agreement) check(t *testing.T, o Outcome, resumed bool) {
	t.Helper()
	if o.Version != a.version || a.suite != 0 && o.Suite != a.suite || o.Resumed != resumed {
		t.Errorf("agreed on %s %s, resumed %v", tls.VersionName(o.Version), tls.CipherSuiteName(o.Suite), o.Resumed)
	}
	if o.ALPN != "http/1.1" || o.SNI != "www.example.com" || o.ECH || o.Policy != 0 || o.Lookup <= 0 {
		t.Errorf("outcome %+v", o)
	}
	if mutual := a.policy.ClientAuth != tls.NoClientCert; mutual != (o.Peer != nil) {
		t.Errorf("client certificate %v", o.Peer)
	}
}

// TestServeAtEverySplit feeds the stream of a client in two parts, at each place in turn; the second comes when the
// server can do no more with the first.
func TestServeAtEverySplit(t *testing.T) {
	b := newBench(t, PoolOptions{InFlight: 1})
	server := newServer(t, ServerOptions{Tickets: RandomTickets()})
	config := theWorld().client()
	config.CurvePreferences = []tls.CurveID{tls.X25519}
	config.ClientSessionCache = nil
	for at, whole := 1, 400; at < whole; at++ {
		s, done := b.serve(server, config, chat)
		s.chunk = at
		s.answer(done)
		whole = s.fed
	}
}

// TestFinishedWithData has the client's first data come in the same piece as its Finished: it is left for the record
// layer.
func TestFinishedWithData(t *testing.T) {
	for _, c := range []struct {
		name    string
		version uint16
		resumed bool
	}{
		{"1.3", tls.VersionTLS13, false},
		{"1.3 resumed", tls.VersionTLS13, true},
		{"1.2 resumed", tls.VersionTLS12, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, PoolOptions{InFlight: 1})
			server := newServer(t, ServerOptions{Tickets: RandomTickets(), Default: Policy{MaxVersion: c.version}})
			config := theWorld().client()
			if c.resumed {
				s, done := b.serve(server, config, chat)
				s.answer(done)
			}
			wrote := make(chan struct{})
			s, done := b.serve(server, config, func(conn *tls.Conn) error {
				if _, err := conn.Write(ping); err != nil {
					return err
				}
				if _, err := conn.Write(ping); err != nil {
					return err
				}
				close(wrote)
				return chat(conn)
			})
			s.until("the hello was fed", func() bool { return s.fed > 0 })
			s.hold = true
			s.until("the client has written", func() bool {
				select {
				case <-wrote:
					s.hold = false
					return true
				default:
					return false
				}
			})
			o := s.settled()
			if o.Err != nil || o.Resumed != c.resumed || len(o.Left) == 0 {
				t.Fatalf("outcome %+v", o)
			}
			s.until("ping is there", func() bool { return len(s.plain) == 3*len(ping) })
			s.plain = s.plain[2*len(ping):]
			s.answer(done)
		})
	}
}
