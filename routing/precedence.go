package routing

import (
	"cmp"
	"strings"

	"github.com/uringproxy/uringproxy/routing/rule"
)

// alternative is one conjunction of a route's rule, at its place in a table. What the place stands for needs no test.
type alternative struct {
	spec   uint64 // specificity
	name   string // of the route
	tests  []test
	prio   int32
	target int32
	nth    int32 // of the route's alternatives
	at     end
}

func (a *alternative) is(b *alternative) bool { return a.nth == b.nth && a.name == b.name }

// end says where a path must end for an alternative to fit, when it has led to the alternative's node.
type end uint8

const (
	endHere    end = 1 << iota // nothing follows
	endSegment                 // nothing or a slash follows
	endAny                     // whatever follows

	endNowhere end = 0 // of an alternative that has been taken away
)

// ends are those that fit when rest follows.
func ends(rest []byte) end {
	switch {
	case len(rest) == 0:
		return endHere | endSegment | endAny
	case rest[0] == '/':
		return endSegment | endAny
	}
	return endAny
}

// before reports whether a goes before b: by priority, then specificity, then name. Which of a route's own alternatives
// goes first makes no difference to where a request goes.
func (a *alternative) before(b *alternative) bool { return a.compare(b) < 0 }

func (a *alternative) compare(b *alternative) int {
	switch {
	case a.prio != b.prio:
		return int(b.prio) - int(a.prio)
	case a.spec > b.spec:
		return -1
	case a.spec < b.spec:
		return 1
	}
	return cmp.Or(strings.Compare(a.name, b.name), int(a.nth)-int(b.nth))
}

// Ranks of hosts and paths, a greater one being more specific: 0 for no condition, 1 for regular expressions,
// above that what the pattern's size says, and at the top exact ones.
const (
	rankRegexp   = 1
	rankPatterns = 2
	rankExact    = 1<<15 - 1
)

// Specificity of an alternative: the host's rank decides, then the path's, then the number of further predicates.
const (
	hostShift  = 32
	pathShift  = 16
	countLimit = 1<<pathShift - 1
)

// Specificity is the order of alternatives of equal priority: the one with the greater value goes first. See package
// rule and docs/rules.md for what it is made of.
func Specificity(a *rule.Alternative) uint64 {
	return uint64(hostRank(&a.Host))<<hostShift | uint64(pathRank(&a.Path))<<pathShift |
		uint64(min(len(a.Tests), countLimit))
}

func hostRank(p *rule.Predicate) int {
	switch p.Kind {
	case rule.None:
		return 0
	case rule.HostRegexp:
		return rankRegexp
	}
	name := p.Values[0]
	labels := strings.Count(name, ".")
	switch {
	case strings.HasPrefix(name, deepMark):
		return rankPatterns + 2*labels
	case strings.HasPrefix(name, starMark):
		return rankPatterns + 2*labels + 1
	}
	return rankExact
}

func pathRank(p *rule.Predicate) int {
	switch p.Kind {
	case rule.None:
		return 0
	case rule.PathRegexp:
		return rankRegexp
	case rule.PathPrefix:
		return rankPatterns + 2*len(p.Values[0]) + 1
	case rule.PathPrefixRaw:
		return rankPatterns + 2*len(p.Values[0])
	}
	return rankExact
}

// How wildcards of host patterns begin.
const (
	starMark = "*."
	deepMark = "**."
)
