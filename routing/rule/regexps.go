package rule

import (
	"strings"

	"github.com/uringproxy/uringproxy/routing/regset"
)

// regexps decides expressions where that is possible before there is a request.
type regexps struct {
	sets     map[string]*regset.Set // nil for one that cannot be compiled
	prefixes map[string]string
	left     int // decisions that may still be made
}

func newRegexps() regexps {
	return regexps{sets: map[string]*regset.Set{}, prefixes: map[string]string{}, left: maxDecisions}
}

// maxDecisions bounds the time spent on expressions. What is not decided is tested when a request comes.
const maxDecisions = 1 << 20

// compileCost is how many decisions the compilation of an expression stands for.
const compileCost = 1 << 11

// decidable reports whether decide can say anything of a, whatever the expression.
func decidable(a atom) bool {
	star, _ := cutWildcard(a.text)
	return a.kind != None && !a.any && (a.kind != Host || star == "")
}

// decide says whether everything within a matches the expression, or nothing does; known is false when that depends.
func (r *regexps) decide(expression string, a atom) (matches, known bool) {
	if r.left--; r.spent() || !decidable(a) {
		return false, false
	}
	switch a.kind {
	case Host, Path, Header, Query, ClientCert:
		return r.match(expression, a.text)
	case PathPrefix, PathPrefixRaw:
		return false, r.apart(expression, a)
	}
	return false, false
}

// spent reports whether there will be no more decisions.
func (r *regexps) spent() bool { return r.left < 0 }

func (r *regexps) match(expression, text string) (matches, known bool) {
	set, ok := r.sets[expression]
	if !ok {
		r.left -= compileCost
		if s, err := regset.Compile([]string{expression}); err == nil {
			set = s
		}
		r.sets[expression] = set
	}
	if set == nil {
		return false, false
	}
	return set.Match([]byte(text)) != 0, true
}

// apart reports whether no path within a matches the expression, judging by what all its matches begin with.
func (r *regexps) apart(expression string, a atom) bool {
	begin := r.prefix(expression)
	n := min(len(begin), len(a.text))
	if begin[:n] != a.text[:n] {
		return true
	}
	return a.kind == PathPrefix && len(begin) > n && begin[n] != '/'
}

// within reports whether every match of the expression lies within a.
func (r *regexps) within(expression string, a atom) bool {
	r.left--
	begin := r.prefix(expression)
	if !strings.HasPrefix(begin, a.text) {
		return false
	}
	switch a.kind {
	case PathPrefixRaw:
		return true
	case PathPrefix:
		return len(begin) > len(a.text) && begin[len(a.text)] == '/'
	}
	return false
}

func (r *regexps) prefix(expression string) string {
	begin, ok := r.prefixes[expression]
	if !ok {
		begin = regset.Prefix(expression)
		r.prefixes[expression] = begin
	}
	return begin
}
