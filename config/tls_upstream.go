package config

import (
	"crypto/tls"
	"fmt"
)

// serviceTLS reads [services.NAME.tls], which is for endpoints with https or tls. some tells that there are endpoints
// without faults, so that it can be told whether there are such.
func (d *decoder) serviceTLS(t *table, k *kinds, some bool) *ServiceTLS {
	o := &ServiceTLS{MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS13}
	s, ok := t.optional("tls", "how https and tls endpoints are spoken to")
	if ok {
		d.upstreamTLS(s, o)
	}
	secure := k.has("https") || k.has("tls")
	if ok && some && !secure && t.shape == nil {
		scheme := secureScheme(k)
		d.atKey(s.path, "tls for a service without "+scheme,
			fmt.Sprintf("endpoints such as %q", scheme+"://10.0.0.1:8443"), "")
	}
	if !secure {
		return nil
	}
	return o
}

// secureScheme is the scheme of TLS for endpoints of the kind that a service has.
func secureScheme(k *kinds) string {
	if k.has("tcp") {
		return "tls"
	}
	return "https"
}

func (d *decoder) upstreamTLS(t *table, o *ServiceTLS) {
	o.CA, _ = t.files("ca", "PEM files with the authorities that endpoints' certificates have to come from; "+
		"without it, those that this system trusts")
	t.text("server_name", "the name that endpoints have to prove to be, and that they are asked for; empty: "+
		"the host of their URL", "a name or an address", &o.ServerName)
	if s, ok := t.optional("certificate", "the certificate that endpoints are shown when they ask for one"); ok {
		c := d.certificate(s, false)
		o.Certificate = &c
	}
	t.flag("insecure_skip_verify", "take any certificate; for tests only", &o.SkipVerify)
	t.versions(&o.MinVersion, &o.MaxVersion)
	t.done()
	if name := o.ServerName; name != "" {
		var ok bool
		if o.ServerName, ok = peerName(name); !ok {
			d.at(t.child("server_name"), quote(name), `a name such as "app.internal", or an address`, "")
		}
	}
	if o.SkipVerify && len(o.CA) > 0 {
		d.atKey(t.child("insecure_skip_verify"), "insecure_skip_verify beside ca", "one of the two",
			"with ca, certificates of your own authority are verified")
	}
}
