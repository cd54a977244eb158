package inspect

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
	"github.com/uringproxy/uringproxy/tls/certs"
	"github.com/uringproxy/uringproxy/tls/hello"
)

// Termination is what a listener agrees on with a client.
type Termination struct {
	// Policy is the name that the listener has a policy of its own for; empty: the one for all others.
	Policy string `json:"policy,omitempty"`
	// Certificate is what the client is shown; nil when it could not be found out.
	Certificate *Shown `json:"certificate,omitempty"`
	Version     string `json:"version,omitempty"` // if it is known what the client offers
	ALPN        string `json:"alpn,omitempty"`
	// ClientCertificate is the mode in which the client is asked for one; empty: not at all.
	ClientCertificate string `json:"client_certificate,omitempty"`
}

// Shown is a certificate.
type Shown struct {
	Source string   `json:"source"` // a file, or "self-signed"
	Kind   string   `json:"kind,omitempty"`
	Names  []string `json:"names,omitempty"`
	// Default tells that it is shown since none is for the server name.
	Default bool `json:"default,omitempty"`
}

// connection explains what becomes of a connection of a listener for requests before there is one. Report.Reason says
// if there will be none.
func (e *explainer) connection() error {
	a, r := e.asked, &e.report
	if e.listener.TLS == nil {
		r.Hello = a.hello
		return nil
	}
	if a.TLS == nil && a.scheme == "http" {
		r.Status, r.Reason = 400, hello.PlainHTTP.String()
		return nil
	}
	return e.secured()
}

// secured explains what becomes of a connection that begins with a ClientHello, on a listener that may end TLS.
func (e *explainer) secured() error {
	a, r := e.asked, &e.report
	e.assume()
	r.Hello = a.hello
	if a.hello.Refused != "" {
		e.refuse()
		return nil
	}
	if taken, err := e.streamed(); taken || err != nil {
		return err
	}
	e.terminate()
	return nil
}

// assume fills in what every client says by TLS: the name of the server, and where not all speak TLS, its version, by
// which rules tell those that do.
func (e *explainer) assume() {
	a := e.asked
	if a.TLS == nil {
		a.TLS, a.hello = &routing.Hello{}, &Hello{}
	}
	if e.listener.Protocol != plan.HTTP && a.TLS.Version == 0 && len(e.question.TLS.Hello) == 0 {
		a.TLS.Version, a.hello.Versions = tls.VersionTLS13, []string{rule.VersionName(tls.VersionTLS13)}
		a.note("the client is taken to speak TLS 1.3; say --tls-version for another one")
	}
	if len(a.TLS.SNI) > 0 || a.name == "" || len(e.question.TLS.Hello) > 0 {
		return
	}
	if _, err := netip.ParseAddr(strings.Trim(a.name, "[]")); err == nil {
		return // clients that connect to an address name no server
	}
	a.TLS.SNI, a.hello.SNI = []byte(a.name), a.name
	a.note("the server name is taken from the URL; say --sni for another one")
}

// refuse explains a hello that is refused.
func (e *explainer) refuse() {
	r := &e.report
	r.Reason = "the ClientHello is refused: " + r.Hello.Refused
	switch {
	case e.asked.code == hello.PlainHTTP:
		r.Status = 400
	case e.asked.code == hello.NeedMore:
		r.Reason = "the ClientHello is incomplete: a listener waits for the rest, as long as the handshake may take"
	case r.Hello.Alert == 0:
		r.Reason += "; the connection is closed without an answer"
	default:
		r.Reason += fmt.Sprintf("; the answer is alert %d", r.Hello.Alert)
	}
}

// terminate explains the handshake.
func (e *explainer) terminate() {
	a, l := e.asked, e.listener.TLS
	name, policy := policyOf(l, string(a.TLS.SNI))
	t := &Termination{Policy: name}
	e.report.TLS = t
	if a.hello.ECH == "outer" && l.ECHKeys != "" {
		a.note("the listener decrypts ECH: if it has the key, what counts is the hello within, which is not to be seen")
	}
	if !l.Certified() {
		e.report.Reason = "no tcp route takes the connection, and the listener has no certificate"
		return
	}
	if e.certificate(t); e.report.Reason == "" {
		e.agree(t, policy)
	}
	e.clientCertificate(t, policy)
}

// policyOf finds the policy for a server name, and the name that it is for.
func policyOf(l *config.ListenerTLS, name string) (of string, p *config.TLSPolicy) {
	_, parent, _ := strings.Cut(name, ".")
	for _, pattern := range []string{name, "*." + parent} {
		i := slices.IndexFunc(l.Names, func(n config.NamedPolicy) bool { return n.Name == pattern })
		if i >= 0 && name != "" {
			return l.Names[i].Name, &l.Names[i].Policy
		}
	}
	return "", &l.Policy
}

// agree finds the version and the protocol that both sides have.
func (e *explainer) agree(t *Termination, p *config.TLSPolicy) {
	offer := e.asked.TLS
	if v := offer.Version; v != 0 {
		agreed := min(v, p.MaxVersion)
		if agreed < p.MinVersion {
			e.report.Reason = fmt.Sprintf("no version in common: the client offers %s, the listener demands %s",
				rule.VersionName(v), rule.VersionName(p.MinVersion))
			return
		}
		t.Version = rule.VersionName(agreed)
		if agreed == tls.VersionTLS12 && len(offer.Suites) > 0 && !slices.ContainsFunc(offer.Suites, spoken(p)) {
			e.report.Reason = "no cipher suite in common: those of the client are not on offer here"
			return
		}
	}
	if len(offer.ALPN) == 0 || len(p.ALPN) == 0 {
		return
	}
	for _, protocol := range p.ALPN {
		if slices.ContainsFunc(offer.ALPN, func(b []byte) bool { return string(b) == protocol }) {
			t.ALPN = protocol
			return
		}
	}
	e.report.Reason = fmt.Sprintf("no protocol in common: the client offers %s, the listener %s",
		strings.Join(e.asked.hello.ALPN, ", "), strings.Join(p.ALPN, ", "))
}

// spoken tells which suites of TLS 1.2 a policy has: without a list of its own, those with forward secrecy and
// authenticated encryption.
func spoken(p *config.TLSPolicy) func(suite uint16) bool {
	return func(suite uint16) bool {
		name := rule.SuiteName(suite)
		return slices.Contains(p.Suites, suite) || len(p.Suites) == 0 && strings.HasPrefix(name, "TLS_ECDHE_") &&
			!strings.HasPrefix(name, "TLS_ECDHE_PSK_") &&
			(strings.Contains(name, "_AES_128_GCM_") || strings.Contains(name, "_AES_256_GCM_") ||
				strings.Contains(name, "_CHACHA20_"))
	}
}

// certificate finds what the client is shown. A file that cannot be read is left out: finding its faults is for check.
func (e *explainer) certificate(t *Termination) {
	set := e.certificates()
	if set == nil {
		return
	}
	entry, found := set.Find(e.asked.TLS.SNI)
	if !found && !e.listener.TLS.Strict {
		entry, _ = set.Default()
	}
	c := entry.First()
	if c == nil && e.listener.TLS.Strict {
		e.report.Reason = fmt.Sprintf("no certificate is for the server name %s; the answer is alert 112",
			orNone(string(e.asked.TLS.SNI)))
	}
	if c == nil {
		return
	}
	if e.asked.info != nil {
		chosen := entry.Choose(e.asked.info)
		for other := range set.All() {
			if &other.TLS == chosen {
				c = other
			}
		}
	}
	t.Certificate = &Shown{Source: c.Source, Kind: c.Kind.String(), Names: c.Names, Default: !found}
}

// certificates are those of the listener; nil when they are not known.
func (e *explainer) certificates() *certs.Set {
	switch {
	case e.running.Certificates != nil:
		return e.running.Certificates(e.listener.Name)
	case e.running.Route != nil:
		return nil // what is in the files need not be what the process has
	}
	l := e.listener.TLS
	var store certs.Store
	var list []*certs.Certificate
	unread := 0
	for _, f := range l.Certificates {
		if c, err := store.Load(f.Cert, f.Key); err != nil {
			unread++
		} else {
			list = append(list, c)
		}
	}
	if l.Directory != "" {
		found, faults := store.LoadDir(l.Directory)
		list = append(list, found...)
		unread += len(faults)
	}
	if unread > 0 {
		e.asked.note("certificates that cannot be read are left out, see: uringproxy check")
	}
	if l.SelfSigned {
		if c, err := certs.SelfSigned(); err == nil {
			list = append(list, c)
		}
	}
	set := certs.NewSet(list, nil)
	switch entry, found := set.Find([]byte(l.Default)); {
	case l.Default != "" && found:
		return certs.NewSet(list, entry.First())
	case l.Default == "" && len(list) > 0:
		return certs.NewSet(list, list[0])
	}
	return set
}

// modes are the words of the configuration for how a client is asked for a certificate.
var modes = map[tls.ClientAuthType]string{
	tls.RequestClientCert: "request", tls.RequireAnyClientCert: "require",
	tls.VerifyClientCertIfGiven: "request", tls.RequireAndVerifyClientCert: "verify",
}

// demands reports whether there is no connection without a certificate.
func demands(p *config.TLSPolicy) bool {
	return p.Client.Auth == tls.RequireAnyClientCert || p.Client.Auth == tls.RequireAndVerifyClientCert
}

// clientCertificate explains what becomes of the client's certificate.
func (e *explainer) clientCertificate(t *Termination, p *config.TLSPolicy) {
	a := e.asked
	t.ClientCertificate = modes[p.Client.Auth]
	switch shown := len(a.ClientCert) > 0; {
	case shown && !p.Client.Verifies():
		a.note("the client's certificate is not verified here, so that no ClientCert fits")
		a.ClientCert = nil
	case !shown && demands(p) && e.report.Reason == "":
		a.note("a certificate is demanded: this is for a client that has one; say --client-cert for a name in it")
	}
}

// misdirected reports whether a request is for a host that demands a client certificate, on a connection whose server
// name has another policy.
func (e *explainer) misdirected() bool {
	a := e.asked
	if e.listener.TLS == nil || a.name == "" || a.TLS == nil {
		return false
	}
	byName, _ := policyOf(e.listener.TLS, string(a.TLS.SNI))
	byHost, p := policyOf(e.listener.TLS, a.name)
	return byName != byHost && demands(p)
}
