package inspect

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"github.com/uringproxy/uringproxy/config"
	"github.com/uringproxy/uringproxy/routing"
	"github.com/uringproxy/uringproxy/routing/regset"
	"github.com/uringproxy/uringproxy/routing/rule"
	"github.com/uringproxy/uringproxy/routing/urlpath"
)

// plainKeys are the keys of routes that stand for matchers.
var plainKeys = map[rule.Kind]string{
	rule.Host: "host", rule.HostRegexp: "host_regexp", rule.Path: "path", rule.PathPrefix: "path_prefix",
	rule.PathPrefixRaw: "path_prefix_raw", rule.PathRegexp: "path_regexp", rule.Method: "methods",
	rule.Header: "headers", rule.Query: "query", rule.ClientIP: "client_ip", rule.SNI: "sni", rule.ALPN: "alpn",
	rule.TLSVersion: "tls_version", rule.CipherSuite: "cipher_suite", rule.JA4: "ja4",
	rule.SNIRegexp: "sni_regexp", rule.CipherSuiteOnly: "cipher_suite_only",
	rule.DestinationPort: "destination_port", rule.ClientCert: "client_cert",
	rule.ClientCertRegexp: "client_cert_regexp",
}

// warnRoute is warn for a route, at the key that has a condition of some kind; at the route for None.
func (k *checker) warnRoute(
	of family, code string, r *config.Route, kind rule.Kind, message, hint string,
) *note {
	var keys []string
	if kind != rule.None {
		if key := plainKeys[kind]; key != "" {
			keys = append(keys, key)
		}
		keys = append(keys, "rule")
	}
	return k.warn(code, config.Path(of.table, r.Name), hint, message, keys...)
}

// route looks at one route alone, and adds it to the crowd.
func (k *checker) route(x *crowd, r *config.Route) {
	e, err := r.Rule.Expand()
	if err == nil && x.family != ofRequests { // in the table, the server name stands in the place of the host
		impossible := e.Impossible
		e, err = r.Rule.OverHost().Expand()
		e.Impossible = impossible
	}
	if err != nil {
		k.refuse(x, r, err)
		return
	}
	members := x.add(r, e.Alternatives)
	var reasons []string
	alive, kind := 0, rule.None
	onTLS := true // as far as alternatives are dead
	for _, m := range members {
		why := k.impossible(x, m)
		if why == nil {
			alive++
			x.file(m)
			continue
		}
		m.dead, kind = true, why.kind
		onTLS = onTLS && why.plain
		if !slices.Contains(reasons, why.says) {
			reasons = append(reasons, why.says)
		}
	}
	reasons = append(reasons, e.Impossible...)
	code, message := PartNever, "a rule of which a part can never match: "
	if alive == 0 {
		code, message = Never, x.one+" that can never match: "
	}
	if len(reasons) > 0 {
		hint := "mend the condition, or take the part out"
		if len(members) > alive && onTLS && len(e.Impossible) == 0 {
			code, hint = TLSOnPlain, "take the condition out, or give one of its listeners a tls table"
		}
		k.warnRoute(x.family, code, r, kind, message+shortList(reasons, ", and "), hint)
	}
	k.matchers(x.family, r)
}

// shortList joins the first of a list of texts.
func shortList(texts []string, comma string) string {
	const most = 3
	if len(texts) > most {
		texts = append(slices.Clone(texts[:most]), fmt.Sprintf("%d more like these", len(texts)-most))
	}
	return strings.Join(texts, comma)
}

// reason is why nothing fits an alternative, and the condition that it is about.
type reason struct {
	says  string
	kind  rule.Kind
	plain bool // it is about TLS, and there is none
}

// impossible finds out whether an alternative that is no contradiction can never match as the configuration is.
func (k *checker) impossible(x *crowd, m *member) *reason {
	if p := &m.Path; p.Kind != rule.None && p.Kind != rule.PathRegexp {
		if why := refusal(k.config.Paths.Policy, p.Values[0]); why != "" {
			return &reason{says: p.String() + " has " + why, kind: p.Kind}
		}
	}
	for i := range m.Tests {
		t := &m.Tests[i]
		switch {
		case t.Kind == rule.DestinationPort && !k.some(m.route, reachedAt(t)):
			return &reason{says: t.String() + " is for other ports than those of its listeners", kind: t.Kind}
		case t.Not:
		case t.Kind == rule.ClientIP && !k.some(m.route, hasAddresses):
			return &reason{
				says: t.String() + " asks for an address, which clients of unix sockets do not have", kind: t.Kind,
			}
		case x.family != ofRequests: // every listener has connections with a ClientHello, or may have
		case t.Kind.TLS() && !k.some(m.route, speaksTLS):
			return &reason{
				t.String() + " looks at TLS, which none of its listeners speaks", t.Kind, !ofClientCert(t.Kind),
			}
		case ofClientCert(t.Kind) && !k.some(m.route, verifiesClients):
			return &reason{
				says: t.String() + " asks for a certificate, and none of its listeners verifies any", kind: t.Kind,
			}
		case t.Kind == rule.TLSVersion && !k.some(m.route, agreesTo(t.Numbers)):
			return &reason{says: t.String() + " is for clients with which none of its listeners agrees", kind: t.Kind}
		}
	}
	return nil
}

// reachedAt is the property of a listener that clients may have connected to it by a port that fits a condition. What
// they have connected to is its own, unless a PROXY header names another.
func reachedAt(t *rule.Predicate) func(*config.Listener) bool {
	return func(l *config.Listener) bool {
		return len(l.Proxied) > 0 || rule.HasPort(t.Numbers, l.Addr.Port()) != t.Not
	}
}

// hasAddresses is the property of a listener that its clients have addresses.
func hasAddresses(l *config.Listener) bool { return l.Unix == "" }

// refusal says why no request that is let through has such a path.
func refusal(policy urlpath.Policy, path string) string {
	switch {
	case !policy.KeepDoubles && strings.Contains(path, "//"):
		return "slashes in a row, which become one in requests (paths.merge_slashes)"
	case !policy.KeepSlash && (strings.Contains(path, "%2F") || strings.Contains(path, "%5C")):
		return "an encoded slash, with which requests are refused (paths.encoded_slash)"
	case !policy.KeepNUL && strings.Contains(path, "%00"):
		return "an encoded NUL, with which requests are refused (paths.encoded_nul)"
	}
	return ""
}

// matchers looks at each condition of a rule by itself.
func (k *checker) matchers(of family, r *config.Route) {
	said := map[string]bool{}
	eachPredicate(r.Rule, false, func(p *rule.Predicate, not bool) {
		switch {
		case of == ofRequests && p.Kind.TLS() && not && !said[p.String()] && !k.some(r, speaksTLS):
			said[p.String()] = true
			k.warnRoute(of, TLSOnPlain, r, p.Kind, "the condition !"+p.String()+
				", which always holds: none of its listeners speaks TLS", "take it out")
		case isRegexp(p.Kind):
			for _, text := range p.Values {
				if !said[text] {
					said[text] = true
					k.expressions = append(k.expressions, expression{of, r, p.Kind, text})
				}
			}
		}
	})
}

// expression is one that stands in a rule.
type expression struct {
	of    family
	route *config.Route
	kind  rule.Kind
	text  string
}

// regexps looks for expressions that do not fit an automaton, even alone.
func (k *checker) regexps() {
	loose := looseOnes(k.expressions)
	for _, e := range k.expressions {
		if loose[e.text] {
			k.warnRoute(e.of, LooseRegexp, e.route, e.kind, "the expression "+quote(e.text)+", which is outside the "+
				"automaton: it works, but each "+e.of.thing+" that it is asked about costs a slow run of it",
				"use lower counts, or + and * for counts without an upper bound")
		}
	}
}

// looseOnes compiles expressions together first, which is cheaper, and alone those that are loose then.
func looseOnes(all []expression) map[string]bool {
	loose := map[string]bool{}
	var batch []string
	for i, e := range all {
		if _, known := loose[e.text]; !known {
			loose[e.text] = false
			batch = append(batch, e.text)
		}
		if len(batch) < regset.Max && i < len(all)-1 {
			continue
		}
		if s, err := regset.Compile(batch); err == nil {
			for set := s.Loose(); set != 0; set &= set - 1 {
				text := batch[bits.TrailingZeros64(set)]
				alone, err := regset.Compile([]string{text})
				loose[text] = err == nil && alone.Loose() != 0
			}
		}
		batch = batch[:0]
	}
	return loose
}

// eachPredicate calls do for all matchers of a rule; not says whether an odd number of ! stands before one.
func eachPredicate(e *rule.Expr, not bool, do func(p *rule.Predicate, not bool)) {
	if e == nil {
		return
	}
	if e.Op == rule.OpMatch {
		do(&e.Pred, not)
		return
	}
	for _, arg := range e.Args {
		eachPredicate(arg, not != (e.Op == rule.OpNot), do)
	}
}

// quote quotes a text, or as much of it as is recognised.
func quote(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return "`" + text + "`"
}

// shadows looks for routes that others keep all requests from.
func (k *checker) shadows(x *crowd) {
	x.sort()
	unsure := 0
	for rest := x.members; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].route == rest[0].route {
			n++
		}
		if !k.shadow(x, rest[:n]) {
			unsure++
		}
		rest = rest[n:]
	}
	if unsure > 0 {
		k.warn(ComparedInParts, x.table, "", fmt.Sprintf("%d of %d %s, which have so many in common with others "+
			"that they were compared with some of these only", unsure, len(x.routes), x.many))
	}
}

// shadow looks for what covers the alternatives of one route. It returns false when it could not look at all there is.
func (k *checker) shadow(x *crowd, members []*member) (sure bool) {
	r := members[0].route
	var covered []*member
	var by [][]*member
	alive := 0
	sure = true
	for _, m := range members {
		if m.dead {
			continue
		}
		alive++
		others, partly := x.cover(m)
		if len(others) > 0 {
			covered, by = append(covered, m), append(by, others)
		} else if partly {
			sure = false
		}
	}
	if len(covered) == 0 {
		return sure
	}
	names := shadowers(by)
	code, message, late := PartShadowed, "a rule of which a part never decides: ", func() string {
		return k.reasons(x, covered, by)
	}
	if len(covered) == alive {
		code, message = Shadowed, x.one+" that no "+x.thing+" reaches: "
	}
	if len(covered) == alive && isDuplicate(covered, by, names) {
		code, late = Duplicate, func() string {
			return fmt.Sprintf("%s has the same conditions and goes before it (%s)", k.where(x, names[0]),
				x.edge(by[0][0], covered[0]))
		}
	}
	n := k.warnRoute(x.family, code, r, rule.None, message,
		"take one of them out, or give it other conditions or another priority")
	n.by, n.late = names, late
	return sure
}

// shadowers are the names of routes, each once, in the order in which they came up.
func shadowers(by [][]*member) (names []string) {
	seen := map[string]bool{}
	for _, list := range by {
		for _, o := range list {
			if name := o.route.Name; !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// isDuplicate reports whether one route covers all of another, alternative by alternative, by having the same.
func isDuplicate(covered []*member, by [][]*member, names []string) bool {
	if len(names) > 1 || by[0][0].of != covered[0].of {
		return false
	}
	for i, m := range covered {
		if m.Alternative.String() != by[i][0].Alternative.String() {
			return false
		}
	}
	return true
}

// where names a route and its place.
func (k *checker) where(x *crowd, name string) string {
	f := k.config.Fault(config.Path(x.table, name), "", "", "")
	return fmt.Sprintf("%s %q (%s:%d)", strings.TrimPrefix(x.one, "a "), name, f.File, f.Line)
}

// reasons says what covers what, and why it goes first.
func (k *checker) reasons(x *crowd, covered []*member, by [][]*member) string {
	var all []string
	for i, m := range covered {
		for _, o := range by[i] {
			what := "all that fits it"
			if m.of > 1 {
				what = x.text(m)
			}
			if !covers(o.groups, m.groups) {
				what += " on " + strings.Join(o.route.Listeners, ", ")
			}
			says := fmt.Sprintf("%s takes %s (%s)", k.where(x, o.route.Name), what, x.edge(o, m))
			if !slices.Contains(all, says) {
				all = append(all, says)
			}
		}
	}
	return shortList(all, ", ")
}

// edge says why o goes before m.
func (x *crowd) edge(o, m *member) string {
	a, b := o.judgement(), m.judgement()
	_, by := a.Before(&b)
	return x.decision(&a, &b, by)
}

// judgement is m as routing compares it.
func (m *member) judgement() routing.Judgement {
	return routing.Judgement{
		Route: routing.Route{Name: m.route.Name, Priority: m.route.Priority}, Alternative: m.Alternative,
	}
}
