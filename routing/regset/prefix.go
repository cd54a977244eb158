package regset

import (
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxPrefix bounds how far Prefix writes out repetitions, in bytes.
const maxPrefix = 1 << 10

// Prefix returns what every input that pattern matches begins with: "" if that is nothing, as it is for a
// pattern that is not bound to the beginning by ^. It does not look for the longest one at all costs, and returns whole
// runes.
func Prefix(pattern string) string {
	re, fault := parse(pattern)
	if fault != nil {
		return ""
	}
	if l := leadOf(re); l.bound {
		return l.text
	}
	return ""
}

// lead is what the matches of an expression begin with.
type lead struct {
	text  string
	whole bool // text is all that they consist of
	bound bool // they begin at the beginning of the input
}

func leadOf(re *syntax.Regexp) lead {
	switch re.Op {
	case syntax.OpBeginText:
		return lead{whole: true, bound: true}
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpEndText, syntax.OpWordBoundary,
		syntax.OpNoWordBoundary:
		return lead{whole: true} // nothing is read
	case syntax.OpLiteral:
		return leadOfLiteral(re)
	case syntax.OpCapture:
		return leadOf(re.Sub[0])
	case syntax.OpPlus:
		l := leadOf(re.Sub[0])
		l.whole = false
		return l
	case syntax.OpRepeat:
		return leadOfRepeat(re)
	case syntax.OpConcat:
		return leadOfConcat(re)
	case syntax.OpAlternate:
		return leadOfAlternate(re)
	}
	return lead{}
}

// leadOfLiteral ends at a rune that more than one sequence of bytes stands for: a letter where case does not matter,
// and U+FFFD, which is also what a byte reads as that is not UTF-8.
func leadOfLiteral(re *syntax.Regexp) lead {
	fold := re.Flags&syntax.FoldCase != 0
	for i, r := range re.Rune {
		if r == utf8.RuneError || !utf8.ValidRune(r) || fold && unicode.SimpleFold(r) != r {
			return lead{text: string(re.Rune[:i])}
		}
	}
	return lead{text: string(re.Rune), whole: true}
}

func leadOfRepeat(re *syntax.Regexp) lead {
	if re.Min == 0 {
		return lead{}
	}
	l := leadOf(re.Sub[0])
	if l.whole && len(l.text)*re.Min <= maxPrefix {
		l.text = strings.Repeat(l.text, re.Min)
	}
	l.whole = false
	return l
}

func leadOfConcat(re *syntax.Regexp) lead {
	all := lead{whole: true}
	for _, sub := range re.Sub {
		l := leadOf(sub)
		all.bound = all.bound || l.bound && all.text == ""
		all.text += l.text
		if !l.whole || len(all.text) > maxPrefix {
			all.whole = false
			break
		}
	}
	return all
}

func leadOfAlternate(re *syntax.Regexp) lead {
	all := leadOf(re.Sub[0])
	for _, sub := range re.Sub[1:] {
		l := leadOf(sub)
		all.bound = all.bound && l.bound
		all.whole = all.whole && l.whole && all.text == l.text
		n := 0
		for n < len(all.text) && n < len(l.text) && all.text[n] == l.text[n] {
			n++
		}
		for n > 0 && n < len(all.text) && !utf8.RuneStart(all.text[n]) {
			n--
		}
		all.text = all.text[:n]
	}
	return all
}
