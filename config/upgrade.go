package config

import (
	"slices"
	"strings"
)

// defaultUpgrades is what a route has that says nothing of upgrades. All those routes share it.
var defaultUpgrades = []string{"websocket"}

// anyUpgrade stands for all protocols but those that carry requests.
const anyUpgrade = "*"

// CarriesRequests reports whether HTTP goes on behind the switch to a protocol, plain or in TLS (RFC 2817): what it
// carries gets to the service by no route.
func CarriesRequests(protocol string) bool {
	name, _, _ := strings.Cut(strings.ToLower(protocol), "/")
	return slices.Contains([]string{"h2c", "h2", "http", "tls"}, name)
}

// Allows reports whether the route lets the switch to a protocol through, which may have a version. One without a
// version in Upgrades stands for all of them.
func (r *Route) Allows(protocol string) bool {
	protocol = strings.ToLower(protocol)
	name, _, _ := strings.Cut(protocol, "/")
	return slices.Contains(r.Upgrades, protocol) || slices.Contains(r.Upgrades, name) ||
		slices.Contains(r.Upgrades, anyUpgrade) && !CarriesRequests(name)
}

// upgrades reads to which protocols a connection may be switched (RFC 9110, section 7.8).
func (d *decoder) upgrades(t *table) []string {
	const key = "upgrades"
	list, ok := readSet(t, key, `protocols to which a request's Upgrade field may switch the connection, as `+
		`"websocket"; "*": any but those that carry requests; none: no such thing`, "", d.upgrade)
	if t.shape != nil {
		t.shape.Properties[key].Default = defaultUpgrades
	}
	if !ok {
		return defaultUpgrades
	}
	if len(list) > 1 && slices.Contains(list, anyUpgrade) {
		d.at(t.child(key), `"*" beside other protocols`, `"*" alone, or a list of protocols`, "")
	}
	slices.Sort(list)
	return list
}

func (d *decoder) upgrade(path, s string) (string, bool) {
	name, version, versioned := strings.Cut(strings.ToLower(s), "/")
	const expected = `a protocol such as "websocket", or "*"`
	switch {
	case name == anyUpgrade && !versioned:
		return name, true
	case name == "all" || name == "any":
		d.at(path, quote(s), expected, `write "*" for any protocol that carries no requests`)
	case name == "ws" || name == "wss":
		d.at(path, quote(s), expected, `did you mean "websocket"?`)
	case !isToken(name) || versioned && !isToken(version):
		d.at(path, quote(s), expected, "")
	default:
		return strings.ToLower(s), true
	}
	return "", false
}

// isToken reports whether s is a token (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if !bareByte(s[i]) && strings.IndexByte("!#$%&'*+.^`|~", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}
