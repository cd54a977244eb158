package load

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// TLS says how connections are encrypted: by TLS 1.3 with suite over curve, so that all who are compared do the same
// work. A connection that gets anything else counts as none.
type TLS struct {
	Roots string `json:"roots"` // certificates in PEM, one of which must vouch for Config.Host
	// Resume has every connection resume a session that is taken up anew before each phase. One that is not resumed
	// counts as none.
	Resume bool `json:"resume"`
}

const (
	suite = tls.TLS_AES_128_GCM_SHA256
	curve = tls.X25519
	// ticketPatience is how long the server may take to answer when a session is taken up.
	ticketPatience = 10 * time.Second
)

// secure is what all connections of a generator share that speak TLS.
type secure struct {
	config  *tls.Config
	resume  bool
	session ticket
	running *shake // the one whose coroutine runs: crypto/tls tells secrets without saying whose
	half    []byte // the first half of a ClientHello

	sealed []byte    // records that are sent,
	span   [1][]byte // and what is sealed in them
}

func newSecure(cfg *Config) (*secure, error) {
	s := &secure{resume: cfg.TLS.Resume, sealed: make([]byte, 0, sealedBytes)}
	s.config = &tls.Config{
		ServerName: cfg.Host, RootCAs: x509.NewCertPool(), NextProtos: []string{"http/1.1"},
		MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{curve}, KeyLogWriter: keyLog{s},
	}
	if !s.config.RootCAs.AppendCertsFromPEM([]byte(cfg.TLS.Roots)) {
		return nil, errors.New("load: found no certificate in the roots, expected some in PEM")
	}
	if s.resume {
		s.config.ClientSessionCache = &s.session
	}
	if cfg.HalfOpen > 0 {
		hello := &recorder{}
		_ = tls.Client(hello, s.config).Handshake() // ends when the hello is written
		s.half = hello.written[:len(hello.written)/2]
	}
	return s, nil
}

// verify is an error if a connection is not as it should be.
func (s *secure) verify(c *tls.ConnectionState) error {
	switch {
	case c.CipherSuite != suite || c.CurveID != curve:
		return fmt.Errorf("the server chose %s over %s, expected %s over %s", tls.CipherSuiteName(c.CipherSuite),
			c.CurveID, tls.CipherSuiteName(suite), curve)
	case s.resume && !c.DidResume:
		return errors.New("the server did not resume the session")
	}
	return nil
}

// ticket is a session, which every connection resumes: a server that keeps nothing of a session, because all of it is
// in the ticket, takes one more than once.
type ticket struct{ session *tls.ClientSessionState }

func (t *ticket) Get(string) (*tls.ClientSessionState, bool) { return t.session, t.session != nil }

// Put is given nil for a session with which a handshake failed. It may be the server's fault: it stays.
func (t *ticket) Put(_ string, session *tls.ClientSessionState) {
	if session != nil {
		t.session = session
	}
}

// renew takes up the session that is resumed from now on, by a connection of its own that makes one request.
func (g *Generator) renew() error {
	g.secure.session.session = nil
	dialer := tls.Dialer{NetDialer: &net.Dialer{Timeout: ticketPatience}, Config: g.secure.config}
	c, err := dialer.Dial("tcp", g.cfg.Addr.String())
	if err != nil {
		return fmt.Errorf("take up a session: %w", err)
	}
	defer c.Close()
	err = c.SetDeadline(time.Now().Add(ticketPatience))
	if err == nil {
		_, err = c.Write(g.cfg.head("GET", AnswerPath, 0, true))
	}
	if err == nil {
		_, err = io.Copy(io.Discard, c) // tickets come at the latest with the answer
	}
	switch {
	case err != nil:
		return fmt.Errorf("take up a session: %w", err)
	case g.secure.session.session == nil:
		return errors.New("take up a session: the server gives no tickets")
	}
	return nil
}

// keyLog takes the secrets that crypto/tls tells for those who want to read along.
type keyLog struct{ *secure }

// Write is given a line of the form that SSLKEYLOGFILE has: label, client's random, secret.
func (k keyLog) Write(line []byte) (int, error) {
	words := bytes.Fields(line)
	if k.running == nil || len(words) != 3 {
		return len(line), nil
	}
	var err error
	switch string(words[0]) {
	case "CLIENT_TRAFFIC_SECRET_0":
		k.running.client, err = hex.AppendDecode(nil, words[2])
	case "SERVER_TRAFFIC_SECRET_0":
		k.running.server, err = hex.AppendDecode(nil, words[2])
	}
	return len(line), err
}

// recorder is a connection that ends after what is written first. Nothing else of it is used.
type recorder struct {
	net.Conn
	written []byte
}

func (r *recorder) Write(b []byte) (int, error) {
	r.written = append(r.written, b...)
	return 0, io.ErrClosedPipe
}
