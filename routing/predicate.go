package routing

import (
	"net/netip"
	"slices"

	"github.com/uringproxy/uringproxy/routing/rule"
)

// test is a predicate that is asked of a request, since no place in the table stands for it.
type test struct {
	*rule.Predicate
	set *anyOf // the expressions, of kinds that have them
}

// subject is a request as tests see it.
type subject struct {
	*Request
	name   []byte // the host in canonical form
	silent bool   // of a stream: there is no ClientHello, and so no name, not even an empty one
}

// helloSubject is a connection as tests of tcp routes see it: with the server name in the place of the host.
func helloSubject(r *Request) subject {
	if r.TLS == nil {
		return subject{Request: r, silent: true}
	}
	return subject{Request: r, name: r.TLS.SNI}
}

// fit reports whether all tests fit.
func (s *subject) fit(tests []test) bool {
	for i := range tests {
		if !s.fits(&tests[i]) {
			return false
		}
	}
	return true
}

func (s *subject) fits(t *test) bool { return s.holds(t) != t.Not }

// holds is fits without regard to Not.
func (s *subject) holds(t *test) bool {
	switch t.Kind {
	case rule.Host:
		return s.nameFits(s.name, t.Values)
	case rule.HostRegexp:
		return !s.silent && t.set.match(s.name)
	case rule.Path, rule.PathPrefix, rule.PathPrefixRaw:
		return pathFits(t.Predicate, s.Path)
	case rule.PathRegexp:
		return t.set.match(s.Path)
	case rule.Method:
		return has(t.Values, s.Method)
	case rule.Header, rule.HeaderRegexp:
		return s.fieldFits(t)
	case rule.Query, rule.QueryRegexp:
		return s.queryFits(t)
	case rule.ClientIP:
		return s.Client.IsValid() && within(t.Prefixes, s.Client)
	case rule.DestinationPort:
		return rule.HasPort(t.Numbers, s.Port)
	case rule.ClientCert, rule.ClientCertRegexp:
		return s.certFits(t)
	}
	return s.TLS != nil && s.helloFits(t)
}

func (s *subject) nameFits(name []byte, patterns []string) bool {
	for _, p := range patterns {
		if hostFits(p, name) {
			return true
		}
	}
	return false
}

func pathFits(p *rule.Predicate, path []byte) bool {
	at := endAny
	switch p.Kind {
	case rule.Path:
		at = endHere
	case rule.PathPrefix:
		at = endSegment
	}
	for _, text := range p.Values {
		if n := len(text); len(path) >= n && string(path[:n]) == text && ends(path[n:])&at != 0 {
			return true
		}
	}
	return false
}

// has reports whether one of the sorted values is b.
func has(values []string, b []byte) bool {
	lo, hi := 0, len(values)
	for lo < hi {
		if mid := (lo + hi) / 2; values[mid] < string(b) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo < len(values) && values[lo] == string(b)
}

func (s *subject) fieldFits(t *test) bool {
	for i := range s.Fields {
		f := &s.Fields[i]
		if !equalFold(f.Name, t.Name) {
			continue
		}
		if t.set != nil {
			if t.set.match(f.Value) {
				return true
			}
		} else if len(t.Values) == 0 || has(t.Values, f.Value) {
			return true
		}
	}
	return false
}

func (s *subject) certFits(t *test) bool {
	for _, name := range s.ClientCert {
		if t.set != nil && t.set.match(name) || t.set == nil && has(t.Values, name) {
			return true
		}
	}
	return false
}

// queryBytes is how long a value of a query may be, decoded, without costing an allocation where it meets an
// expression.
const queryBytes = 2048

func (s *subject) queryFits(t *test) bool {
	for rest := s.Query; len(rest) > 0; {
		var key, value []byte
		key, value, rest = pair(rest)
		if !equalDecoded(key, t.Name) {
			continue
		}
		if t.set != nil {
			if t.set.match(decode(value, s.value[:])) {
				return true
			}
		} else if len(t.Values) == 0 || hasDecoded(t.Values, value) {
			return true
		}
	}
	return false
}

func hasDecoded(values []string, raw []byte) bool {
	for _, v := range values {
		if equalDecoded(raw, v) {
			return true
		}
	}
	return false
}

// few is the number of prefixes up to which a scan is cheaper than a search.
const few = 8

// within reports whether one of prefixes has a. They are sorted by address, and none of them contains another.
func within(prefixes []netip.Prefix, a netip.Addr) bool {
	if len(prefixes) <= few {
		for _, p := range prefixes {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	lo, hi := 0, len(prefixes)
	for lo < hi {
		if mid := (lo + hi) / 2; prefixes[mid].Addr().Compare(a) <= 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo > 0 && prefixes[lo-1].Contains(a)
}

func (s *subject) helloFits(t *test) bool {
	h := s.TLS
	switch t.Kind {
	case rule.SNI:
		return s.nameFits(h.SNI, t.Values)
	case rule.SNIRegexp:
		return t.set.match(h.SNI)
	case rule.ALPN:
		for _, p := range h.ALPN {
			if has(t.Values, p) {
				return true
			}
		}
	case rule.TLSVersion:
		return slices.Contains(t.Numbers, h.Version)
	case rule.CipherSuite:
		for _, n := range h.Suites {
			if _, ok := slices.BinarySearch(t.Numbers, n); ok {
				return true
			}
		}
	case rule.CipherSuiteOnly:
		return offersOnly(h.Suites, t.Numbers)
	case rule.JA4:
		return has(t.Values, h.JA4)
	}
	return false
}

// offersOnly reports whether there are suites in a client's offer, and all of them among some. What only signals
// something is no suite.
func offersOnly(suites, among []uint16) bool {
	found := false
	for _, n := range suites {
		if rule.IsSignal(n) {
			continue
		}
		if _, ok := slices.BinarySearch(among, n); !ok {
			return false
		}
		found = true
	}
	return found
}

// needs says what a test looks at.
func (t *test) needs() Needs {
	switch t.Kind {
	case rule.Header, rule.HeaderRegexp:
		return NeedFields
	case rule.Query, rule.QueryRegexp:
		return NeedQuery
	case rule.ClientIP:
		return NeedClient
	case rule.DestinationPort:
		return NeedPort
	case rule.SNI, rule.SNIRegexp, rule.ALPN, rule.TLSVersion, rule.CipherSuite, rule.CipherSuiteOnly:
		return NeedTLS
	case rule.JA4:
		return NeedTLS | NeedJA4
	case rule.ClientCert, rule.ClientCertRegexp:
		return NeedCert
	}
	return 0
}
