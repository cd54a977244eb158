package handshake

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/uringproxy/uringproxy/tls/certs"
	"github.com/uringproxy/uringproxy/tls/record"
)

// converse does one handshake.
func (g *gate) converse(c *Conversation) (conn *tls.Conn) {
	g.begin(c)
	conn, c.outcome = g.attempt()
	return conn
}

// alone does a handshake and, if it succeeds, what follows, on a goroutine: where nothing is handed over there is one
// for each connection anyway.
func (g *gate) alone(c *Conversation) {
	if conn := g.converse(c); c.outcome.Relayed {
		g.relayed = true
		c.post(settled)
		c.relay.run(c, g, conn)
		c.post(finished)
		return
	}
	c.post(settled | finished)
}

var errPanic = errors.New("crypto/tls panicked")

// attempt shakes hands and makes the outcome of it. It fails for one connection where a fault of ours or of crypto/tls
// would otherwise end them all. No secret stays.
func (g *gate) attempt() (conn *tls.Conn, o Outcome) {
	defer func() {
		if fault := recover(); fault != nil {
			o = Outcome{Err: panicked(fault), Reason: Internal, Policy: g.policy}
		}
		g.secrets.wipe()
		g.entry = certs.Entry{} // an idle goroutine keeps no certificate of a snapshot that has gone
	}()
	conn, err := g.shake()
	return conn, g.conclude(conn, err)
}

func panicked(fault any) error { return fmt.Errorf("%w: %v", errPanic, fault) }

// shake has crypto/tls shake hands.
func (g *gate) shake() (conn *tls.Conn, err error) {
	if s := g.c.server; s != nil {
		conn = tls.Server(g, s.outer)
	} else {
		config := g.c.client.config.Clone()
		config.KeyLogWriter = &g.secrets
		conn = tls.Client(g, config)
	}
	return conn, conn.Handshake()
}

// conclude makes the outcome of a handshake that is over.
func (g *gate) conclude(conn *tls.Conn, err error) Outcome {
	client := g.c.client != nil
	if err != nil {
		why := classify(err, g, client)
		o := g.failed(fmt.Errorf("shake hands: %w", err), why)
		o.Detail = detailOf(err, why)
		return o
	}
	state := conn.ConnectionState()
	o := Outcome{
		Version: state.Version, Suite: state.CipherSuite, Resumed: state.DidResume, ALPN: state.NegotiatedProtocol,
		Policy: g.policy, Lookup: g.lookup, ECH: state.ECHAccepted, Relayed: g.c.relay != nil,
		SNI: string(lower(make([]byte, 0, longestName), state.ServerName)),
	}
	if len(state.PeerCertificates) > 0 && (client || len(state.VerifiedChains) > 0) {
		o.Peer = state.PeerCertificates[0]
	}
	if o.Relayed {
		return o
	}
	if o.Keys, err = g.keys(&state, client); err != nil {
		return g.failed(fmt.Errorf("take connection over: %w", err), Internal)
	}
	return o
}

// failed is the outcome of a handshake that came to nothing.
func (g *gate) failed(err error, why Reason) Outcome {
	return Outcome{Err: err, Reason: why, Policy: g.policy, Lookup: g.lookup}
}

// keys makes the record layer's keys of what went by. crypto/tls must have used all that it has read: bytes of TLS 1.2
// behind Finished in its record would be lost.
func (g *gate) keys(state *tls.ConnectionState, client bool) (*record.Keys, error) {
	if g.have > 0 || len(g.hello) > 0 {
		return nil, errors.New("the handshake ended within what was read")
	}
	s := &g.secrets
	if state.Version == tls.VersionTLS13 {
		return record.NewKeys13(state.CipherSuite, client, s.client.value(), s.server.value(), g.written)
	}
	if n := finishedLen(state.CipherSuite); g.lastLen != n {
		return nil, fmt.Errorf("the last record read has %d bytes, and the peer's Finished %d", g.lastLen, n)
	}
	master := s.master.value()
	if state.DidResume {
		master = s.ticket.value()
	}
	if client {
		return record.NewKeys12(state.CipherSuite, true, master, s.random.value(), g.opening[randomAt:g.opened],
			g.written)
	}
	return record.NewKeys12(state.CipherSuite, false, master, g.opening[randomAt:],
		g.written[headerLen+randomAt:headerLen+randomEnd], g.written)
}

// finishedLen is the length of the record's content that a Finished of TLS 1.2 lies in: 16 bytes, the tag, and what
// AES-GCM sends of the nonce (RFC 5288, section 3; RFC 7905, section 2).
func finishedLen(suite uint16) int {
	const plain, tag, explicit = 16, 16, 8
	switch suite {
	case tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return plain + tag
	}
	return explicit + plain + tag
}
