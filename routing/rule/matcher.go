package rule

import (
	"slices"
	"strings"

	"github.com/uringproxy/uringproxy/internal/suggest"
)

// matcher says how one kind is written.
type matcher struct {
	name  string
	named bool // the first argument is the name of a field or parameter
	least int  // values that it needs beside the name
	args  string
}

// matchers is indexed by Kind.
var matchers = [...]matcher{
	Host:          {"Host", false, 1, "(`example.com`)"},
	HostRegexp:    {"HostRegexp", false, 1, "(`^api-[0-9]+\\.example\\.com$`)"},
	Path:          {"Path", false, 1, "(`/login`)"},
	PathPrefix:    {"PathPrefix", false, 1, "(`/api`)"},
	PathPrefixRaw: {"PathPrefixRaw", false, 1, "(`/img-`)"},
	PathRegexp:    {"PathRegexp", false, 1, "(`^/user/[0-9]+$`)"},
	Method:        {"Method", false, 1, "(`GET`, `HEAD`)"},
	Header:        {"Header", true, 0, "(`X-Env`, `test`)"},
	HeaderRegexp:  {"HeaderRegexp", true, 1, "(`User-Agent`, `(?i)mobile`)"},
	Query:         {"Query", true, 0, "(`debug`, `1`)"},
	QueryRegexp:   {"QueryRegexp", true, 1, "(`id`, `^[0-9]+$`)"},
	ClientIP:      {"ClientIP", false, 1, "(`10.0.0.0/8`)"},
	SNI:           {"SNI", false, 1, "(`example.com`)"},
	SNIRegexp:     {"SNIRegexp", false, 1, "(`^api-[0-9]+\\.example\\.com$`)"},
	ALPN:          {"ALPN", false, 1, "(`h2`)"},
	TLSVersion:    {"TLSVersion", false, 1, "(`1.3`)"},
	CipherSuite:   {"CipherSuite", false, 1, "(`legacy`)"},
	JA4:           {"JA4", false, 1, "(`t13d1516h2_8daaf6152771_e5627efa2ab1`)"},
	ClientCert:    {"ClientCert", false, 1, "(`billing.example.com`)"},

	DestinationPort:  {"DestinationPort", false, 1, "(`5432`, `6000-6100`)"},
	CipherSuiteOnly:  {"CipherSuiteOnly", false, 1, "(`cbc`, `rsa`)"},
	ClientCertRegexp: {"ClientCertRegexp", false, 1, "(`^spiffe://example\\.com/`)"},
}

// String is the matcher's name as rules write it.
func (k Kind) String() string {
	if k == None || int(k) >= len(matchers) {
		return "None"
	}
	return matchers[k].name
}

// example is a call of the matcher, for hints.
func (k Kind) example() string { return matchers[k].name + matchers[k].args }

// Named reports whether the matcher's first argument is the name of a field or a parameter.
func (k Kind) Named() bool { return int(k) < len(matchers) && matchers[k].named }

// regexp reports whether the matcher's values are regular expressions.
func (k Kind) regexp() bool {
	switch k {
	case HostRegexp, PathRegexp, HeaderRegexp, QueryRegexp, SNIRegexp, ClientCertRegexp:
		return true
	}
	return false
}

// TLS reports whether the matcher looks at a TLS handshake, so that it never fits on a plain connection.
func (k Kind) TLS() bool { return k >= SNI && k < kinds }

// Stream reports whether the matcher can be asked of a connection when no more of it is known than its ClientHello: in
// the rule of a tcp route.
func (k Kind) Stream() bool { return k.Datagram() || k >= SNI && k <= JA4 }

// Datagram reports whether the matcher can be asked of a datagram: in the rule of a udp route.
func (k Kind) Datagram() bool { return k == ClientIP || k == DestinationPort }

// Names returns the names of all matchers, in the order of their Kinds.
func Names() []string {
	names := make([]string, 0, len(matchers)-1)
	for _, m := range matchers[Host:] {
		names = append(names, m.name)
	}
	return names
}

func kindOf(name string) Kind {
	i := slices.IndexFunc(matchers[:], func(m matcher) bool { return m.name == name })
	return Kind(max(i, int(None)))
}

// old maps what other proxies, and Traefik before its third version, call a matcher to what is written here.
var old = map[string]string{
	"HostHeader":       "write Host",
	"Hosts":            "write Host; it takes several names",
	"Headers":          "write Header(`Name`, `value`)",
	"HeadersRegexp":    "write HeaderRegexp(`Name`, `expression`)",
	"HeaderRegex":      "write HeaderRegexp",
	"Methods":          "write Method; it takes several methods",
	"Queries":          "write Query(`key`, `value`)",
	"HostSNI":          "write SNI; for HostSNI(`*`) leave the rule out: a route without one gets everything",
	"HostSNIRegexp":    "write SNIRegexp",
	"IPWhitelist":      "write ClientIP",
	"IPWhiteList":      "write ClientIP",
	"IPAllowList":      "write ClientIP",
	"SourceRange":      "write ClientIP",
	"RemoteAddr":       "write ClientIP",
	"Port":             "write DestinationPort, for the port that the client has connected to",
	"DestPort":         "write DestinationPort",
	"DstPort":          "write DestinationPort",
	"LocalPort":        "write DestinationPort",
	"ServerPort":       "write DestinationPort",
	"PathStrip":        "write Path, and take the path off with a middleware",
	"PathStripRegex":   "write PathRegexp, and take the path off with a middleware",
	"PathPrefixStrip":  "write PathPrefix, and take the prefix off with a middleware",
	"PathPrefixRegexp": "write PathRegexp(`^/prefix`)",
	"AddPrefix":        "a rule only picks requests; to change the path is for a middleware",
	"ReplacePath":      "a rule only picks requests; to change the path is for a middleware",
}

// unknownHint is what somebody probably meant by an unknown matcher.
func unknownHint(name string) string {
	if hint, ok := old[name]; ok {
		return hint
	}
	switch strings.ToLower(name) {
	case "and":
		return "write && for and"
	case "or":
		return "write || for or"
	case "not":
		return "write ! for not"
	}
	if near := suggest.Nearest(name, Names()); near != "" {
		return "write " + near
	}
	return "the matchers are " + strings.Join(Names(), ", ")
}
