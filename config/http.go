package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/uringproxy/uringproxy/routing"
)

func (d *decoder) listener(t *table) *Listener {
	l := &Listener{Name: t.name}
	const expected = `an address such as "127.0.0.1:8080", ":8080", "[::1]:8080" or "unix:/run/web.sock"`
	address := ""
	if t.text("address", expected, &address); address != "" {
		var hint string
		if l.Addr, l.Unix, hint = parseListen(address); l.Unix == "" && !l.Addr.IsValid() {
			d.at(t.child("address"), quote(address), expected, hint)
		}
	} else if raw := t.m["address"]; raw == nil || raw == "" {
		d.at(t.child("address"), "no address", expected, "")
	}
	protocol := "http"
	if t.text("protocol", `"http"`, &protocol); protocol != "http" {
		d.at(t.child("protocol"), quote(protocol), `"http"`, "this version has no other protocol yet")
	}
	t.texts("trusted_proxies", `networks such as "10.0.0.0/8"`, func(path, s string) {
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

func (d *decoder) route(t *table, listeners, services nameSet) *Route {
	r := &Route{Name: t.name}
	t.some("listeners", "the name of a listener, or no such key for all of them")
	t.some("host", "a host name, or no such key for any host")
	t.some("path_prefix", "a path, or no such key for any path")
	t.texts("listeners", "names of listeners", func(path, s string) {
		switch {
		case !listeners.has(s):
			d.at(path, fmt.Sprintf("%s, which is no listener", quote(s)), oneOf(listeners.sorted),
				d.meant(s, listeners.sorted))
		case slices.Contains(r.Listeners, s):
			d.at(path, fmt.Sprintf("%s for the second time", quote(s)), "each listener once", "")
		default:
			r.Listeners = append(r.Listeners, s)
		}
	})
	t.texts("host", `host names such as "example.com" or "*.example.com"`, func(path, s string) {
		if _, err := routing.ParseHost(s); err != nil {
			d.at(path, quote(s), `a host name such as "example.com" or "*.example.com"`, err.Error())
			return
		}
		r.Hosts = append(r.Hosts, s)
	})
	t.texts("path_prefix", `paths such as "/api"`, func(path, s string) {
		if _, err := routing.ParsePrefix(s); err != nil {
			d.at(path, quote(s), `a path such as "/api"`, err.Error())
			return
		}
		r.Prefixes = append(r.Prefixes, s)
	})
	r.Service = d.serviceRef(t, services)
	t.done()
	return r
}

func (d *decoder) serviceRef(t *table, services nameSet) string {
	name := ""
	t.text("service", "the name of a service", &name)
	path := t.child("service")
	switch raw, present := t.m["service"]; {
	case !present:
		d.atKey(path, "no service", "the name of a service", "")
	case name == "" && raw != "":
	case !services.has(name):
		d.at(path, fmt.Sprintf("%s, which is no service", quote(name)), oneOf(services.sorted),
			d.meant(name, services.sorted))
	}
	return name
}

func (d *decoder) service(t *table) *Service {
	s := &Service{Name: t.name}
	seen := map[Endpoint]string{}
	const expected = `endpoints such as "http://10.0.0.1:8080" or { url = "http://10.0.0.2:8080", weight = 3 }`
	t.some("endpoints", expected)
	if !t.list("endpoints", func(path string, item any) {
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
	}) {
		d.atKey(t.child("endpoints"), "no endpoints", expected, "")
	}
	balance := "round_robin"
	t.choice("balance", &balance, "round_robin")
	t.done()
	return s
}

// maxWeight bounds the share of one endpoint.
const maxWeight = 1000

func (d *decoder) endpoint(path string, item any, expected string) (e Endpoint, ok bool) {
	weight, url, at := 1, "", path
	switch v := item.(type) {
	case string:
		url = v
	case map[string]any:
		t := &table{d: d, path: path, m: v}
		at = t.child("url")
		t.text("url", "a URL", &url)
		t.count("weight", &weight, 1, maxWeight)
		t.done()
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

// sameAddress finds listeners that would take each other's connections: the kernel lets them share a port.
func (d *decoder) sameAddress(listeners []*Listener) {
	type key struct {
		addr netip.AddrPort
		unix string
	}
	taken := map[key]string{}
	for _, l := range listeners {
		k := key{l.Addr, l.Unix}
		if !l.Addr.IsValid() && l.Unix == "" {
			continue
		}
		if l.Addr.Addr().IsUnspecified() {
			k.addr = netip.AddrPortFrom(netip.IPv6Unspecified(), l.Addr.Port())
		}
		if other, ok := taken[k]; ok {
			path := child(child("listeners", l.Name), "address")
			d.at(path, fmt.Sprintf("the address of listener %s", strconv.Quote(other)), "an address of its own", "")
			continue
		}
		taken[k] = l.Name
	}
}

// sameRequests finds routes that can never be reached in full because another takes the same requests.
func (d *decoder) sameRequests(c *Config) {
	type key struct {
		listener, prefix string
		host             routing.Host
	}
	taken := map[key]string{}
	for _, r := range c.Routes {
		listeners := r.Listeners
		if len(listeners) == 0 {
			for _, l := range c.Listeners {
				listeners = append(listeners, l.Name)
			}
		}
		clash := ""
		r.each(func(host routing.Host, prefix string) {
			for _, l := range listeners {
				k := key{l, prefix, host}
				if other, ok := taken[k]; ok {
					clash = other
				}
				taken[k] = r.Name
			}
		})
		switch clash {
		case "":
		case r.Name:
			d.atKey(child("routes", r.Name), "a host or path_prefix twice", "each once", "")
		default:
			d.atKey(child("routes", r.Name), fmt.Sprintf("a route for requests that routes.%s takes", clash),
				"a host, path_prefix or listener that differs", "")
		}
	}
}

// each calls do for every pair of host and prefix.
func (r *Route) each(do func(host routing.Host, prefix string)) {
	hosts := []routing.Host{{Kind: routing.HostAny}}
	if len(r.Hosts) > 0 {
		hosts = hosts[:0]
	}
	for _, s := range r.Hosts {
		if h, err := routing.ParseHost(s); err == nil {
			hosts = append(hosts, h)
		}
	}
	prefixes := []string{""}
	if len(r.Prefixes) > 0 {
		prefixes = prefixes[:0]
	}
	for _, s := range r.Prefixes {
		if p, err := routing.ParsePrefix(s); err == nil {
			prefixes = append(prefixes, p)
		}
	}
	for _, h := range hosts {
		for _, p := range prefixes {
			do(h, p)
		}
	}
}
