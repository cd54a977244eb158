package rule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/uringproxy/uringproxy/internal/suggest"
)

// versions are the protocol versions that a TLSVersion can name, with their numbers on the wire.
var versions = []suite{{0x0301, "1.0"}, {0x0302, "1.1"}, {0x0303, "1.2"}, {0x0304, "1.3"}}

func parseVersion(v string) (uint16, *Error) {
	name := v
	for _, prefix := range []string{"TLS", "v", " "} {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			name = name[len(prefix):]
		}
	}
	for _, known := range versions {
		if known.name == name {
			return known.number, nil
		}
	}
	return 0, refusef(0, len(v), "write 1.0, 1.1, 1.2 or 1.3", "%q is no version of TLS that is spoken here", v)
}

// VersionName is a version as rules write it, or its number on the wire.
func VersionName(number uint16) string {
	for _, known := range versions {
		if known.number == number {
			return known.name
		}
	}
	return fmt.Sprintf("0x%04x", number)
}

// suite is a number that has a name.
type suite struct {
	number uint16
	name   string
}

// groups are names for many suites, the widest first.
var groups = []struct {
	name string
	has  func(s suite) bool
}{
	{"cbc", func(s suite) bool { return strings.Contains(s.name, "_CBC_") }},
	{"legacy", legacySuite},
	{"rsa", func(s suite) bool { return strings.HasPrefix(s.name, "TLS_RSA_") }},
	{"tls13", func(s suite) bool { return s.number>>8 == 0x13 }},
}

var weak = []string{"_NULL", "_anon_", "_EXPORT_", "_RC4_", "_RC2_", "_DES_", "_DES40_", "_3DES_", "_IDEA_", "_MD5"}

// legacySuite reports whether a suite was given up for weakness: no or broken encryption, no authentication, keys of
// export size, blocks of 64 bits, or MD5.
func legacySuite(s suite) bool {
	for _, part := range weak {
		if strings.Contains(s.name, part) {
			return true
		}
	}
	return false
}

// members are the numbers of a group, in order; nil when there is no such group.
func members(group string) []uint16 {
	var numbers []uint16
	for _, g := range groups {
		if g.name != group {
			continue
		}
		for _, s := range suites {
			if g.has(s) {
				numbers = append(numbers, s.number)
			}
		}
	}
	return numbers
}

// parseSuites reads a suite's name or number, or a group's name.
func parseSuites(v string) ([]uint16, *Error) {
	if numbers := members(v); numbers != nil {
		return numbers, nil
	}
	if hex, ok := strings.CutPrefix(v, "0x"); ok {
		if n, err := strconv.ParseUint(hex, 16, 16); err == nil && len(hex) == 4 {
			return []uint16{uint16(n)}, nil
		}
		return nil, refuse(0, len(v), "a suite's number has four hexadecimal digits", "write for example 0x1301")
	}
	names := make([]string, 0, len(suites)+len(groups))
	for _, s := range suites {
		if s.name == v {
			return []uint16{s.number}, nil
		}
		names = append(names, s.name)
	}
	for _, g := range groups {
		names = append(names, g.name)
	}
	hint := "write its name in the IANA registry, its number such as 0x1301, or legacy, cbc, rsa or tls13"
	if near := suggest.Nearest(v, names); near != "" {
		hint = "write " + near
	} else if near := suggest.Nearest("TLS_"+v, names); near != "" {
		hint = "write " + near
	}
	return nil, refusef(0, len(v), hint, "there is no cipher suite %q", v)
}

// signals are numbers among the cipher suites that are no suites: a client says something else by them (RFC 5746,
// section 3.3; RFC 7507, section 2).
var signals = []uint16{0x00ff, 0x5600}

// IsSignal reports whether a number that stands among cipher suites is none: a signalling value, or one of those that
// stand for nothing (GREASE, RFC 8701).
func IsSignal(n uint16) bool {
	return n&0x0f0f == 0x0a0a && n>>8 == n&0xff || n == signals[0] || n == signals[1]
}

// suiteNames writes numbers, which are in order, as parseSuites reads them: groups that are there as a whole first.
func suiteNames(numbers []uint16) []string {
	var names []string
	named := map[uint16]bool{}
	for _, g := range groups {
		all := members(g.name)
		whole := true
		for _, n := range all {
			_, has := slices.BinarySearch(numbers, n)
			whole = whole && has
		}
		if whole {
			names = append(names, g.name)
			for _, n := range all {
				named[n] = true
			}
		}
	}
	for _, n := range numbers {
		if !named[n] {
			names = append(names, SuiteName(n))
		}
	}
	return names
}

// SuiteName is a suite's name in the registry, or its number, as rules have it.
func SuiteName(number uint16) string {
	i, ok := slices.BinarySearchFunc(suites[:], number, func(s suite, n uint16) int { return int(s.number) - int(n) })
	if ok {
		return suites[i].name
	}
	return fmt.Sprintf("0x%04x", number)
}

// protocols are those of the registry that HTTP has; the registry has no others in capitals either.
var protocols = []string{"http/1.0", "http/1.1", "h2", "h3", "acme-tls/1"}

func checkProtocol(v string) *Error {
	if v == "" || len(v) > 255 {
		return refuse(0, len(v), "a protocol's name has 1 to 255 bytes", "write for example "+ALPN.example())
	}
	lower := strings.ToLower(v)
	switch {
	case slices.Contains(protocols, v):
		return nil
	case slices.Contains(protocols, lower):
		return refusef(0, len(v), "write "+lower, "protocols are in lower case, %q is none", v)
	case slices.Contains([]string{"http2", "http/2", "http/2.0"}, lower):
		return refusef(0, len(v), "write h2", "%q is not what HTTP/2 is called in ALPN", v)
	case slices.Contains([]string{"http3", "http/3", "http/3.0"}, lower):
		return refusef(0, len(v), "write h3", "%q is not what HTTP/3 is called in ALPN", v)
	}
	return nil
}

// canonicalJA4 checks a fingerprint's shape: what the client speaks, in ten characters, and two hashes of twelve
// hexadecimal digits, as in "t13d1516h2_8daaf6152771_e5627efa2ab1".
func canonicalJA4(v string) (string, *Error) {
	const shape = "avvsnnnnaa_hhhhhhhhhhhh_hhhhhhhhhhhh"
	hint := "write it as " + JA4.example()[len("JA4(`"):len("JA4(`")+len(shape)]
	if len(v) != len(shape) {
		return "", refusef(0, len(v), hint, "a JA4 fingerprint has %d characters, this has %d", len(shape), len(v))
	}
	for i := range len(shape) {
		c := v[i]
		fits := false
		switch shape[i] {
		case 'a':
			fits = digit(c) || letter(c) && c != '_'
			if i == 0 {
				fits = strings.IndexByte("tqdTQD", c) >= 0
			}
		case 'v':
			fits = digit(c) || i == 1 && strings.IndexByte("sdSD", c) >= 0
		case 's':
			fits = c|0x20 == 'd' || c|0x20 == 'i'
		case 'n':
			fits = digit(c)
		case '_':
			fits = c == '_'
		case 'h':
			fits = hexDigit(c)
		}
		if !fits {
			return "", refusef(i, 1, hint, "%q does not stand there in a JA4 fingerprint", c)
		}
	}
	return strings.ToLower(v), nil
}
