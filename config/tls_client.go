package config

import (
	"crypto/tls"
	"slices"
)

// authWord is what configurations call a way of asking for certificates; whether they are checked is not in it.
func authWord(auth tls.ClientAuthType) string {
	switch auth {
	case tls.NoClientCert:
		return "none"
	case tls.RequestClientCert, tls.VerifyClientCertIfGiven:
		return "request"
	}
	return "require"
}

// authOf is the way of asking for certificates that a word stands for. What is shown is checked when there is an
// authority to check it by.
func authOf(word string, ca bool) tls.ClientAuthType {
	switch {
	case word == "none":
		return tls.NoClientCert
	case word == "request" && ca:
		return tls.VerifyClientCertIfGiven
	case word == "request":
		return tls.RequestClientCert
	case ca:
		return tls.RequireAndVerifyClientCert
	}
	return tls.RequireAnyClientCert
}

// clientCertificate reads client_certificate. What is not there stays as it is in c.
func (d *decoder) clientCertificate(t *table, c *ClientCertificates, forward *ForwardCertificate) {
	word := authWord(c.Auth)
	t.choice("mode", "ask for none; request one, or go on without; require one; require one and verify it, which "+
		"needs ca. With ca, the one that was requested or required is verified as well", &word,
		"none", "request", "require", "verify")
	if list, ok := t.files("ca", "PEM files with the authorities that clients' certificates have to come from"); ok {
		c.CA = list
	}
	c.Auth = authOf(word, len(c.CA) > 0)
	if word == "verify" && len(c.CA) == 0 {
		d.at(t.child("mode"), `"verify" without an authority`, `ca = ["clients.pem"] beside it`, "")
	}
	if forward != nil {
		d.forwardCertificate(t, forward)
	} else if _, ok := t.m["ca"]; ok && word == "none" {
		d.atKey(t.child("ca"), "ca, and no certificate is asked for", `mode = "verify" beside it`, "")
	}
	if _, ok := t.m["forward"]; ok && forward == nil {
		d.atKey(t.child("forward"), "forward for a single name", "it in the listener's client_certificate",
			"it is one for all names of a listener")
		t.known = append(t.known, "forward")
	}
	t.done()
}

// forwardCertificate reads what of a certificate upstreams are told.
func (d *decoder) forwardCertificate(t *table, f *ForwardCertificate) {
	parts := []string{"subject", "san", "fingerprint", "certificate"}
	list, _ := readSet(t, "forward", `what upstreams are told of a verified certificate: "subject", "san", `+
		`"fingerprint", "certificate"`, "", func(path, s string) (string, bool) {
		ok := slices.Contains(parts, s)
		if !ok {
			d.at(path, quote(s), oneOf(parts), d.meant(s, parts))
		}
		return s, ok
	})
	f.Subject, f.SAN = slices.Contains(list, parts[0]), slices.Contains(list, parts[1])
	f.Fingerprint, f.Certificate = slices.Contains(list, parts[2]), slices.Contains(list, parts[3])
}

// verification notes what is said of verified certificates where none is verified.
func (d *decoder) verification(t *table, o *ListenerTLS) {
	if o.Policy.Client.Verifies() ||
		slices.ContainsFunc(o.Names, func(n NamedPolicy) bool { return n.Policy.Client.Verifies() }) {
		return
	}
	path := t.child("client_certificate")
	if len(o.Policy.Client.CA) > 0 {
		d.atKey(child(path, "ca"), "ca, and no certificate is asked for", `mode = "verify" beside it`, "")
	}
	if o.Forward != (ForwardCertificate{}) {
		d.atKey(child(path, "forward"), "forward, and no certificate is verified", "ca beside it, and a mode but none",
			"what nobody has verified proves nothing")
	}
}
