package inspect

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
	"strings"

	"github.com/uringproxy/uringproxy/routing/regset"
	"github.com/uringproxy/uringproxy/routing/rule"
)

// judge says whether one condition follows from others. When in doubt it says no. Its work is bounded: when that is
// spent, everything is in doubt.
type judge struct {
	sets map[string]*regset.Set // by the expression
	left int                    // comparisons of values
}

// maxWork is some seconds of comparing, which only configurations come near that were made to.
const maxWork = 1 << 28

// compileWork is how many comparisons the compilation of an expression stands for.
const compileWork = 1 << 12

func newJudge() *judge { return &judge{sets: map[string]*regset.Set{}, left: maxWork} }

func (j *judge) spent() bool { return j.left < 0 }

// followsAll reports whether what fits all of given fits all of wanted.
func (j *judge) followsAll(wanted, given []rule.Predicate) bool {
	for i := range wanted {
		if !j.follows(&wanted[i], given) {
			return false
		}
	}
	return true
}

func (j *judge) follows(want *rule.Predicate, given []rule.Predicate) bool {
	for i := range given {
		g := &given[i]
		if subjectOf(g.Kind) == subjectOf(want.Kind) && g.Name == want.Name && j.implies(g, want) {
			return true
		}
	}
	return false
}

// subjectOf is the kind that stands for what a kind looks at.
func subjectOf(k rule.Kind) rule.Kind {
	switch k {
	case rule.HostRegexp:
		return rule.Host
	case rule.PathPrefix, rule.PathPrefixRaw, rule.PathRegexp:
		return rule.Path
	case rule.HeaderRegexp:
		return rule.Header
	case rule.QueryRegexp:
		return rule.Query
	case rule.SNIRegexp:
		return rule.SNI
	case rule.ClientCertRegexp:
		return rule.ClientCert
	}
	return k
}

// isRegexp reports whether a kind's values are expressions.
func isRegexp(k rule.Kind) bool {
	switch k {
	case rule.HostRegexp, rule.PathRegexp, rule.HeaderRegexp, rule.QueryRegexp, rule.SNIRegexp, rule.ClientCertRegexp:
		return true
	}
	return false
}

// isSingle reports whether a request has one value of a subject at most, so that having one excludes others. All of a
// client's suites together are such a value to CipherSuiteOnly: what lies within one list lies in none apart from it.
func isSingle(k rule.Kind) bool {
	switch subjectOf(k) {
	case rule.Header, rule.Query, rule.ALPN, rule.CipherSuite, rule.ClientCert:
		return false
	}
	return true
}

// implies reports whether w follows from g, which looks at the same.
func (j *judge) implies(g, w *rule.Predicate) bool {
	switch {
	case !w.Not && !g.Not:
		return j.lies(g, w)
	case w.Not && g.Not:
		return j.lies(w, g)
	case w.Not:
		return isSingle(w.Kind) && j.apart(g, w)
	}
	return false
}

// lies reports whether all that fits p fits q, with no regard to Not.
func (j *judge) lies(p, q *rule.Predicate) bool {
	switch {
	case isAny(q):
		return true
	case isAny(p):
		return false
	case isRegexp(p.Kind):
		return p.Kind == q.Kind && j.each(p, func(v value) bool { return hasText(q.Values, v.text) })
	case isRegexp(q.Kind):
		return j.each(p, func(v value) bool {
			is, known := j.matches(q, v.text)
			return v.exact() && is && known
		})
	}
	return j.each(p, func(v value) bool { return j.within(v, q) })
}

// apart reports whether nothing fits both p and q, which look at something that a request has one value of.
func (j *judge) apart(p, q *rule.Predicate) bool {
	switch {
	case isRegexp(p.Kind):
		return false
	case isRegexp(q.Kind):
		return j.each(p, func(v value) bool {
			is, known := j.matches(q, v.text)
			return v.exact() && !is && known
		})
	}
	return j.each(p, func(v value) bool { return !j.within(v, q) }) &&
		j.each(q, func(v value) bool { return !j.within(v, p) })
}

// isAny reports whether p asks for presence only.
func isAny(p *rule.Predicate) bool {
	return (p.Kind == rule.Header || p.Kind == rule.Query) && len(p.Values) == 0
}

// value is one value of a predicate.
type value struct {
	kind   rule.Kind
	text   string
	prefix netip.Prefix
	number uint16
	bits   int // DestinationPort: number is the first of 2^bits ports
}

// exact reports whether v stands for one text and nothing else.
func (v *value) exact() bool {
	switch v.kind {
	case rule.Host, rule.SNI:
		return !strings.HasPrefix(v.text, "*")
	case rule.PathPrefix, rule.PathPrefixRaw:
		return false
	}
	return !isRegexp(v.kind)
}

// each reports whether all values of p fulfil a condition.
func (j *judge) each(p *rule.Predicate, holds func(value) bool) bool {
	for _, text := range p.Values {
		if j.left--; j.left < 0 || !holds(value{kind: p.Kind, text: text}) {
			return false
		}
	}
	for _, prefix := range p.Prefixes {
		if j.left--; j.left < 0 || !holds(value{kind: p.Kind, prefix: prefix}) {
			return false
		}
	}
	for v := range numbersOf(p) {
		if j.left--; j.left < 0 || !holds(v) {
			return false
		}
	}
	return true
}

// numbersOf are p's values that are numbers. Ports come in blocks, which lie within one another or apart, as other
// values do.
func numbersOf(p *rule.Predicate) iter.Seq[value] {
	return func(yield func(value) bool) {
		if p.Kind == rule.DestinationPort {
			for first, bits := range rule.PortBlocks(p.Numbers) {
				if !yield(value{kind: p.Kind, number: first, bits: bits}) {
					return
				}
			}
			return
		}
		for _, number := range p.Numbers {
			if !yield(value{kind: p.Kind, number: number}) {
				return
			}
		}
	}
}

// within reports whether v lies within one of q's values.
func (j *judge) within(v value, q *rule.Predicate) bool {
	switch v.kind {
	case rule.Host, rule.SNI:
		found := false
		aroundHost(v.text, func(pattern string) bool {
			found = hasText(q.Values, pattern)
			return !found
		})
		return found
	case rule.Path, rule.PathPrefix, rule.PathPrefixRaw:
		j.left -= len(q.Values)
		return slices.ContainsFunc(q.Values, func(text string) bool { return pathWithin(v.kind, v.text, q.Kind, text) })
	case rule.ClientIP:
		for bits := v.prefix.Bits(); bits >= 0; bits-- {
			wider, err := v.prefix.Addr().Prefix(bits)
			if _, found := slices.BinarySearchFunc(q.Prefixes, wider, comparePrefixes); found && err == nil {
				return true
			}
		}
		return false
	case rule.DestinationPort:
		last := v.number + (1<<v.bits - 1)
		for i := 0; i < len(q.Numbers); i += 2 {
			if q.Numbers[i] <= v.number && last <= q.Numbers[i+1] {
				return true
			}
		}
		return false
	case rule.TLSVersion, rule.CipherSuite, rule.CipherSuiteOnly:
		_, found := slices.BinarySearch(q.Numbers, v.number)
		return found
	}
	return v.kind == q.Kind && hasText(q.Values, v.text)
}

// comparePrefixes is the order in which a predicate has its prefixes.
func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

func hasText(sorted []string, text string) bool {
	_, found := slices.BinarySearch(sorted, text)
	return found
}

// aroundHost calls yield with a host pattern and all patterns that it lies within, until yield returns false.
func aroundHost(pattern string, yield func(string) bool) {
	if !yield(pattern) {
		return
	}
	name, deep := strings.CutPrefix(pattern, "**.")
	name, star := strings.CutPrefix(name, "*.")
	if star && !yield("**."+name) {
		return
	}
	_, parent, more := strings.Cut(name, ".")
	if !star && !deep && more && !yield("*."+parent) {
		return
	}
	for more {
		if !yield("**." + parent) {
			return
		}
		_, parent, more = strings.Cut(parent, ".")
	}
}

// pathWithin reports whether the paths that one condition stands for are among those of another.
func pathWithin(kind rule.Kind, text string, in rule.Kind, head string) bool {
	rest, ok := strings.CutPrefix(text, head)
	switch {
	case !ok:
		return false
	case in == rule.PathPrefix:
		return head == "" || rest != "" && rest[0] == '/' || rest == "" && kind != rule.PathPrefixRaw
	case in == rule.PathPrefixRaw:
		return true
	}
	return rest == "" && kind == in
}

// matches reports whether text matches one of q's expressions, if that is known.
func (j *judge) matches(q *rule.Predicate, text string) (is, known bool) {
	for _, expression := range q.Values {
		set, ok := j.sets[expression]
		if !ok {
			j.left -= compileWork
			set, _ = regset.Compile([]string{expression}) // nil for one that is faulty, and decides nothing
			j.sets[expression] = set
		}
		if j.left--; set == nil || j.left < 0 {
			return false, false
		}
		if set.Match([]byte(text)) != 0 {
			return true, true
		}
	}
	return false, true
}
