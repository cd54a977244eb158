package config

import (
	"fmt"
)

func (d *decoder) listener(t *table) *Listener {
	l := &Listener{Name: t.name}
	const expected = `an address such as "127.0.0.1:8080", ":8080", "[::1]:8080" or "unix:/run/web.sock"`
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
	protocol := "http"
	t.choice("protocol", "what is spoken there; this version has HTTP/1.0 and 1.1 only", &protocol, "http")
	t.texts("trusted_proxies", "addresses and networks of clients whose forwarding headers are believed",
		`networks such as "10.0.0.0/8"`, "", func(path, s string) {
			p, hint := parseNetwork(s)
			if !p.IsValid() {
				d.at(path, quote(s), `an address or a network such as "10.0.0.0/8"`, hint)
				return
			}
			l.Trusted = append(l.Trusted, p)
		})
	t.done()
	return l
}

func (d *decoder) service(t *table) *Service {
	s := &Service{Name: t.name}
	seen := map[Endpoint]string{}
	const expected = `endpoints such as "http://10.0.0.1:8080" or { url = "http://10.0.0.2:8080", weight = 3 }`
	if t.shape != nil {
		d.describeEndpoints(t)
	}
	if items, isList := t.m["endpoints"].([]any); isList && len(items) == 0 {
		d.at(t.child("endpoints"), "an empty list", expected, "")
	}
	t.list("endpoints", func(path string, item any) {
		e, ok := d.endpoint(path, item, expected)
		if !ok {
			return
		}
		same := Endpoint{Host: e.Host, Port: e.Port, Unix: e.Unix}
		if first, twice := seen[same]; twice {
			d.at(path, fmt.Sprintf("%s, the same as %s", quote(e.URL), first), "each endpoint once",
				"give one a greater weight instead")
		}
		seen[same] = path
		s.Endpoints = append(s.Endpoints, e)
	})
	t.require("endpoints", "no endpoints", expected)
	balance := "round_robin"
	t.choice("balance", "how an endpoint is chosen: by turns, in proportion to the weights", &balance, "round_robin")
	t.done()
	return s
}

func (d *decoder) describeEndpoints(t *table) {
	one := newTable(d, "", "", nil)
	one.shape = &Schema{Type: "object", Others: false, Required: []string{"url"}}
	d.endpointTable(one, new(string), new(int))
	one.shape.Properties["url"].Default = nil
	item := &Schema{AnyOf: []*Schema{{Type: "string"}, one.shape}}
	t.shape.add("endpoints", "URLs such as \"http://10.0.0.1:8080\", or tables with url and weight", &Schema{
		AnyOf: append(item.AnyOf, &Schema{Type: "array", Items: item, MinItems: 1}),
	})
}

// maxWeight bounds the share of one endpoint.
const maxWeight = 1000

func (d *decoder) endpointTable(t *table, url *string, weight *int) {
	*weight = 1
	t.text("url", `"http://10.0.0.1:9000", without a port 80; or "unix:/run/app.sock"`, "a URL", url)
	t.count("weight", "its share of the requests", weight, 1, maxWeight)
	t.done()
}

func (d *decoder) endpoint(path string, item any, expected string) (e Endpoint, ok bool) {
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
			return e, false
		}
	default:
		d.at(path, describe(item), expected, "")
		return e, false
	}
	e, hint := parseEndpoint(url)
	if hint != "" {
		d.at(at, quote(url), `a URL such as "http://10.0.0.1:8080", "http://[::1]:8080" or "unix:/run/app.sock"`, hint)
		return e, false
	}
	e.Key, e.URL, e.Weight = at, url, weight
	return e, true
}
