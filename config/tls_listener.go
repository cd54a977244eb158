package config

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/uringproxy/uringproxy/plan"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// maxRotation bounds how long a ticket key is used: that is how long TLS 1.3 lets a ticket live (RFC 8446, section
// 4.6.1).
const maxRotation = 7 * 24 * time.Hour

// listenerTLS reads [listeners.NAME.tls] of a listener that speaks p in it.
func (d *decoder) listenerTLS(t *table, p plan.Protocol) *ListenerTLS {
	requests := p != plan.TCP
	o := &ListenerTLS{
		Policy: TLSPolicy{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13},
		// From accept on, so that a connection that says nothing is bounded by it as well.
		HandshakeTimeout: 10 * time.Second, Stapling: StaplingFiles, Tickets: Tickets{Rotate: 12 * time.Hour},
	}
	if requests {
		o.Policy.ALPN = []string{"http/1.1"}
	}
	d.certificates(t, o)
	d.policy(t, &o.Policy, requests)
	t.duration("handshake_timeout", "from accept to the end of the handshake; then the connection is closed",
		&o.HandshakeTimeout, 10*time.Millisecond, maxWait)
	d.tickets(t.sub("tickets", "how clients resume sessions"), &o.Tickets)
	d.stapling(t, o)
	t.file("ech_keys", "a file with keys for Encrypted Client Hello; empty: it is not offered", &o.ECHKeys)
	d.clientCertificate(t.sub("client_certificate", "whether clients have to prove who they are"), &o.Policy.Client,
		&o.Forward)
	if !requests && o.Forward != (ForwardCertificate{}) {
		d.atKey(child(t.child("client_certificate"), "forward"), "forward on a listener for tcp",
			"it on a listener for requests", "it tells upstreams in header fields, which connections do not have")
		o.Forward = ForwardCertificate{}
	}
	d.namedPolicies(t, o, requests)
	t.done()
	if o.ECHKeys != "" && o.Policy.MaxVersion < tls.VersionTLS13 {
		d.at(t.child("ech_keys"), "keys for Encrypted Client Hello without TLS 1.3", "TLS 1.3 on offer", "")
	}
	d.verification(t, o)
	return o
}

// certificates reads where certificates come from, and who is shown which.
func (d *decoder) certificates(t *table, o *ListenerTLS) {
	const expected = `certificates such as { cert = "site.crt", key = "site.key" }`
	if t.shape != nil {
		one := describeTable(func(t *table) { d.certificate(t, true) })
		t.shape.add("certificates", "PEM files, as { cert, key }", &Schema{
			AnyOf: []*Schema{one, {Type: "array", Items: one}},
		})
	}
	seen := map[string]string{}
	t.list("certificates", func(path string, item any) {
		m, ok := item.(map[string]any)
		if !ok {
			d.at(path, describe(item), expected, "")
			return
		}
		c := d.certificate(newTable(d, path, "", m), true)
		if first, twice := seen[c.Cert]; twice && c.Cert != "" {
			d.at(path, "the certificate of "+first, "each certificate once", "")
			return
		}
		seen[c.Cert] = path
		o.Certificates = append(o.Certificates, c)
	})
	t.file("certificate_dir", "a directory with NAME.crt or NAME.pem, and NAME.key for each", &o.Directory)
	t.flag("self_signed", "make a certificate up at start, which no client trusts; for development", &o.SelfSigned)
	t.text("default", "the server name whose certificate is shown to who asks for none or an unknown one; "+
		"empty: the first certificate", "a server name", &o.Default)
	t.flag("strict", "refuse who asks for no name or an unknown one", &o.Strict)
	d.shown(t, o)
}

// shown checks what is said of clients that ask for no name that there is a certificate for.
func (d *decoder) shown(t *table, o *ListenerTLS) {
	own := len(o.Certificates) > 0 || o.Directory != ""
	switch {
	case o.Default == "":
	case o.Strict:
		d.atKey(t.child("default"), "default beside strict = true", "one of the two",
			"strict refuses those whom the default certificate is for")
	case !own && !o.SelfSigned:
		d.atKey(t.child("default"), "default without certificates", "certificates or certificate_dir beside it", "")
	default:
		at := func(found, expected, hint string) { d.at(t.child("default"), found, expected, hint) }
		o.Default, _ = d.serverName(at, o.Default, false)
	}
	if o.Strict && o.SelfSigned && !own {
		d.atKey(t.child("strict"), "strict with nothing but a self-signed certificate",
			"certificates or certificate_dir beside it", "leave strict out for development")
	}
	o.Strict = o.Strict || !own && !o.SelfSigned
}

func (d *decoder) certificate(t *table, ocsp bool) (c Certificate) {
	c.Path = t.path
	t.file("cert", "a PEM file with the certificate, and behind it those that lead to its authority", &c.Cert)
	t.file("key", "a PEM file with the private key", &c.Key)
	if ocsp {
		t.file("ocsp", "a file with the authority's answer, in DER, that the certificate is not revoked", &c.OCSP)
	}
	t.needs("cert", c.Cert)
	t.needs("key", c.Key)
	t.done()
	return c
}

// needs is require for a file.
func (t *table) needs(key, file string) {
	const expected = "a PEM file"
	t.require(key, "no "+key, expected)
	if s, isText := t.m[key].(string); isText && s == "" {
		t.d.at(t.child(key), "no "+key, expected, "")
	}
}

// policy reads what may be agreed on, where requests are spoken or something else. What is not there stays as it is in
// p.
func (d *decoder) policy(t *table, p *TLSPolicy, requests bool) {
	t.versions(&p.MinVersion, &p.MaxVersion)
	if list, ok := readSet(t, "cipher_suites", "cipher suites of TLS 1.2 by their IANA names, in any order; without "+
		"it, all that this program speaks", "a cipher suite, or no such key for all of them", d.suite); ok {
		if p.Suites = list; p.MinVersion > tls.VersionTLS12 {
			d.atKey(t.child("cipher_suites"), "cipher suites of TLS 1.2, which is not on offer", "no such key",
				"those of TLS 1.3 cannot be chosen")
		}
	}
	if list, ok := readSet(t, "curves", "groups for the key exchange, in any order; without it, X25519MLKEM768, "+
		"X25519, P-256 and P-384", "a group, or no such key for all of them", d.curve); ok {
		if p.Curves = list; p.MaxVersion < tls.VersionTLS13 && onlyPostQuantum(list) {
			d.at(t.child("curves"), "groups with ML-KEM only, and no TLS 1.3", `a group such as "X25519"`, "")
		}
	}
	protocol := d.protocol
	if !requests {
		protocol = d.anyProtocol
	}
	if list, ok := readSet(t, "alpn", `protocols on offer, the preferred one first: of requests, "http/1.1" and `+
		`"http/1.0"; on a listener for tcp any, and none by default. None: it is not talked about`, "", protocol); ok {
		p.ALPN = list
	}
	if t.shape != nil {
		t.shape.Properties["alpn"].Default = p.ALPN
	}
}

func (d *decoder) protocol(path, name string) (string, bool) {
	known := []string{"http/1.1", "http/1.0"}
	if slices.Contains(known, name) {
		return name, true
	}
	hint := d.meant(name, known)
	if name == "h2" || name == "h3" {
		hint = "this version does not speak it; clients that offer it beside http/1.1 choose the latter"
	}
	d.at(path, quote(name), `"http/1.1" or "http/1.0"`, hint)
	return "", false
}

// anyProtocol checks a protocol that is not spoken here, but by those whom what was in TLS is passed on to.
func (d *decoder) anyProtocol(path, name string) (string, bool) {
	if _, _, err := rule.Match(rule.ALPN, "", name); err != nil {
		d.at(path, quote(name), `a protocol such as "postgresql"`, ruleFault(err).Error())
		return "", false
	}
	return name, true
}

// readSet reads a list in which nothing stands twice. ok tells that it is there.
func readSet[T comparable](t *table, key, says, none string, one func(path, s string) (T, bool)) (list []T, ok bool) {
	_, ok = t.m[key]
	t.texts(key, says, "text", none, func(path, s string) {
		v, good := one(path, s)
		switch {
		case !good:
		case slices.Contains(list, v):
			t.d.at(path, quote(s)+" for the second time", "each once", "")
		default:
			list = append(list, v)
		}
	})
	return list, ok
}

func (d *decoder) tickets(t *table, k *Tickets) {
	on, secret := true, ""
	t.flag("enabled", "let clients resume sessions", &on)
	t.file("keys", "a file with 32-byte keys in hex or base64, one a line: the first encrypts, all decrypt", &k.Keys)
	t.text("secret", `what keys are derived from: a file, or "env:NAME" for a variable of the environment`,
		`a file, or "env:NAME"`, &secret)
	t.duration("rotate", "how long a key encrypts", &k.Rotate, time.Minute, maxRotation)
	t.done()
	k.Off = !on
	if name, isEnv := strings.CutPrefix(secret, "env:"); isEnv {
		if k.SecretEnv = name; name == "" || !bare(name) {
			d.at(t.child("secret"), quote(secret), `"env:" and the name of a variable`, "")
		}
	} else {
		k.SecretFile = t.resolve(t.child("secret"), secret)
	}
	from := k.Keys + secret
	switch {
	case k.Off && from != "":
		d.atKey(t.path, "keys for session tickets, which are not enabled", "enabled = true, or no keys", "")
	case k.Keys != "" && secret != "":
		d.atKey(t.child("secret"), "secret beside keys", "one of the two", "")
	case k.Keys != "" && t.m["rotate"] != nil:
		d.atKey(t.child("rotate"), "rotate beside keys", "one of the two",
			"with keys from a file, you rotate them by changing the file")
	}
}

func (d *decoder) stapling(t *table, o *ListenerTLS) {
	how := string(o.Stapling)
	t.choice("ocsp_stapling", "where the authority's answers come from that certificates are not revoked: nowhere, "+
		"the files that certificates name, or the authority", &how, "off", "files", "fetch")
	o.Stapling = Stapling(how)
	if o.Stapling == StaplingFiles {
		return
	}
	for _, c := range o.Certificates {
		if c.OCSP != "" {
			d.at(t.child("ocsp_stapling"), fmt.Sprintf("%q, and a file in %s.ocsp", how, c.Path), `"files"`,
				"the file would not be read")
			return
		}
	}
}

// namedPolicies reads the tables for single server names. What one does not say is as it is for all.
func (d *decoder) namedPolicies(t *table, o *ListenerTLS, requests bool) {
	s := t.sub("names", "what is different for a server name or a wildcard, which needs quotes")
	if s.shape != nil {
		one := describeTable(func(t *table) { d.namedPolicy(t, o.Policy, requests) })
		s.shape.Others = one
		one.forget()
	}
	for _, key := range keys(s.m) {
		path := s.child(key)
		at := func(found, expected, hint string) { d.atKey(path, "the name "+found, expected, hint) }
		name, ok := d.serverName(at, key, true)
		m := d.table(path, s.m[key], `a table such as [`+s.path+`."api.example.com"]`)
		if m == nil || !ok {
			continue
		}
		if meant := unquoted(key, m); meant != "" {
			d.atKey(path, "a server name without quotes", `a name in quotes, as in [`+s.path+`."api.example.com"]`,
				"did you mean ["+s.path+"."+strconv.Quote(meant)+"]?")
			continue
		}
		if slices.ContainsFunc(o.Names, func(n NamedPolicy) bool { return n.Name == name }) {
			d.atKey(path, "the name "+quote(key)+" for the second time", "each name once", "case does not matter")
			continue
		}
		o.Names = append(o.Names, NamedPolicy{
			name, d.namedPolicy(newTable(d, path, "", m), o.Policy, requests),
		})
	}
	slices.SortFunc(o.Names, func(a, b NamedPolicy) int { return strings.Compare(a.Name, b.Name) })
}

// unquoted joins a name that was written without quotes, so that TOML has made tables within tables of it.
func unquoted(name string, m map[string]any) string {
	for dots := 0; ; dots++ {
		var next map[string]any
		for key, v := range m {
			if inner, ok := v.(map[string]any); ok && key != "client_certificate" {
				name += "." + key
				next = inner
				break
			}
		}
		if next == nil && dots == 0 {
			return ""
		}
		if next == nil {
			return name
		}
		m = next
	}
}

func (d *decoder) namedPolicy(t *table, p TLSPolicy, requests bool) TLSPolicy {
	d.policy(t, &p, requests)
	d.clientCertificate(t.sub("client_certificate", "whether clients have to prove who they are"), &p.Client, nil)
	t.done()
	return p
}

// forget takes the defaults out of a description: what is left out there is as it is elsewhere.
func (s *Schema) forget() {
	s.Default = nil
	for _, sub := range s.Properties {
		sub.forget()
	}
}
