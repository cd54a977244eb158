package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// condition is a key of a route that stands for a matcher with several values.
type condition struct {
	key      string
	kind     rule.Kind
	says     string
	expected string // for values that are no such thing
	any      string // what leaving the key out means
}

var conditions = []condition{
	{"host", rule.Host, "host names, one of which must be the request's; *. and **. stand for labels before them",
		`a host name such as "example.com" or "*.example.com"`, "any host"},
	{"host_regexp", rule.HostRegexp, "regular expressions, one of which must match the host in lower case",
		`a regular expression such as '^api[0-9]+\.example\.com$'`, "any host"},
	{"path", rule.Path, "paths, one of which must be the request's",
		`a path such as "/login"`, "any path"},
	{"path_prefix", rule.PathPrefix, "paths, of which the request's must be one or lie below one",
		`a path such as "/api"`, "any path"},
	{"path_prefix_raw", rule.PathPrefixRaw, "what the request's path may begin with, be it within a segment",
		`the beginning of a path, such as "/img-"`, "any path"},
	{"path_regexp", rule.PathRegexp, "regular expressions, one of which must match the path",
		`a regular expression such as '^/user/[0-9]+$'`, "any path"},
	{"methods", rule.Method, "methods, one of which must be the request's",
		`a method such as "GET"`, "any method"},
	{"destination_port", rule.DestinationPort, "ports and ranges, one of which the client must have connected to",
		`a port such as 5432, or a range such as "6000-6100"`, "any port"},
	{"client_ip", rule.ClientIP, "addresses and networks, one of which the client must come from",
		`an address or a network such as "10.0.0.0/8"`, "any client"},
	{"sni", rule.SNI, "server names, one of which the client must have asked for by TLS; written as host",
		`a server name such as "example.com"`, "any name"},
	{"sni_regexp", rule.SNIRegexp, "regular expressions, one of which must match the server name in lower case",
		`a regular expression such as '^api[0-9]+\.example\.com$'`, "any name"},
	{"alpn", rule.ALPN, "protocols, one of which the client must offer by TLS",
		`a protocol such as "h2"`, "any protocol"},
	{"tls_version", rule.TLSVersion, "versions, one of which must be the highest that the client offers",
		`a version such as "1.3"`, "any version"},
	{"cipher_suite", rule.CipherSuite, "cipher suites or groups of them, one of which the client must offer",
		`a cipher suite's IANA name, or a group such as "legacy"`, "any cipher suite"},
	{"cipher_suite_only", rule.CipherSuiteOnly, "cipher suites or groups, beside which the client must offer none",
		`a cipher suite's IANA name, or a group such as "legacy"`, "any cipher suite"},
	{"ja4", rule.JA4, "JA4 fingerprints, one of which must be the client's",
		`a JA4 fingerprint`, "any client"},
	{"client_cert", rule.ClientCert, "names, one of which the client's verified certificate must be for",
		`a name such as "billing.example.com"`, "any client"},
	{"client_cert_regexp", rule.ClientCertRegexp, "regular expressions, one of which must match a name in the " +
		"client's verified certificate", `a regular expression such as '^spiffe://example\.com/'`, "any client"},
}

// What keys of both kinds of routes say of themselves.
const (
	matchersSay = "matchers joined by &&, || and !: "
	requestRule = "a rule such as 'Host(`example.com`) && PathPrefix(`/api`)'"
	streamRule  = "a rule such as 'SNI(`db.example.com`) && TLSVersion(`1.3`)'"
	clientRule  = "a rule such as 'ClientIP(`10.0.0.0/8`) && !DestinationPort(`53`)'"
)

const prioritySays = "a route with a greater number goes before those with smaller ones, however specific they are"

func (d *decoder) route(t *table) *Route {
	r := &Route{Name: t.name}
	d.routeListeners(t, &r.Listeners, "names of the listeners that the route is for; without it, all for requests")
	r.Service = d.serviceRef(t, "the service that gets the requests")
	t.count("priority", prioritySays, &r.Priority, routing.MinPriority, routing.MaxPriority)
	all := make([]*rule.Expr, 0, len(conditions)+3)
	all = append(all,
		d.ruleText(t, rule.Parse, "which requests the route is for: "+matchersSay+requestRule, requestRule))
	for i := range conditions {
		all = append(all, d.condition(t, &conditions[i]))
	}
	all = append(all,
		d.pairs(t, "headers", "header fields that the request must have: a value, a list of values, or true for any",
			rule.Header),
		d.pairs(t, "query", "parameters that the query must have: a value, a list of values, or true for any",
			rule.Query))
	r.Rule = rule.All(all...)
	r.Upgrades = d.upgrades(t)
	t.flag("connect", "pass on requests with the method CONNECT, which make a tunnel to the service", &r.Connect)
	t.done()
	return r
}

func (d *decoder) routeListeners(t *table, to *[]string, says string) {
	t.texts("listeners", says, "names of listeners", "the name of a listener, or no such key for all of them",
		func(path, s string) {
			switch {
			case !d.checkListener(path, s):
			case slices.Contains(*to, s):
				d.at(path, fmt.Sprintf("%s for the second time", quote(s)), "each listener once", "")
			default:
				*to = append(*to, s)
			}
		})
}

func (d *decoder) serviceRef(t *table, says string) string {
	name := ""
	t.text("service", says, "the name of a service", &name)
	t.require("service", "no service", "the name of a service")
	if raw, present := t.m["service"]; present && (name != "" || raw == "") {
		d.checkService(t.child("service"), name)
	}
	return name
}

func (d *decoder) checkListener(path, name string) (ok bool) {
	if ok = d.listeners.has(name); !ok {
		d.at(path, fmt.Sprintf("%s, which is no listener", quote(name)), oneOf(d.listeners.sorted()),
			d.meant(name, d.listeners.sorted()))
	}
	return ok
}

func (d *decoder) checkService(path, name string) {
	if !d.services.has(name) {
		d.at(path, fmt.Sprintf("%s, which is no service", quote(name)), oneOf(d.services.sorted()),
			d.meant(name, d.services.sorted()))
	}
}

// ruleText reads a rule that is written out.
func (d *decoder) ruleText(t *table, parse func(string) (*rule.Expr, error), says, expected string) *rule.Expr {
	text := ""
	t.text("rule", says, expected, &text)
	if t.shape != nil {
		t.shape.Properties["rule"].Default = nil // an empty rule is none
	}
	if _, isText := t.m["rule"].(string); !isText {
		return nil
	}
	e, err := parse(text)
	if err != nil {
		f := ruleFault(err)
		found, ok := strings.CutPrefix(f.Msg, "found ")
		if !ok {
			found = "a faulty rule: " + f.Msg
		}
		d.inText(t.child("rule"), f.At, found, "", f.Hint)
	}
	return e
}

func ruleFault(err error) *rule.Error {
	var f *rule.Error
	if errors.As(err, &f) {
		return f
	}
	return &rule.Error{Msg: err.Error()}
}

// badValue notes what is wrong with a matcher's argument: at the character, or at all of it.
func (d *decoder) badValue(path, value, expected string, err error) {
	f := ruleFault(err)
	at := f.At
	if at == 0 {
		at = atValue
	}
	d.note(path, at, quote(value), expected, f.Error())
}

// condition reads a key that stands for a matcher.
func (d *decoder) condition(t *table, c *condition) *rule.Expr {
	if _, ok := t.m[c.key]; !ok && t.shape == nil {
		t.known = append(t.known, c.key) // as most are not, most of the time
		return nil
	}
	var values, paths []string
	var one *rule.Expr
	bad := false
	read := t.texts
	if c.kind == rule.DestinationPort {
		read = t.ports
	}
	read(c.key, c.says, c.expected, c.expected+", or no such key for "+c.any, func(path, s string) {
		values, paths = append(values, s), append(paths, path)
		// Each for itself first, so that all faults are found.
		e, _, err := rule.Match(c.kind, "", s)
		if one = e; err != nil {
			d.badValue(path, s, c.expected, err)
			bad = true
		}
	})
	if bad || len(values) < 2 {
		return one
	}
	e, i, err := rule.Match(c.kind, "", values...)
	if err != nil {
		d.badValue(paths[max(i, 0)], values[max(i, 0)], c.expected, err)
	}
	return e
}

// pairs reads a table of names, each with a value, several, or true.
func (d *decoder) pairs(t *table, key, says string, kind rule.Kind) *rule.Expr {
	if t.shape != nil {
		value := textList(true)
		value.AnyOf = append(value.AnyOf, &Schema{Const: true})
		t.shape.add(key, says, &Schema{Type: "object", Others: value})
	}
	raw, ok := t.get(key)
	if !ok {
		return nil
	}
	path := t.child(key)
	m := d.table(path, raw, "a table such as { name = \"value\" }")
	if m != nil && len(m) == 0 {
		d.at(path, "an empty table", "names with values, or no such key", "")
	}
	var all []*rule.Expr
	for _, name := range keys(m) {
		all = append(all, d.pair(newTable(d, path, "", m), name, kind))
	}
	return rule.All(all...)
}

func (d *decoder) pair(t *table, name string, kind rule.Kind) *rule.Expr {
	path := t.child(name)
	const expected = `a value, a list of values, or true for any value`
	if b, isBool := t.m[name].(bool); isBool {
		if !b {
			d.at(path, "false", expected, fmt.Sprintf("for requests without it, write rule = '!%v(`%s`)'", kind, name))
			return nil
		}
		return d.match(path, name, kind, nil, nil)
	}
	var values, paths []string
	t.texts(name, "", expected, expected, func(path, s string) {
		values, paths = append(values, s), append(paths, path)
	})
	if len(values) == 0 {
		return nil
	}
	return d.match(path, name, kind, values, paths)
}

// match makes a matcher with a name of its own, which stands at path.
func (d *decoder) match(path, name string, kind rule.Kind, values, paths []string) *rule.Expr {
	e, i, err := rule.Match(kind, name, values...)
	switch {
	case err == nil:
		return e
	case i < 0 || i >= len(paths):
		d.atKey(path, "the name "+quote(name), "a name of a "+strings.ToLower(kind.String()), ruleFault(err).Error())
	default:
		d.badValue(paths[i], values[i], "a value", err)
	}
	return nil
}
