package control

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/tls/certs"
	"github.com/uringproxy/uringproxy/tls/handshake"
)

// secured is the TLS of a configuration. It is immutable.
type secured struct {
	listeners map[string]*terminator // by name
	clients   map[dialing]*handshake.Client
	dialings  map[string]dialing // by the name of a service, without the server's name
	until     time.Time          // when it is to be made again, because keys of tickets change; zero: never
}

// terminator is what a listener does with TLS, and what that was made of.
type terminator struct {
	said     *config.ListenerTLS
	list     []*certs.Certificate
	fallback *certs.Certificate
	others   []any // the rest: pointers and sums
	set      *certs.Set
	tls      *plan.TLS
}

// dialing is all in which the TLS of two endpoints can differ.
type dialing struct {
	name        string
	roots       *x509.CertPool
	certificate *certs.Certificate
	skip        bool
	least, most uint16
}

// secure makes the TLS of cfg from files with those fingerprints. With faults there is none.
func (v *vault) secure(cfg *config.Config, prints map[string]uint64) (*secured, config.Faults) {
	g := &vaulting{
		vault: v, cfg: cfg, prints: prints, at: v.now(),
		listed: map[string]*listing{}, tickets: map[ticketSource]*ticketKeys{},
	}
	next := &secured{
		listeners: map[string]*terminator{}, clients: map[dialing]*handshake.Client{}, dialings: map[string]dialing{},
	}
	for _, l := range cfg.Listeners {
		if l.TLS != nil {
			g.terminate(l, next)
		}
	}
	for _, s := range cfg.Services {
		if slices.ContainsFunc(s.Endpoints, func(e config.Endpoint) bool { return e.TLS }) {
			g.dial(s, next)
		}
	}
	if len(g.faults) > 0 {
		return nil, g.faults
	}
	v.last, v.listed, v.tickets = next, g.listed, g.tickets
	return next, nil
}

// terminate makes what a listener does with TLS, or takes it from the last time.
func (g *vaulting) terminate(l *config.Listener, next *secured) {
	t := &terminator{said: l.TLS}
	t.list, t.fallback = g.certificates(l)
	tickets, keys, sum := g.ticketsOf(l), []tls.EncryptedClientHelloKey(nil), [sha256.Size]byte{}
	if tickets != nil {
		t.others = append(t.others, tickets.keys)
		next.expires(tickets.until)
	}
	if l.TLS.ECHKeys != "" {
		keys, sum = g.echKeys(l)
		t.others = append(t.others, sum)
	}
	o := handshake.ServerOptions{Strict: l.TLS.Strict, ECH: keys, Default: g.policy(l, "", &l.TLS.Policy, t)}
	for i := range l.TLS.Names {
		n := &l.TLS.Names[i]
		o.Named = append(o.Named, handshake.NamedPolicy{
			Names: []string{n.Name}, Policy: g.policy(l, n.Name, &n.Policy, t),
		})
	}
	if len(g.faults) > 0 {
		return
	}
	next.listeners[l.Name] = t
	if t.reuse(g.last.listeners[l.Name], &g.store) {
		return
	}
	if tickets != nil {
		o.Tickets = tickets.keys
	}
	o.Certificates = t.set
	server, err := handshake.NewServer(o)
	if err != nil {
		g.fault(config.Path("listeners", l.Name, "tls"), "TLS that can be served", err)
		return
	}
	t.tls = &plan.TLS{Server: server, Timeout: l.TLS.HandshakeTimeout, Forward: forwarded(&l.TLS.Forward)}
}

// expires notes that what is made now is to be made again at a time; the zero time: never.
func (s *secured) expires(at time.Time) {
	if !at.IsZero() && (s.until.IsZero() || at.Before(s.until)) {
		s.until = at
	}
}

// reuse takes from what there was before as much as is the same, and reports whether that is all. Else there is a set
// of certificates afterwards.
func (t *terminator) reuse(before *terminator, store *certs.Store) (all bool) {
	if before == nil || !slices.Equal(t.list, before.list) || t.fallback != before.fallback {
		t.set = store.Set(t.list, t.fallback)
		return false
	}
	t.set = before.set
	same := t.said == before.said || reflect.DeepEqual(t.said, before.said)
	if same && slices.Equal(t.others, before.others) {
		t.tls = before.tls
		return true
	}
	return false
}

// policy is the policy for a name; without one the default policy.
func (g *vaulting) policy(l *config.Listener, name string, p *config.TLSPolicy, t *terminator) handshake.Policy {
	made := handshake.Policy{
		Name: l.Name, MinVersion: p.MinVersion, MaxVersion: p.MaxVersion, Suites: p.Suites, Curves: p.Curves,
		ALPN: p.ALPN, ClientAuth: p.Client.Auth,
	}
	path := []string{"listeners", l.Name, "tls"}
	if name != "" {
		made.Name += " " + name
		path = append(path, "names", name)
	}
	if p.Client.Verifies() {
		pool, err := g.store.Authorities(p.Client.CA...)
		if err != nil {
			g.fault(config.Path(append(path, "client_certificate", "ca")...), "certificates of authorities", err)
			return made
		}
		made.ClientCAs = pool
		t.others = append(t.others, pool)
	}
	return made
}

// echKeys are a listener's keys for Encrypted Client Hello, with a sum by which they are known again.
func (g *vaulting) echKeys(l *config.Listener) (keys []tls.EncryptedClientHelloKey, sum [sha256.Size]byte) {
	text, err := os.ReadFile(l.TLS.ECHKeys)
	if err == nil {
		sum = sha256.Sum256(text)
		keys, err = handshake.ParseECHKeys(text)
	}
	if err != nil {
		g.fault(config.Path("listeners", l.Name, "tls", "ech_keys"), "keys for Encrypted Client Hello", err)
	}
	return keys, sum
}

func forwarded(f *config.ForwardCertificate) (set plan.ForwardCertificate) {
	for what, on := range map[plan.ForwardCertificate]bool{
		plan.ForwardSubject: f.Subject, plan.ForwardSAN: f.SAN, plan.ForwardFingerprint: f.Fingerprint,
		plan.ForwardWhole: f.Certificate,
	} {
		if on {
			set |= what
		}
	}
	return set
}

// dial makes the clients for a service's endpoints, or takes them from the last time.
func (g *vaulting) dial(s *config.Service, next *secured) {
	said := s.TLS
	if said == nil {
		said = &config.ServiceTLS{}
	}
	d := dialing{skip: said.SkipVerify, least: said.MinVersion, most: said.MaxVersion}
	key := func(name string) string { return config.Path("services", s.Name, "tls", name) }
	if len(said.CA) > 0 {
		var err error
		if d.roots, err = g.store.Authorities(said.CA...); err != nil {
			g.fault(key("ca"), "certificates of authorities", err)
			return
		}
	}
	if said.Certificate != nil {
		if d.certificate = g.load(said.Certificate, config.StaplingOff); d.certificate == nil {
			return
		}
	}
	next.dialings[s.Name] = d
	for i := range s.Endpoints {
		if !s.Endpoints[i].TLS {
			continue
		}
		d.name = serverName(s, &s.Endpoints[i])
		if next.clients[d] = g.last.clients[d]; next.clients[d] != nil {
			continue
		}
		c, err := handshake.NewClient(handshake.ClientOptions{
			ServerName: d.name, Roots: d.roots, SkipVerify: d.skip, Certificate: d.certificate, MinVersion: d.least,
			MaxVersion: d.most,
		})
		if err != nil {
			g.fault(config.Path("services", s.Name, "tls"), "TLS that can be spoken", err)
			return
		}
		next.clients[d] = c
	}
}

// serverName is the name that an endpoint is asked for.
func serverName(s *config.Service, e *config.Endpoint) string {
	if s.TLS != nil && s.TLS.ServerName != "" {
		return s.TLS.ServerName
	}
	return e.Host
}

// speaks reports whether endpoints are spoken to as by other.
func (s *secured) speaks(other *secured) bool {
	return other != nil && maps.Equal(s.clients, other.clients) && maps.Equal(s.dialings, other.dialings)
}

// client is how an endpoint is spoken to; nil: plainly.
func (s *secured) client(c *config.Service, e *config.Endpoint) *handshake.Client {
	if !e.TLS {
		return nil
	}
	d := s.dialings[c.Name]
	d.name = serverName(c, e)
	return s.clients[d]
}

// certificates yields each certificate in force once: those that listeners show, and those that services are shown.
func (s *secured) certificates(yield func(*certs.Certificate) bool) {
	seen := map[*certs.Certificate]bool{nil: true}
	fresh := func(c *certs.Certificate) bool {
		if seen[c] {
			return false
		}
		seen[c] = true
		return true
	}
	for _, t := range s.listeners {
		for _, c := range t.list {
			if fresh(c) && !yield(c) {
				return
			}
		}
	}
	for _, d := range s.dialings {
		if fresh(d.certificate) && !yield(d.certificate) {
			return
		}
	}
}
