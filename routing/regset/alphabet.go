package regset

import (
	"math/bits"
	"regexp/syntax"
	"slices"
	"unicode"
	"unicode/utf8"
)

// maxClasses is the number of classes of an alphabet: with those columns of a table's row that are no class, it has to
// fit 8 bits.
const maxClasses = 256 - columns

// classSet is a set of classes.
type classSet [(maxClasses + 63) / 64]uint64

func (s *classSet) add(class int) { s[class/64] |= 1 << (class % 64) }

// kind is what a rune, or the beginning of the text, means to the conditions on what stands beside it.
type kind uint8

const (
	textEdge kind = iota // no rune: the beginning of the text, or its end
	other
	word
	newline
	kinds
)

// specimen is a rune of each kind, in the terms of syntax.EmptyOpContext.
var specimen = [kinds]rune{textEdge: -1, other: ' ', word: 'w', newline: '\n'}

const wordConditions = syntax.EmptyWordBoundary | syntax.EmptyNoWordBoundary

// lineConditions are those for which a newline is special; textEdge is special to all but wordConditions.
const lineConditions = syntax.EmptyBeginLine | syntax.EmptyEndLine

// wordRunes are the word characters of \b.
var wordRunes = []rune{'0', '9', 'A', 'Z', '_', '_', 'a', 'z'}

// alphabet divides the runes into classes: two runes of a class are accepted by the same instructions.
type alphabet struct {
	lows  []rune  // where the ranges begin that the runes are divided into; ascending, the first is 0
	class []uint8 // of each range
	size  []int32 // of each class: in how many ranges it is

	kind    []kind          // of each class
	ofKind  [kinds]classSet // the classes of each kind
	members []classSet      // of each set of the program that is in use
}

// newAlphabet makes the alphabet for those instructions of p that belong to patterns, in which conditions are used. It
// returns nil if there are too many classes or if that is more work than is left.
func newAlphabet(p *program, patterns uint64, uses syntax.EmptyOp, left *int) *alphabet {
	used := make([]bool, len(p.sets))
	for i := range p.insts {
		if in := &p.insts[i]; in.op == syntax.InstRune && patterns>>in.pattern&1 != 0 {
			used[in.arg] = true
		}
	}
	var sets [][]rune
	for id, set := range p.sets {
		if used[id] {
			sets = append(sets, set)
			*left -= len(set)
		}
	}
	if uses&wordConditions != 0 {
		sets = append(sets, wordRunes)
	}
	if uses&lineConditions != 0 {
		sets = append(sets, []rune{'\n', '\n'})
	}
	if *left < 0 {
		return nil
	}
	a := undivided(sets)
	for _, set := range sets {
		if !a.refine(set, left) {
			return nil
		}
	}
	a.judge(uses)
	a.members = make([]classSet, len(p.sets))
	for id, set := range p.sets {
		if used[id] {
			a.each(set, func(i int) { a.members[id].add(int(a.class[i])) })
		}
	}
	return a
}

// undivided returns an alphabet of one class, with the ranges that are needed to divide it by sets. One of them begins
// with the first rune above ASCII.
func undivided(sets [][]rune) *alphabet {
	lows := []rune{0, utf8.RuneSelf}
	for _, set := range sets {
		for i := 0; i < len(set); i += 2 {
			lows = append(lows, set[i], set[i+1]+1)
		}
	}
	slices.Sort(lows)
	lows = slices.Compact(lows)
	if last := len(lows) - 1; lows[last] > unicode.MaxRune {
		lows = lows[:last]
	}
	return &alphabet{lows: lows, class: make([]uint8, len(lows)), size: []int32{int32(len(lows))}}
}

// each calls f for the ranges that a set consists of.
func (a *alphabet) each(set []rune, f func(i int)) {
	for pair := 0; pair < len(set); pair += 2 {
		i, _ := slices.BinarySearch(a.lows, set[pair])
		for ; i < len(a.lows) && a.lows[i] <= set[pair+1]; i++ {
			f(i)
		}
	}
}

// refine divides the classes of which only a part is in set. It fails if there are too many classes or if that is more
// work than is left.
func (a *alphabet) refine(set []rune, left *int) bool {
	var inside [maxClasses]int32
	a.each(set, func(i int) {
		inside[a.class[i]]++
		*left--
	})
	var divided [maxClasses]uint8 // the new class of what is inside
	for c, n := range a.size {
		divided[c] = uint8(c)
		if n == inside[c] || inside[c] == 0 {
			continue
		}
		if len(a.size) == maxClasses {
			return false
		}
		divided[c] = uint8(len(a.size))
		a.size[c] -= inside[c]
		a.size = append(a.size, inside[c])
	}
	a.each(set, func(i int) { a.class[i] = divided[a.class[i]] })
	return *left >= 0
}

// judge finds the kind of each class. Classes are not divided for conditions that are not used, and then all is other.
func (a *alphabet) judge(uses syntax.EmptyOp) {
	a.kind = make([]kind, len(a.size))
	for i, c := range a.class {
		low := a.lows[i]
		switch {
		case uses&wordConditions != 0 && syntax.IsWordChar(low):
			a.kind[c] = word
		case uses&lineConditions != 0 && low == '\n':
			a.kind[c] = newline
		default:
			a.kind[c] = other
		}
	}
	for c, k := range a.kind {
		a.ofKind[k].add(c)
	}
}

// all calls f for the classes that are in both sets.
func (s *classSet) all(both *classSet, f func(class int)) {
	for i := range s {
		for w := s[i] & both[i]; w != 0; w &= w - 1 {
			f(64*i + bits.TrailingZeros64(w))
		}
	}
}
