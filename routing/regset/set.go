package regset

import (
	"fmt"
	"math/bits"
	"regexp"
	"regexp/syntax"
)

// Set is a compiled set of expressions.
type Set struct {
	automata []automaton
	loose    []loose
}

// loose is an expression that runs on Go's regexp.
type loose struct {
	bit uint64
	re  *regexp.Regexp
}

// Compile compiles patterns, at most Max. The error is an *Error.
func Compile(patterns []string) (*Set, error) { return compile(patterns, standard) }

func compile(patterns []string, lim limits) (*Set, error) {
	if len(patterns) > Max {
		return nil, &Error{Index: Max, Msg: fmt.Sprintf("%d expressions in a set", len(patterns)),
			Hint: fmt.Sprintf("a set holds at most %d", Max)}
	}
	p := &program{}
	for i, pattern := range patterns {
		re, fault := parse(pattern)
		if fault == nil {
			prog, err := syntax.Compile(re.Simplify())
			if err == nil {
				p.add(prog)
				continue
			}
			fault = &Error{Msg: err.Error(), Len: len(pattern)}
		}
		fault.Index = i
		return nil, fault
	}
	d := distribution{program: p, limits: lim, left: 16 * lim.work}
	d.distribute(^uint64(0) >> (Max - len(patterns)))
	return &Set{automata: d.automata, loose: looseOnes(patterns, d.loose)}, nil
}

// looseOnes compiles the patterns of a set of bits with Go's regexp.
func looseOnes(patterns []string, which uint64) []loose {
	var list []loose
	for m := which; m != 0; m &= m - 1 {
		i := bits.TrailingZeros64(m)
		list = append(list, loose{1 << i, regexp.MustCompile(patterns[i])})
	}
	return list
}

// Match returns the patterns that match b, as a set of bits: bit i stands for patterns[i]. It reads b once for each
// automaton, of which there is one unless the patterns are large; see Automata.
func (s *Set) Match(b []byte) uint64 {
	var found uint64
	for i := range s.automata {
		found |= s.automata[i].match(b)
	}
	for i := range s.loose {
		if s.loose[i].re.Match(b) {
			found |= s.loose[i].bit
		}
	}
	return found
}

// Loose returns the patterns that did not fit the automaton and run on Go's regexp, one after the other. Their time is
// still linear in the input's length, but a hundred times as long, and they may allocate.
func (s *Set) Loose() uint64 {
	var all uint64
	for i := range s.loose {
		all |= s.loose[i].bit
	}
	return all
}

// Automata returns the number of automata that the patterns are distributed over.
func (s *Set) Automata() int { return len(s.automata) }

// Bytes returns the memory of the automata; what Go's regexp takes for loose patterns is not included.
func (s *Set) Bytes() int {
	n := 0
	for i := range s.automata {
		n += s.automata[i].bytes()
	}
	return n
}

// distribution distributes patterns over automata.
type distribution struct {
	*program
	limits   limits
	left     int // work that attempts with several patterns may take
	automata []automaton
	loose    uint64
}

// distribute makes one automaton, if it can. Otherwise it tries each pattern alone, so that one that will not fit
// anywhere does not make the others fail again and again, and goes on with the rest.
func (d *distribution) distribute(patterns uint64) {
	if patterns == 0 || d.together(patterns) {
		return
	}
	alone := d.limits
	alone.work /= 8
	for m := patterns; m != 0; m &= m - 1 {
		one := m & -m
		if s, _ := newSubset(d.program, one, alone); s == nil {
			d.loose |= one
		}
	}
	rest := patterns &^ d.loose
	if rest == patterns || rest != 0 && !d.together(rest) {
		d.halve(rest)
	}
}

// halve makes two automata of patterns that do not fit one, or more if it must. Each of them fits alone.
func (d *distribution) halve(patterns uint64) {
	high := patterns
	for range bits.OnesCount64(patterns) / 2 {
		high &= high - 1
	}
	for _, half := range [...]uint64{patterns &^ high, high} {
		if half != 0 && !d.together(half) {
			d.halve(half)
		}
	}
}

// together tries one automaton for all patterns. When the work for such attempts is used up, it has only single ones.
func (d *distribution) together(patterns uint64) bool {
	if several := patterns&(patterns-1) != 0; several && d.left < 0 {
		return false
	}
	s, left := newSubset(d.program, patterns, d.limits)
	d.left -= d.limits.work - left
	if s == nil {
		return false
	}
	d.automata = append(d.automata, s.layout())
	return true
}
