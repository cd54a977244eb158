package config

import (
	"fmt"
	"slices"

	"github.com/uringproxy/uringproxy/plan"
)

func (d *decoder) service(t *table) *Service {
	s := &Service{Name: t.name}
	seen := map[Endpoint]stated{}
	var k kinds
	const expected = `endpoints such as "http://10.0.0.1:8080" or { url = "http://10.0.0.2:8080", weight = 3 }`
	if t.shape != nil {
		d.describeEndpoints(t)
	}
	if items, isList := t.m["endpoints"].([]any); isList && len(items) == 0 {
		d.at(t.child("endpoints"), "an empty list", expected, "")
	}
	t.list("endpoints", func(path string, item any) {
		e, scheme, ok := d.endpoint(path, item, expected)
		if !ok {
			return
		}
		same := Endpoint{Host: e.Host, Port: e.Port, Unix: e.Unix}
		first, twice := seen[same]
		switch fits := d.alike(&k, e.Key, scheme); {
		case twice && first.scheme == scheme:
			d.at(path, fmt.Sprintf("%s, the same as %s", quote(e.URL), first.path), "each endpoint once",
				"give one a greater weight instead")
		case twice && fits:
			d.at(path, fmt.Sprintf("%s, the port of %s, which is %s://", quote(e.URL), first.path, first.scheme),
				"one of the two", "a port speaks TLS, or it does not")
		}
		seen[same] = stated{path, scheme}
		s.Endpoints = append(s.Endpoints, e)
	})
	t.require("endpoints", "no endpoints", expected)
	s.Stream, s.Datagrams = k.has("tcp") || k.has("tls"), k.has("udp")
	s.Open = len(s.Endpoints) > 0 && len(k.schemes) == 0
	d.balance(t, s)
	d.sendProxy(t, s)
	s.TLS = d.serviceTLS(t, &k, len(s.Endpoints) > 0)
	t.done()
	return s
}

// balance reads how an endpoint is chosen.
func (d *decoder) balance(t *table, s *Service) {
	word := "round_robin"
	t.choice("balance", `how an endpoint is chosen, in proportion to the weights: by turns, or the same one for the `+
		`same client address. Without it, udp:// endpoints are chosen by "client_ip"`, &word, "round_robin", "client_ip")
	_, written := t.m["balance"]
	s.ByClient = word == "client_ip" || s.Datagrams && !written
}

// sendProxy reads whether connections to the endpoints begin with a header of the PROXY protocol. Nothing but a tcp
// route may lead to a service for which they do.
func (d *decoder) sendProxy(t *table, s *Service) {
	const key = "proxy_protocol"
	version := "off"
	t.choice(key, "the version of the PROXY protocol by whose header endpoints are told of the client: for tcp_routes",
		&version, "off", "v1", "v2")
	s.Proxy = map[string]plan.ProxyVersion{"v1": plan.ProxyV1, "v2": plan.ProxyV2}[version]
	switch {
	case s.Proxy == 0:
	case s.Open:
		s.Stream, s.Open = true, false
	case !s.Stream && len(s.Endpoints) > 0:
		hint := "endpoints for requests are told of the client in header fields, see forward"
		if s.Datagrams {
			hint = ""
		}
		d.atKey(t.child(key), "proxy_protocol for a service that takes no connections as they are",
			"tcp or tls endpoints", hint)
	}
}

// stated is where an endpoint is in the configuration, and its scheme.
type stated struct{ path, scheme string }

// kinds are the schemes of a service's endpoints, each once, and where the first endpoint is that has one.
type kinds struct {
	schemes []string
	first   string
	unix    string // where the first unix socket is
}

func (k *kinds) has(scheme string) bool { return slices.Contains(k.schemes, scheme) }

// endpointKind is what endpoints of a scheme are for.
func endpointKind(scheme string) routeKind {
	switch scheme {
	case "tcp", "tls":
		return forConnections
	case "udp":
		return forDatagrams
	}
	return forRequests
}

// alike notes an endpoint that cannot be in one service with those before it: fits is false. A unix socket can be with
// all but those for datagrams.
func (d *decoder) alike(k *kinds, key, scheme string) (fits bool) {
	if scheme == "" && k.unix == "" {
		k.unix = key
	}
	switch {
	case k.unix != "" && (scheme == "udp" || k.has("udp")):
		there, beside := k.first, "a unix socket beside udp://"
		if scheme == "udp" {
			there, beside = k.unix, "udp:// beside a unix socket"
		}
		d.at(key, beside+" in "+there, "udp endpoints alone", "unix sockets are not supported for datagrams")
		return false
	case scheme == "" || k.has(scheme):
		return true
	case len(k.schemes) > 0 && endpointKind(k.schemes[0]) != endpointKind(scheme):
		d.at(key, fmt.Sprintf("%s:// beside %s:// in %s", scheme, k.schemes[0], k.first),
			"endpoints for requests, for tcp routes, or for udp routes", "make two services of them")
		return false
	case len(k.schemes) == 0:
		k.first = key
	}
	k.schemes = append(k.schemes, scheme)
	return true
}

func (d *decoder) describeEndpoints(t *table) {
	one := describeTable(func(t *table) { d.endpointTable(t, new(string), new(int)) })
	one.Required = []string{"url"}
	one.Properties["url"].Default = nil
	item := &Schema{AnyOf: []*Schema{{Type: "string"}, one}}
	t.shape.add("endpoints", "URLs such as \"http://10.0.0.1:8080\", or tables with url and weight", &Schema{
		AnyOf: append(item.AnyOf, &Schema{Type: "array", Items: item, MinItems: 1}),
	})
}

// maxWeight bounds the share of one endpoint.
const maxWeight = 1000

func (d *decoder) endpointTable(t *table, url *string, weight *int) {
	*weight = 1
	t.text("url", `"http://10.0.0.1:9000", without a port 80; "https://app.internal", without a port 443; `+
		`"tcp://10.0.0.1:5432" or "tls://10.0.0.1:5432" for tcp routes; "udp://10.0.0.1:53" for udp routes; or "unix:/run/app.sock"`, "a URL", url)
	t.count("weight", "its share of the requests", weight, 1, maxWeight)
	t.done()
}

func (d *decoder) endpoint(path string, item any, expected string) (e Endpoint, scheme string, ok bool) {
	weight, url, at := 1, "", path
	switch v := item.(type) {
	case string:
		url = v
	case map[string]any:
		t := newTable(d, path, "", v)
		at = t.child("url")
		d.endpointTable(t, &url, &weight)
		if v["url"] == nil {
			d.at(at, "no url", `a URL such as "http://10.0.0.1:8080"`, "")
		}
		if _, isText := v["url"].(string); !isText {
			return e, "", false
		}
	default:
		d.at(path, describe(item), expected, "")
		return e, "", false
	}
	e, scheme, hint := parseEndpoint(url)
	if hint != "" {
		d.at(at, quote(url), `a URL such as "http://10.0.0.1:8080", "https://[::1]:8443", "tcp://10.0.0.1:5432" or `+
			`"unix:/run/app.sock"`, hint)
		return e, "", false
	}
	e.Key, e.URL, e.Weight = at, url, weight
	return e, scheme, true
}
