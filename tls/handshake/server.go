package handshake

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/internal/sched"
	"github.com/uringproxy/uringproxy/tls/certs"
)

// ServerOptions say how a listener shakes hands.
type ServerOptions struct {
	Certificates *certs.Set
	Strict       bool // refuse clients that ask for no name, or one that there is no certificate for
	Default      Policy
	Named        []NamedPolicy
	Tickets      *Tickets // nil: sessions are not resumed
	ECH          []tls.EncryptedClientHelloKey
}

// Server is how a listener shakes hands. It is immutable.
type Server struct {
	options  ServerOptions
	outer    *tls.Config // what a handshake begins with, before it is known whose name is asked for
	policies []policy    // the first is the default
	exact    map[string]int
	wildcard map[string]int // by the domain behind "*."
}

// policy is a Policy and what was made of it.
type policy struct {
	Policy
	config *tls.Config
}

// NewServer makes a server.
func NewServer(options ServerOptions) (*Server, error) {
	if options.Certificates == nil {
		return nil, errors.New("make TLS server: there is no set of certificates")
	}
	s := &Server{options: options, exact: map[string]int{}, wildcard: map[string]int{}}
	s.outer = &tls.Config{
		MinVersion: tls.VersionTLS12, GetConfigForClient: s.configure, SessionTicketsDisabled: true,
		EncryptedClientHelloKeys: options.ECH,
	}
	if err := s.add(options.Default); err != nil {
		return nil, err
	}
	for i := range options.Named {
		if err := s.add(options.Named[i].Policy); err != nil {
			return nil, err
		}
		for _, name := range options.Named[i].Names {
			s.name(name, i+1)
		}
	}
	return s, nil
}

// WithTickets is s with other keys for its tickets: that is how they rotate.
func (s *Server) WithTickets(t *Tickets) (*Server, error) {
	options := s.options
	options.Tickets = t
	return NewServer(options)
}

func (s *Server) name(name string, index int) {
	name = strings.ToLower(name)
	if domain, ok := strings.CutPrefix(name, "*."); ok {
		s.wildcard[domain] = index
		return
	}
	s.exact[name] = index
}

// add makes a policy's configuration.
func (s *Server) add(p Policy) error {
	config := &tls.Config{
		GetCertificate: s.certificate, NextProtos: p.ALPN, ClientAuth: p.ClientAuth, ClientCAs: p.ClientCAs,
		EncryptedClientHelloKeys: s.options.ECH, SessionTicketsDisabled: s.options.Tickets == nil,
	}
	if err := common(config, p.MinVersion, p.MaxVersion, p.Suites, p.Curves); err != nil {
		return fmt.Errorf("make TLS policy %q: %w", p.Name, err)
	}
	if p.verifies() {
		if p.ClientCAs == nil {
			return fmt.Errorf("make TLS policy %q: client certificates are to be verified, and there is no CA", p.Name)
		}
		config.VerifyConnection = (&verifier{roots: p.ClientCAs}).verify
	}
	if s.options.Tickets != nil {
		class := "any"
		if p.ClientAuth != tls.NoClientCert {
			class = fmt.Sprintf("client certificates %d of %s", p.ClientAuth, p.Name)
		}
		keys, err := s.options.Tickets.keys(class)
		if err != nil {
			return fmt.Errorf("make TLS policy %q: %w", p.Name, err)
		}
		config.SetSessionTicketKeys(keys)
		// A first use makes the configuration draw what its copies would each draw for themselves.
		if _, err := config.DecryptTicket(nil, tls.ConnectionState{}); err != nil {
			return fmt.Errorf("make TLS policy %q: %w", p.Name, err)
		}
	}
	s.policies = append(s.policies, policy{p, config})
	return nil
}

// PolicyOf is the policy for a name in lower case: the exact one, or that of the wildcard which covers it. 0 is the
// default. It allocates nothing.
func (s *Server) PolicyOf(name []byte) int {
	if i, ok := s.exact[string(name)]; ok {
		return i
	}
	if dot := bytes.IndexByte(name, '.'); dot > 0 {
		return s.wildcard[string(name[dot+1:])]
	}
	return 0
}

// Certificates are those that s shows.
func (s *Server) Certificates() *certs.Set { return s.options.Certificates }

// Requires reports whether what is asked for under a policy's names requires a connection that was made under it: it
// lets no client in without a certificate, or believes in those that it has verified by authorities of its own.
func (s *Server) Requires(policy int) bool {
	p := &s.policies[policy]
	return p.demands() || p.verifies()
}

// longestName is that of a host (RFC 1035, section 2.3.4).
const longestName = 255

// lower appends a name in lower case to b.
func lower(b []byte, name string) []byte {
	for i := range len(name) {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		b = append(b, c)
	}
	return b
}

// configure chooses the policy for a hello, the decrypted one if it was encrypted, and makes the configuration of this
// one handshake: it tells its keys to nobody else.
func (s *Server) configure(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	sched.Yield() // before the key exchange
	g := hello.Conn.(*gate)
	began := time.Now()
	g.policy = s.find(g, hello.ServerName)
	g.lookup = time.Since(began)
	base := s.policies[g.policy].config
	config := base.Clone()
	config.KeyLogWriter = &g.secrets
	if !config.SessionTicketsDisabled {
		config.UnwrapSession = func(ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
			return g.unwrap(base, ticket, state)
		}
	}
	if !g.found {
		config.SessionTicketsDisabled = true // no session gets around certificate
	}
	return config, nil
}

// find looks a name up: its policy is the answer, and its certificates are left with g.
func (s *Server) find(g *gate, serverName string) (policy int) {
	name := lower(make([]byte, 0, longestName), serverName)
	g.entry, g.found = s.options.Certificates.Find(name)
	if !g.found && !s.options.Strict {
		g.entry, g.found = s.options.Certificates.Default()
	}
	return s.PolicyOf(name)
}

// unwrap decrypts a ticket, and notes the master secret of a TLS 1.2 session: with TLS 1.3 a resumed one has secrets of
// its own, of which the key log tells.
func (g *gate) unwrap(base *tls.Config, ticket []byte, state tls.ConnectionState) (*tls.SessionState, error) {
	session, err := base.DecryptTicket(ticket, state)
	if err != nil || session == nil || state.Version != tls.VersionTLS12 {
		return session, err
	}
	b, err := session.Bytes()
	if err != nil {
		return nil, err
	}
	g.secrets.session(b)
	clear(b)
	return session, nil
}

// certificate chooses for a hello. Nil has crypto/tls answer unrecognized_name.
func (s *Server) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	sched.Yield() // behind the key exchange, before the signature
	g := hello.Conn.(*gate)
	if !g.found {
		return nil, nil
	}
	began := time.Now()
	chosen := g.entry.Choose(hello)
	g.lookup += time.Since(began)
	return chosen, nil
}

var errUnverified = errors.New("client certificate of the resumed session is no longer valid")

// verifier looks at client certificates once more where crypto/tls does not: when a session is resumed.
type verifier struct{ roots *x509.CertPool }

func (v *verifier) verify(state tls.ConnectionState) error {
	if !state.DidResume || len(state.PeerCertificates) == 0 {
		return nil
	}
	options := x509.VerifyOptions{
		Roots: v.roots, Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := state.PeerCertificates[0].Verify(options); err != nil {
		return fmt.Errorf("%w: %w", errUnverified, err)
	}
	return nil
}
