package rule

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// request is what the naive evaluation looks at, already in the form in which rules compare it.
type request struct {
	host, path, method string
	fields, query      [][2]string
	client             netip.Addr
	port               uint16
	tls                *hello
}

type hello struct {
	sni, ja4 string
	alpn     []string
	version  uint16
	suites   []uint16
	certs    []string // the names in the client's certificate
}

// fits evaluates an expression as it stands.
func (r *request) fits(e *Expr) bool {
	if e == nil {
		return true
	}
	fits := func(e *Expr) bool { return r.fits(e) }
	switch e.Op {
	case OpAnd:
		return !slices.ContainsFunc(e.Args, func(e *Expr) bool { return !fits(e) })
	case OpOr:
		return slices.ContainsFunc(e.Args, fits)
	case OpNot:
		return !fits(e.Args[0])
	}
	return r.satisfies(&e.Pred)
}

// fitsAlternative evaluates a conjunction.
func (r *request) fitsAlternative(a *Alternative) bool {
	for i := range a.Tests {
		if !r.satisfies(&a.Tests[i]) {
			return false
		}
	}
	return r.satisfies(&a.Host) && r.satisfies(&a.Path)
}

func (r *request) satisfies(p *Predicate) bool { return r.holds(p) != p.Not }

func (r *request) holds(p *Predicate) bool {
	one := func(f func(v string) bool) bool { return slices.ContainsFunc(p.Values, f) }
	switch p.Kind {
	case None:
		return true
	case Host:
		return one(func(v string) bool { return hostFits(v, r.host) })
	case HostRegexp:
		return one(func(v string) bool { return matches(v, r.host) })
	case Path:
		return one(func(v string) bool { return v == r.path })
	case PathPrefix:
		return one(func(v string) bool {
			return v == "" || r.path == v || strings.HasPrefix(r.path, v+"/")
		})
	case PathPrefixRaw:
		return one(func(v string) bool { return strings.HasPrefix(r.path, v) })
	case PathRegexp:
		return one(func(v string) bool { return matches(v, r.path) })
	case Method:
		return one(func(v string) bool { return v == r.method })
	case Header, HeaderRegexp:
		return p.onePair(r.fields)
	case Query, QueryRegexp:
		return p.onePair(r.query)
	case ClientIP:
		return slices.ContainsFunc(p.Prefixes, func(p netip.Prefix) bool { return p.Contains(r.client) })
	case DestinationPort:
		for i := 0; i < len(p.Numbers); i += 2 {
			if p.Numbers[i] <= r.port && r.port <= p.Numbers[i+1] {
				return true
			}
		}
		return false
	}
	return r.tls != nil && r.tls.holds(p)
}

func (p *Predicate) onePair(pairs [][2]string) bool {
	return slices.ContainsFunc(pairs, func(pair [2]string) bool {
		if pair[0] != p.Name {
			return false
		}
		if p.Kind.regexp() {
			return slices.ContainsFunc(p.Values, func(v string) bool { return matches(v, pair[1]) })
		}
		return len(p.Values) == 0 || slices.Contains(p.Values, pair[1])
	})
}

func (h *hello) holds(p *Predicate) bool {
	switch p.Kind {
	case SNI:
		return slices.ContainsFunc(p.Values, func(v string) bool { return hostFits(v, h.sni) })
	case SNIRegexp:
		return slices.ContainsFunc(p.Values, func(v string) bool { return matches(v, h.sni) })
	case ClientCert:
		return slices.ContainsFunc(p.Values, func(v string) bool { return slices.Contains(h.certs, v) })
	case ClientCertRegexp:
		return slices.ContainsFunc(p.Values, func(v string) bool {
			return slices.ContainsFunc(h.certs, func(name string) bool { return matches(v, name) })
		})
	case CipherSuiteOnly:
		within, outside := 0, 0
		for _, n := range h.suites {
			switch {
			case slices.Contains(p.Numbers, n):
				within++
			case n != 0x1a1a && n != 0x00ff && n != 0x5600:
				outside++
			}
		}
		return within > 0 && outside == 0
	case ALPN:
		return slices.ContainsFunc(p.Values, func(v string) bool { return slices.Contains(h.alpn, v) })
	case TLSVersion:
		return slices.Contains(p.Numbers, h.version)
	case CipherSuite:
		return slices.ContainsFunc(p.Numbers, func(n uint16) bool { return slices.Contains(h.suites, n) })
	case JA4:
		return slices.Contains(p.Values, h.ja4)
	}
	return false
}

func hostFits(pattern, host string) bool {
	if name, ok := strings.CutPrefix(pattern, "**."); ok {
		return strings.HasSuffix(host, "."+name) && len(host) > len(name)+1
	}
	if name, ok := strings.CutPrefix(pattern, "*."); ok {
		label, rest, found := strings.Cut(host, ".")
		return found && label != "" && rest == name
	}
	return pattern == host
}

// compiled are the expressions seen before.
var compiled sync.Map

func matches(expression, text string) bool {
	re, ok := compiled.Load(expression)
	if !ok {
		re = regexp.MustCompile(expression)
		compiled.Store(expression, re)
	}
	return re.(*regexp.Regexp).MatchString(text)
}
