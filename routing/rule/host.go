package rule

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Bounds of a host name (RFC 1035, section 2.3.4, without the root label).
const (
	MaxHost  = 253
	maxLabel = 63
)

// canonicalHost checks a host pattern and returns its canonical form: a name, "*." or "**." and a name, or an IP
// address, an IPv6 one in brackets. Case and one trailing dot are ignored, a port is refused, and labels outside of
// ASCII become A-labels (RFC 5890, section 2.3.2.1).
func canonicalHost(pattern string) (string, *Error) {
	star, name := cutWildcard(pattern)
	host, isIP := parseIPv6(name)
	if !isIP {
		var fault *Error
		if host, fault = dnsName(name, len(star)); fault != nil {
			return "", fault
		}
		// A name whose last label is a number can only be an address.
		isIP = strings.Trim(host[strings.LastIndexByte(host, '.')+1:], "0123456789") == ""
	}
	if isIP && star != "" {
		return "", refuse(0, len(pattern), "a wildcard cannot stand before an IP address", "list the addresses")
	}
	return star + host, nil
}

// canonicalSNI is canonicalHost for a server name, which is never an address (RFC 6066, section 3).
func canonicalSNI(pattern string) (string, *Error) {
	name, fault := canonicalHost(pattern)
	if fault != nil {
		return "", fault
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return "", refuse(0, len(pattern), "a client that connects to an IP address sends no SNI", "write a name")
	}
	return name, nil
}

// cutWildcard takes "*." or "**." off.
func cutWildcard(pattern string) (star, name string) {
	for _, star := range []string{"**.", "*."} {
		if name, ok := strings.CutPrefix(pattern, star); ok {
			return star, name
		}
	}
	return "", pattern
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

// fullStops are the characters that IDNA takes for a dot (UTS #46, section 2.3).
var fullStops = strings.NewReplacer("\u3002", ".", "\uff0e", ".", "\uff61", ".")

// dnsName brings a name or IPv4 address into canonical form. at is where it begins in the pattern, for faults.
func dnsName(name string, at int) (string, *Error) {
	if fault := notAName(name, at); fault != nil {
		return "", fault
	}
	host := strings.TrimSuffix(strings.ToLower(fullStops.Replace(name)), ".")
	labels := strings.Split(host, ".")
	numbers := 0
	for i, label := range labels {
		ascii, fault := canonicalLabel(label)
		if fault != nil {
			fault.At, fault.Len = at, len(name)
			return "", fault
		}
		labels[i] = ascii
		if strings.Trim(ascii, "0123456789") == "" {
			numbers++
		}
	}
	host = strings.Join(labels, ".")
	if len(host) > MaxHost {
		return "", refusef(at, len(name), "", "a host name has at most %d bytes, this has %d", MaxHost, len(host))
	}
	if _, err := netip.ParseAddr(host); err != nil && numbers == 4 && len(labels) == 4 {
		return "", refuse(at, len(name), "this looks like an IPv4 address and is none",
			"write four numbers up to 255, without leading zeros")
	}
	return host, nil
}

// notAName finds what people write beside or instead of a name.
func notAName(name string, at int) *Error {
	find := func(s, msg, hint string) *Error {
		if i := strings.Index(name, s); i >= 0 {
			return refuse(at+i, len(name)-i, msg, hint)
		}
		return nil
	}
	switch {
	case name == "" || name == ".":
		return refuse(at, 1, "the host is empty", "leave it out to match any host")
	case name == "*" || name == "**":
		return refuse(at, len(name), "a bare wildcard is not needed", "leave it out to match any host")
	case strings.Contains(name, "://"):
		return refuse(at, strings.Index(name, "://")+3, "only the host name, without a scheme", "")
	case strings.Contains(name, "{"):
		return find("{", "a host has no expressions in braces", "write HostRegexp, such as "+HostRegexp.example())
	case strings.Contains(name, "/"):
		return find("/", "only the host name, without a path", "write the path with Path or PathPrefix")
	case strings.ContainsAny(name, "[]"):
		return refuse(at, len(name), "this is no IPv6 address in brackets",
			"write for example [::1], without zone and port")
	case strings.Contains(name, ":"):
		return find(":", "only the host name, without a port", "the listener decides the port")
	case strings.Contains(name, "*"):
		return find("*", `a wildcard stands for whole labels at the beginning: "*." or "**."`,
			"write HostRegexp for other patterns")
	}
	return nil
}

// canonicalLabel checks a label in lower case. Its fault's position is for the caller to set.
func canonicalLabel(label string) (string, *Error) {
	ascii := label
	if strings.IndexFunc(label, func(c rune) bool { return c >= utf8.RuneSelf }) >= 0 {
		var err error
		if ascii, err = idna.Lookup.ToASCII(label); err != nil {
			return "", refusef(0, 0, "look for a character that names cannot have",
				"%q cannot be part of a host name", label)
		}
	} else if strings.HasPrefix(label, "xn--") {
		if _, err := idna.Punycode.ToUnicode(label); err != nil {
			return "", refusef(0, 0, "write the name in its readable form", "%q encodes no name", label)
		}
	}
	switch {
	case ascii == "":
		return "", refuse(0, 0, "a label of the name is empty", "look for a dot too many")
	case len(ascii) > maxLabel:
		return "", refusef(0, 0, "", "a label has at most %d bytes, this has %d", maxLabel, len(ascii))
	}
	for _, c := range []byte(ascii) {
		if !letter(c) && !digit(c) && c != '-' {
			hint := ""
			if c == ' ' || c == ',' || c == '|' {
				hint = "write several hosts as several strings"
			}
			return "", refusef(0, 0, hint, "%q cannot be part of a host name", c)
		}
	}
	return ascii, nil
}
