package routing

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/uringproxy/uringproxy/routing/rule"
)

// The oracle: sort all alternatives by precedence, evaluate each. It shares no code with the tables but rule.Expand,
// and that is checked against the rule itself as it was written.

type oracle struct {
	routes []Route
	all    []candidate // by precedence
}

type candidate struct {
	route Route
	rule.Alternative
}

func newOracle(routes []Route) *oracle {
	o := &oracle{routes: routes}
	for _, route := range routes {
		x, err := route.Rule.Expand()
		if err != nil {
			panic(err)
		}
		for _, a := range x.Alternatives {
			o.all = append(o.all, candidate{route, a})
		}
	}
	slices.SortFunc(o.all, func(a, b candidate) int {
		return cmp.Or(
			-cmp.Compare(a.route.Priority, b.route.Priority),
			-slices.Compare(hostOrder(a.Host), hostOrder(b.Host)),
			-slices.Compare(pathOrder(a.Path), pathOrder(b.Path)),
			-cmp.Compare(len(a.Tests), len(b.Tests)),
			strings.Compare(a.route.Name, b.route.Name))
	})
	return o
}

func (o *oracle) match(r *Request) int {
	for _, c := range o.all {
		if meets(&c.Alternative, r) {
			return c.route.Target
		}
	}
	return -1
}

// agree reports whether a rule as it was written and its alternatives say the same of a request, for each route.
func (o *oracle) agree(r *Request) bool {
	fitting := map[string]bool{}
	for _, c := range o.all {
		fitting[c.route.Name] = fitting[c.route.Name] || meets(&c.Alternative, r)
	}
	return !slices.ContainsFunc(o.routes, func(route Route) bool {
		return (route.Rule == nil || evaluate(route.Rule, r)) != fitting[route.Name]
	})
}

// hostOrder and pathOrder say how specific a condition is: its class, and its size within that.
func hostOrder(p rule.Predicate) []int {
	switch {
	case p.Kind == rule.None:
		return []int{0}
	case p.Kind == rule.HostRegexp:
		return []int{1}
	case p.Values[0][0] != '*':
		return []int{3}
	case strings.HasPrefix(p.Values[0], "**"):
		return []int{2, strings.Count(p.Values[0], "."), 0}
	}
	return []int{2, strings.Count(p.Values[0], "."), 1}
}

func pathOrder(p rule.Predicate) []int {
	switch p.Kind {
	case rule.PathRegexp:
		return []int{1}
	case rule.PathPrefix:
		return []int{2, len(p.Values[0]), 1}
	case rule.PathPrefixRaw:
		return []int{2, len(p.Values[0]), 0}
	case rule.Path:
		return []int{3}
	}
	return []int{0}
}

func meets(a *rule.Alternative, r *Request) bool {
	for _, p := range append([]rule.Predicate{a.Host, a.Path}, a.Tests...) {
		if p.Kind != rule.None && holds(&p, r) == p.Not {
			return false
		}
	}
	return true
}

func evaluate(e *rule.Expr, r *Request) bool {
	one := func(a *rule.Expr) bool { return evaluate(a, r) }
	switch e.Op {
	case rule.OpAnd:
		return !slices.ContainsFunc(e.Args, func(a *rule.Expr) bool { return !one(a) })
	case rule.OpOr:
		return slices.ContainsFunc(e.Args, one)
	case rule.OpNot:
		return !one(e.Args[0])
	}
	return e.Pred.Kind == rule.None || holds(&e.Pred, r)
}

func holds(p *rule.Predicate, r *Request) bool {
	is := func(s string) bool { return slices.Contains(p.Values, s) }
	matches := func(s string) bool {
		return slices.ContainsFunc(p.Values, func(v string) bool { return compiled(v).MatchString(s) })
	}
	switch p.Kind {
	case rule.Host:
		return nameIs(plainHost(r.Host), p.Values)
	case rule.HostRegexp:
		return matches(plainHost(r.Host))
	case rule.Path:
		return is(string(r.Path))
	case rule.PathPrefix, rule.PathPrefixRaw:
		return slices.ContainsFunc(p.Values, func(v string) bool {
			rest, ok := strings.CutPrefix(string(r.Path), v)
			return ok && (v == "" || p.Kind == rule.PathPrefixRaw || rest == "" || rest[0] == '/')
		})
	case rule.PathRegexp:
		return matches(string(r.Path))
	case rule.Method:
		return is(string(r.Method))
	case rule.Header, rule.HeaderRegexp:
		return slices.ContainsFunc(r.Fields, func(f Field) bool {
			v := string(f.Value)
			return strings.EqualFold(string(f.Name), p.Name) &&
				(len(p.Values) == 0 || p.Kind == rule.Header && is(v) || p.Kind == rule.HeaderRegexp && matches(v))
		})
	case rule.Query, rule.QueryRegexp:
		q, _ := url.ParseQuery(string(r.Query))
		return q.Has(p.Name) && (len(p.Values) == 0 || slices.ContainsFunc(q[p.Name], func(v string) bool {
			return p.Kind == rule.Query && is(v) || p.Kind == rule.QueryRegexp && matches(v)
		}))
	case rule.ClientIP:
		for _, prefix := range p.Prefixes {
			if prefix.Contains(r.Client) {
				return true
			}
		}
		return false
	case rule.DestinationPort:
		for i := 0; i < len(p.Numbers); i += 2 {
			if p.Numbers[i] <= r.Port && r.Port <= p.Numbers[i+1] {
				return true
			}
		}
		return false
	}
	if r.TLS == nil {
		return false
	}
	switch p.Kind {
	case rule.SNIRegexp:
		return matches(string(r.TLS.SNI))
	case rule.ClientCert, rule.ClientCertRegexp:
		return slices.ContainsFunc(r.ClientCert, func(b []byte) bool {
			return p.Kind == rule.ClientCert && is(string(b)) || p.Kind == rule.ClientCertRegexp && matches(string(b))
		})
	case rule.CipherSuiteOnly:
		real := slices.DeleteFunc(slices.Clone(r.TLS.Suites), func(n uint16) bool {
			return n == 0xff || n == 0x5600 || n&0xff == n>>8 && n&15 == 10
		})
		among := func(n uint16) bool { return slices.Contains(p.Numbers, n) }
		return len(real) > 0 && len(slices.DeleteFunc(real, among)) == 0
	case rule.SNI:
		return nameIs(string(r.TLS.SNI), p.Values)
	case rule.ALPN:
		return slices.ContainsFunc(r.TLS.ALPN, func(b []byte) bool { return is(string(b)) })
	case rule.TLSVersion:
		return slices.Contains(p.Numbers, r.TLS.Version)
	case rule.CipherSuite:
		return slices.ContainsFunc(r.TLS.Suites, func(n uint16) bool { return slices.Contains(p.Numbers, n) })
	}
	return is(string(r.TLS.JA4))
}

var expressions sync.Map // fuzzing runs in parallel

func compiled(text string) *regexp.Regexp {
	re, ok := expressions.Load(text)
	if !ok {
		re, _ = expressions.LoadOrStore(text, regexp.MustCompile(text))
	}
	return re.(*regexp.Regexp)
}

func plainHost(b []byte) string {
	host, _, _ := strings.Cut(string(b), ":")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func nameIs(name string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		stars, suffix, wild := strings.Cut(p, ".")
		if !wild || stars[0] != '*' {
			return p == name
		}
		label, ok := strings.CutSuffix(name, "."+suffix)
		return ok && label != "" && (stars == "**" || !strings.Contains(label, "."))
	})
}
