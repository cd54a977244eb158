// Package routing decides which route a request takes: rules are compiled once into a Table, which shards then read.
//
// A rule names hosts and path prefixes. Where several rules fit a request the most specific one wins, whatever order
// they were written in: an exact host over a wildcard, a wildcard with more labels over one with fewer, "*." over "**."
// at the same number of labels, any host last; among equal hosts the longer path prefix; after that the rule's name,
// in byte order. A host whose rules do not cover the path falls through to the next less specific host. That is by
// definition what a scan over all rules in this order would find; the tests hold the table to it.
//
// The package is pure: a Table is immutable, and Match neither allocates nor locks. It owns the meaning of host and
// path patterns, so configuration checks them with ParseHost and ParsePrefix. It imports the standard library only and
// may be imported by both planes.
package routing

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Bounds of a pattern. A host name has at most 253 bytes (RFC 1035, section 2.3.4, without the root label).
const (
	MaxHost   = 253
	MaxPrefix = 8192
)

// Rule says which requests lead to a route: those that fit one of Hosts and one of Prefixes.
type Rule struct {
	// Name breaks ties between rules of equal precedence, and appears in errors.
	Name string
	// Hosts are patterns as ParseHost reads them. None means any host, and requests without one.
	Hosts []string
	// Prefixes are path prefixes as ParsePrefix reads them. None means any path.
	Prefixes []string
	// Route is what Match returns for this rule. It must not be negative.
	Route int
}

// HostKind tells the forms of a host pattern apart, the most specific first.
type HostKind uint8

const (
	HostExact HostKind = iota // example.com
	HostStar                  // *.example.com: exactly one more label
	HostDeep                  // **.example.com: one or more labels
	HostAny                   // no host pattern
)

// Host is a host pattern in its canonical form; patterns that mean the same are equal.
type Host struct {
	Kind HostKind
	// Name is the name or suffix in lower case, without the wildcard and a trailing dot. An IPv6 address has brackets.
	Name string
}

// String gives the pattern as a user would write it; the empty string for any host.
func (h Host) String() string {
	switch h.Kind {
	case HostStar:
		return "*." + h.Name
	case HostDeep:
		return "**." + h.Name
	}
	return h.Name
}

// ParseHost reads a host pattern: a name, "*." or "**." and a name, or an IP address (an IPv6 address with or without
// brackets). Case and one trailing dot are ignored. A port is refused, since the listener decides it.
func ParseHost(pattern string) (Host, error) {
	name, kind := pattern, HostExact
	if rest, ok := strings.CutPrefix(pattern, "**."); ok {
		name, kind = rest, HostDeep
	} else if rest, ok := strings.CutPrefix(pattern, "*."); ok {
		name, kind = rest, HostStar
	}
	if ip, ok := parseIPv6(name); ok {
		if kind != HostExact {
			return Host{}, errors.New("a wildcard cannot stand before an IP address")
		}
		return Host{Name: ip}, nil
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if err := checkName(name); err != nil {
		return Host{}, err
	}
	if kind != HostExact && numeric(name[strings.LastIndexByte(name, '.')+1:]) {
		return Host{}, errors.New("a wildcard cannot stand before an IP address")
	}
	return Host{Kind: kind, Name: name}, nil
}

func parseIPv6(s string) (string, bool) {
	inner := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if strings.HasPrefix(s, "[") != strings.HasSuffix(s, "]") {
		return "", false
	}
	ip, err := netip.ParseAddr(inner)
	if err != nil || !ip.Is6() || ip.Zone() != "" {
		return "", false
	}
	return "[" + ip.String() + "]", true
}

func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the host is empty; leave the key out to match any host")
	case name == "*" || name == "**":
		return errors.New("a bare wildcard is not needed; leave the key out to match any host")
	case len(name) > MaxHost:
		return fmt.Errorf("a host name has at most %d bytes, this has %d", MaxHost, len(name))
	case strings.Contains(name, "://"):
		return errors.New("only the host name, without a scheme")
	case strings.Contains(name, "/"):
		return errors.New("only the host name; a path goes into path_prefix")
	case strings.Contains(name, ":"):
		return errors.New("only the host name, without a port; the listener decides the port")
	case strings.Contains(name, "*"):
		return errors.New(`a wildcard stands for whole labels at the beginning: "*." or "**."`)
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" {
			return errors.New("a label between two dots is empty")
		}
	}
	for _, c := range name {
		switch {
		case c >= 0x80:
			return errors.New(`write names outside ASCII in their "xn--" form`)
		case !nameByte(byte(c)):
			return fmt.Errorf("%q cannot be part of a host name", c)
		}
	}
	return nil
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

func numeric(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// ParsePrefix reads a path prefix and returns its canonical form, without trailing slashes: "" for "/". A prefix covers
// whole segments: "/api" covers "/api" and "/api/x" but not "/apix". "/" covers every target, "*" of OPTIONS too.
// Paths are compared as they were received: byte by byte, with case and percent signs as they are.
func ParsePrefix(prefix string) (string, error) {
	switch {
	case !strings.HasPrefix(prefix, "/"):
		return "", fmt.Errorf("a path begins with a slash: %q", "/"+prefix)
	case len(prefix) > MaxPrefix:
		return "", fmt.Errorf("a path prefix has at most %d bytes, this has %d", MaxPrefix, len(prefix))
	case strings.Contains(prefix, "*"):
		return "", errors.New("a path prefix has no wildcards; it covers everything below it already")
	}
	for _, c := range []byte(prefix) {
		switch {
		case c == '?' || c == '#':
			return "", fmt.Errorf("%q ends a path; only the path is compared", c)
		case c <= ' ' || c >= 0x7f:
			return "", fmt.Errorf(`%q cannot be part of a path; write it percent-encoded: "%%%02X"`, c, c)
		}
	}
	return strings.TrimRight(prefix, "/"), nil
}
