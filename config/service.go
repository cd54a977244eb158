package config

import (
	"fmt"
	"slices"
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
	s.Stream = k.has("tcp")
	balance := "round_robin"
	t.choice("balance", "how an endpoint is chosen: by turns, in proportion to the weights", &balance, "round_robin")
	s.TLS = d.serviceTLS(t, &k, len(s.Endpoints) > 0)
	t.done()
	return s
}

// stated is where an endpoint is in the configuration, and its scheme.
type stated struct{ path, scheme string }

// kinds are the schemes of a service's endpoints, each once, and where the first endpoint is that has one.
type kinds struct {
	schemes []string
	first   string
}

func (k *kinds) has(scheme string) bool { return slices.Contains(k.schemes, scheme) }

// alike notes an endpoint that cannot be in one service with those before it: fits is false. A unix socket can be with
// all.
func (d *decoder) alike(k *kinds, key, scheme string) (fits bool) {
	if scheme == "" || k.has(scheme) {
		return true
	}
	if len(k.schemes) > 0 && (k.schemes[0] == "tcp") != (scheme == "tcp") {
		d.at(key, fmt.Sprintf("%s:// beside %s:// in %s", scheme, k.schemes[0], k.first),
			"endpoints for requests, or endpoints for tcp routes", "make two services of them")
		return false
	}
	if len(k.schemes) == 0 {
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
	t.text("url", `"http://10.0.0.1:9000", without a port 80; "https://app.internal", without a port 443; "tcp://10.0.0.1:5432" `+
		`for tcp routes; or "unix:/run/app.sock"`, "a URL", url)
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
		d.at(at, quote(url), `a URL such as "http://10.0.0.1:8080", "https://[::1]:8443" or "unix:/run/app.sock"`, hint)
		return e, "", false
	}
	e.Key, e.URL, e.Weight = at, url, weight
	return e, scheme, true
}
