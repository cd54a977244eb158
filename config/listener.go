package config

import "github.com/uringproxy/uringproxy/plan"

// listener reads [listeners.NAME].
func (d *decoder) listener(t *table) *Listener {
	l := &Listener{Name: t.name}
	const expected = `an address such as "127.0.0.1:8080", ":8080", "[::1]:8080" or "unix:/run/web.sock"`
	l.Protocol = d.protocolOf(t)
	address := ""
	t.text("address", `where to listen: "127.0.0.1:8080", ":8080" for all addresses, or "unix:/run/web.sock"`, expected,
		&address)
	if t.require("address", "no address", expected); address != "" {
		var hint string
		if l.Addr, l.Unix, hint = parseListen(address); l.Unix == "" && !l.Addr.IsValid() {
			d.at(t.child("address"), quote(address), expected, hint)
		}
	} else if t.m["address"] == "" {
		d.at(t.child("address"), "no address", expected, "")
	}
	if l.Protocol == plan.UDP && l.Unix != "" {
		d.at(t.child("address"), quote(address)+" for udp", `an address such as ":53" or "127.0.0.1:53"`,
			"unix sockets are not supported for datagrams")
	}
	d.misplacedKeys(t, l.Protocol)
	d.proxyProtocol(t, l)
	l.Trusted = d.networks(t, "trusted_proxies",
		"addresses and networks of clients whose forwarding headers are believed", "")
	if s, ok := t.optional("tls", "what is agreed on with clients; without this table, connections are plain"); ok {
		l.TLS = d.listenerTLS(s, l.Protocol)
	}
	_, speaksTLS := t.m["tls"]
	d.redirect(t, l, speaksTLS && l.Protocol == plan.HTTP)
	d.hsts(t, l, speaksTLS || !l.Requests())
	t.done()
	return l
}

// redirect reads redirect_https: yes, no, or a table. secure tells that nothing but TLS is spoken.
func (d *decoder) redirect(t *table, l *Listener, secure bool) {
	const key, expected = "redirect_https", "true, or a table such as { port = 8443, code = 301 }"
	if t.shape != nil {
		t.shape.add(key, "answer every request that comes without TLS by the way to https", &Schema{
			Default: false,
			AnyOf:   []*Schema{{Type: "boolean"}, describeTable(func(t *table) { d.redirectTable(t, httpsPort) })},
		})
	}
	raw, ok := t.get(key)
	if !ok {
		return
	}
	port := httpsPort
	if l.TLS != nil && l.Addr.Port() != 0 {
		port = int(l.Addr.Port())
	}
	switch v := raw.(type) {
	case bool:
		if v {
			l.Redirect = d.redirectTable(newTable(d, t.child(key), "", nil), port)
		}
	case map[string]any:
		l.Redirect = d.redirectTable(newTable(d, t.child(key), "", v), port)
	default:
		d.at(t.child(key), describe(raw), expected, "")
	}
	if l.Redirect != nil && secure {
		d.atKey(t.child(key), "a redirect on a listener that speaks TLS itself", "a plain listener for it",
			`write it in the listener that has port 80, or protocol = "auto" beside it`)
	}
}

const httpsPort = 443

// redirectTable reads where clients are sent: to a port that is written, or to that of the listener's own https.
func (d *decoder) redirectTable(t *table, port int) *Redirect {
	code := 308
	t.count("port", "where https is, as clients see it", &port, 1, 65535)
	t.count("code", "status of the answer: 301, 302, 307 or 308; with the latter two the method stays", &code, 301, 308)
	t.done()
	if code > 302 && code < 307 {
		d.at(t.child("code"), describe(int64(code)), "one of 301, 302, 307, 308", "")
	}
	return &Redirect{Port: uint16(port), Code: code}
}
