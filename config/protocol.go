package config

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/uringproxy/uringproxy/plan"
)

// protocols are what a listener may speak, by the words for them.
var protocols = map[string]plan.Protocol{"http": plan.HTTP, "tcp": plan.TCP, "udp": plan.UDP, "auto": plan.Auto}

// protocolWord is the word for a protocol.
func protocolWord(p plan.Protocol) string { return [...]string{"http", "tcp", "udp", "auto"}[p] }

func (d *decoder) protocolOf(t *table) plan.Protocol {
	word := "http"
	t.choice("protocol", "what is spoken there: requests (HTTP/1.0 and 1.1); connections for tcp_routes; datagrams "+
		"for udp_routes; or what the first bytes of a connection show, requests or any other", &word,
		"http", "tcp", "udp", "auto")
	return protocols[word]
}

// misplaced are keys of listeners that need another protocol.
var misplaced = []struct {
	key       string
	protocols []plan.Protocol // to which it means nothing
	hint      map[plan.Protocol]string
}{
	{"tls", []plan.Protocol{plan.UDP}, nil},
	{"proxy_protocol", []plan.Protocol{plan.UDP}, nil},
	{"trusted_proxies", []plan.Protocol{plan.TCP, plan.UDP}, map[plan.Protocol]string{
		plan.TCP: "connections have no forwarding headers; for those that begin with a PROXY header, write " +
			"proxy_protocol",
	}},
	{"redirect_https", []plan.Protocol{plan.TCP, plan.UDP}, nil},
	{"hsts", []plan.Protocol{plan.TCP, plan.UDP}, nil},
}

// misplacedKeys notes keys that mean nothing to what a listener speaks.
func (d *decoder) misplacedKeys(t *table, p plan.Protocol) {
	for _, m := range misplaced {
		if _, ok := t.m[m.key]; !ok || !slices.Contains(m.protocols, p) {
			continue
		}
		expected := `protocol = "http" or "auto" beside it`
		if len(m.protocols) == 1 {
			expected = `protocol = "http", "tcp" or "auto" beside it`
		}
		d.atKey(t.child(m.key), fmt.Sprintf("%s on a listener for %s", m.key, protocolWord(p)), expected, m.hint[p])
	}
}

// networks reads a list of networks and addresses.
func (d *decoder) networks(t *table, key, says, none string) (all []netip.Prefix) {
	const expected = `an address or a network such as "10.0.0.0/8"`
	t.texts(key, says, `networks such as "10.0.0.0/8"`, none, func(path, s string) {
		p, hint := parseNetwork(s)
		if !p.IsValid() {
			d.at(path, quote(s), expected, hint)
			return
		}
		all = append(all, p)
	})
	return all
}

// proxyProtocol reads who sends headers of the PROXY protocol.
func (d *decoder) proxyProtocol(t *table, l *Listener) {
	const key = "proxy_protocol"
	const expected = `networks such as "10.0.0.0/8"`
	const who = "name the proxies that send the header; from them it is required, and from nobody else it is believed"
	switch v := t.m[key].(type) {
	case bool:
		t.known = append(t.known, key)
		d.at(t.child(key), describe(v), expected, who)
		return
	case string:
		if v == "v1" || v == "v2" {
			t.known = append(t.known, key)
			d.at(t.child(key), quote(v), expected, "either version is recognised; "+who)
			return
		}
	}
	l.Proxied = d.networks(t, key, "addresses and networks whose connections have to begin with a header of the PROXY "+
		"protocol, version 1 or 2, which says who the client is", "")
	if len(l.Proxied) > 0 && l.Unix != "" {
		d.atKey(t.child(key), "proxy_protocol on a unix socket, whose clients have no address",
			"it on a listener with an IP address", "")
	}
}
