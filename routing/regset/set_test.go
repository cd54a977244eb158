package regset

import (
	"errors"
	"fmt"
	"math/bits"
	"regexp/syntax"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		patterns []string
		in       string
		want     uint64
	}{
		{nil, "a", 0},
		{[]string{""}, "", 1},
		{[]string{"", "a", "^$", "$"}, "a", 0b1011},
		{[]string{"^a", "a$", "^a$", "a"}, "ba", 0b1010},
		{[]string{"^/svc-1/[a-z]+$", "^/svc-2/[a-z]+$", "^/svc-[0-9]/"}, "/svc-2/abc", 0b110},
		{[]string{`\bfoo\b`, `\Bfoo`, `foo\B`}, "a foo.", 0b001},
		{[]string{`\bfoo\b`, `\Bfoo`, `foo\B`}, "afoos", 0b110},
		{[]string{`\b`, `\B`}, "", 0b10},
		{[]string{"(?m)^b$", "^b$", "(?m)^c"}, "a\nb\nc", 0b101},
		{[]string{"(?m)^$", "(?m)$^", "a$^"}, "a\n", 0b011},
		{[]string{".", "(?s)."}, "\n", 0b10},
		{[]string{".", `\x{FFFD}`, `[^\x00-\x{10FFFF}]`, `\xff`, "^..$"}, "\xff\xfe", 0b10011},
		{[]string{"^.$", "^...$", "é"}, "é", 0b101},
		{[]string{"(?i)kelvin", "(?i)STRASSE", "(?i)ſ"}, "\u212Aelvin straſſe", 0b111},
		{[]string{"(?:a?){3}a{3}$", "(a|b)*abb$"}, "aaabb", 0b10},
		{[]string{`\.(jpg|png)$`, "(?i)mobile|android"}, "/ANDROID/a.png", 0b11},
		{[]string{"x*", "a.*b.*c", "[^a]"}, strings.Repeat("a", 1000) + "b" + strings.Repeat("a", 1000) + "c", 0b111},
	} {
		for _, lim := range tight {
			s, err := compile(c.patterns, lim)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Match([]byte(c.in)); got != c.want {
				t.Errorf("%q, %+v on %.20q: %b, want %b", c.patterns, lim, c.in, got, c.want)
			}
		}
	}
}

func TestSetsFitOneAutomaton(t *testing.T) {
	for kind, k := range kindsOfSets {
		s, err := Compile(setOf(kind, Max))
		if err != nil {
			t.Fatal(err)
		}
		if s.Automata() != 1 || s.Loose() != 0 || s.Bytes() > 64<<10 {
			t.Errorf("%s: %d automata, loose %b, %d bytes", k.name, s.Automata(), s.Loose(), s.Bytes())
		}
	}
}

// many returns Max patterns.
func many(format string) []string {
	list := make([]string, Max)
	for i := range list {
		list[i] = fmt.Sprintf(format, 0x4E00+i)
	}
	return list
}

func TestBombs(t *testing.T) {
	lim := standard
	lim.work /= 8 // so that it does not take long with the race detector

	lookBehind := make([]string, Max)
	for i := range lookBehind {
		lookBehind[i] = fmt.Sprintf("%c.{%d}$", 0x4E00+i, 12+i)
	}
	for name, c := range map[string]struct {
		patterns []string
		loose    int
	}{
		"exponential":  {[]string{"(x+x+)+y"}, 0},
		"optional":     {[]string{"(?:a?){1000}a{1000}", "^/a$"}, 1},
		"combinations": {many("a.*%c.*b.*c"), 0},
		"look behind":  {lookBehind, Max},
		"classes":      {many(`^\pL{9}%c`), 0},
		"free classes": {many(`\pL{999}%c`), Max},
		"alphabet":     {[]string{alphabetOf(1000)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := compile(c.patterns, lim)
			if err != nil {
				t.Fatal(err)
			}
			if n := bits.OnesCount64(s.Loose()); n != c.loose {
				t.Errorf("%d are loose, want %d", n, c.loose)
			}
			if s.Automata() > len(c.patterns) || s.Bytes() > s.Automata()*(3*standard.cells) {
				t.Errorf("%d automata of %d bytes", s.Automata(), s.Bytes())
			}
		})
	}
}

// alphabetOf returns an expression of n different runes.
func alphabetOf(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteRune(rune(0x4E00 + i))
	}
	return b.String()
}

// TestWorkIsBounded finds that construction stops within one walk of where its work is used up.
func TestWorkIsBounded(t *testing.T) {
	for _, pattern := range []string{"(?:a?){1000}a{1000}", "[a-z].{20}$", `(?:\b.){20}x(?:.\B){20}$|y.{30}$`} {
		p := &program{}
		re, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		prog, err := syntax.Compile(re.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		p.add(prog)
		for _, work := range []int{100, 10_000, 100_000} {
			lim := standard
			lim.work = work
			s, left := newSubset(p, 1, lim)
			if s != nil {
				t.Errorf("%s fits %d steps", pattern, work)
			}
			if over := 16 * len(p.insts); left < -over {
				t.Errorf("%s: %d steps beyond %d", pattern, -left, work)
			}
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		patterns []string
		index    int
	}{
		"too many":       {make([]string, Max+1), Max},
		"syntax":         {[]string{"a", "(b"}, 1},
		"counts":         {[]string{"(a{500}){500}"}, 0},
		"too large":      {[]string{"(?:" + strings.Repeat("abcdefghij", 10) + "){100}"}, 0},
		"too long":       {[]string{strings.Repeat("a", MaxLength+1)}, 0},
		"large classes":  {[]string{strings.Repeat(`[\pL0]`, 60)}, 0},
		"deeply nested":  {[]string{strings.Repeat("(", 2000) + strings.Repeat(")", 2000)}, 0},
		"not UTF-8":      {[]string{"ok", "ok", "a\xff"}, 2},
		"only backslash": {[]string{`\`}, 0},
	} {
		s, err := Compile(c.patterns)
		var fault *Error
		if s != nil || !errors.As(err, &fault) {
			t.Errorf("%s: %v, %v", name, s, err)
			continue
		}
		if fault.Index != c.index || fault.Msg == "" || fault.Hint == "" {
			t.Errorf("%s: %+v", name, *fault)
		}
	}
}

func TestMatchDoesNotAllocate(t *testing.T) {
	for kind, k := range kindsOfSets {
		s, err := Compile(setOf(kind, Max))
		if err != nil {
			t.Fatal(err)
		}
		in := []byte("/svc-3/Android3/é\xff/v1/users2/a.jpg")
		if n := testing.AllocsPerRun(100, func() { s.Match(in) }); n != 0 {
			t.Errorf("%s: %v allocations", k.name, n)
		}
	}
}

// TestSameEachTime compiles a set again and again: the tables are the same.
func TestSameEachTime(t *testing.T) {
	patterns := append(setOf(4, 16), many("a.*%c.*b.*c")[:8]...)
	first, err := Compile(patterns)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		again, err := Compile(patterns)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprint(again.automata), fmt.Sprint(first.automata); got != want {
			t.Fatal("another automaton")
		}
	}
}
