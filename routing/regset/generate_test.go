package regset

import (
	"hash/maphash"
	"math/rand/v2"
	"regexp/syntax"
	"strings"
	"unicode"
	"unicode/utf8"
)

// source makes choices: those of a fuzz input's bytes, and when they are spent, pseudo-random ones that follow from
// them.
type source struct {
	bytes []byte
	rng   *rand.Rand
}

func newSource(b []byte) *source {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return &source{b, rand.New(rand.NewPCG(h, uint64(len(b))))}
}

// randomSource is a source of its own in each run.
func randomSource() *source {
	return &source{nil, rand.New(rand.NewPCG(new(maphash.Hash).Sum64(), 0))}
}

// below chooses a number from 0 to n-1.
func (s *source) below(n int) int {
	if len(s.bytes) > 0 {
		c := s.bytes[0]
		s.bytes = s.bytes[1:]
		return int(c) % n
	}
	return s.rng.IntN(n)
}

func (s *source) of(list []string) string { return list[s.below(len(list))] }

var atoms = []string{
	"a", "b", "c", "ab", "/", "x", "0", "_", " ", "-", `\n`, "é", "ß", "K", "k", "s", "ſ", "世", "😀", `\x{FFFD}`, `\.`,
	`\x{10FFFF}`, `\x80`, `\xff`, ".", ".", "(?s:.)", "[ab]", "[^a]", `[^\n]`, `[^/]`, "[a-c]", "[a-zA-Z0-9_]", `[é-世]`,
	`[\x{FFFD}]`, `[^\x00-\x{10FFFF}]`, `\w`, `\W`, `\d`, `\D`, `\s`, `\S`, `\pL`, `\PL`, `\p{Greek}`, "[[:alpha:]]",
	"[^[:^space:]a]", "(?i:a)", "(?i:k)", "(?i:[j-l])", "(?i:ſ)", "(?i:é)", "(?i:abc)", "",
}

var conditions = []string{"^", "$", `\A`, `\z`, `\b`, `\B`, "(?m:^)", "(?m:$)"}

var repetitions = []string{"*", "+", "?", "*?", "+?", "??", "{2}", "{0,2}", "{1,3}", "{2,}", "{0}", "{3}?", "{1,}?"}

var groups2 = []string{"(", "(?:", "(?i:", "(?s:", "(?m:", "(?U:", "(?P<n>", "(?-s:", "(?i-m:"}

// pattern generates an expression.
func (s *source) pattern(depth int) string {
	switch n := s.below(12); {
	case n < 3 || depth == 0:
		return s.of(atoms)
	case n < 4:
		return s.of(conditions)
	case n < 6:
		body := s.pattern(depth - 1)
		if body == "" {
			return body
		}
		return "(?:" + body + ")" + s.of(repetitions)
	case n < 7:
		return s.pattern(depth-1) + "|" + s.pattern(depth-1)
	case n < 8:
		return s.of(groups2) + s.pattern(depth-1) + ")"
	case n < 9:
		return "^" + s.pattern(depth-1) + s.pattern(depth-1) + "$"
	}
	var b strings.Builder
	for range 2 + s.below(3) {
		b.WriteString(s.pattern(depth - 1))
	}
	return b.String()
}

// route generates an expression as routes have them.
func (s *source) route() string {
	return s.of([]string{"^/", "^/svc-", "/v[0-9]+/", `.*\.(jpg|png)$`, "(?i)mobile|", "^(?:api|www)", `\bfoo`}) +
		s.of(atoms) + s.of([]string{"", "/", "$", ".*", "[a-z]+/", "(?:b|c)+", `\b`, `\d{1,3}$`, "a|b"})
}

// noise generates bytes of which many are not UTF-8.
func (s *source) noise() []byte {
	var b []byte
	for range s.below(12) {
		switch s.below(6) {
		case 0:
			b = append(b, byte(s.below(256)))
		case 1:
			b = append(b, s.of([]string{
				"\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80", "\xe4\xb8", "\xff", "\x80", "\ufffd",
			})...)
		case 2:
			b = append(b, s.of([]string{"é", "世", "😀", "K", "ſ", "α", "\U0010ffff", "\u0085"})...)
		default:
			b = append(b, "ab/\nc_ 0Kks.-x"[s.below(14)])
		}
	}
	return b
}

// matching generates a text that re matches, but for the conditions in it, and at most about limit bytes.
func (s *source) matching(re *syntax.Regexp, limit int) []byte {
	if limit <= 0 {
		return nil
	}
	var b []byte
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			if re.Flags&syntax.FoldCase != 0 && s.below(2) == 0 {
				r = unicode.SimpleFold(r)
			}
			b = utf8.AppendRune(b, r)
		}
	case syntax.OpCharClass:
		if len(re.Rune) > 0 {
			i := s.below(len(re.Rune)/2) * 2
			b = utf8.AppendRune(b, re.Rune[i]+rune(s.below(min(200, int(re.Rune[i+1]-re.Rune[i])+1))))
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b = append(b, s.of([]string{"a", "b", "/", "0", "é", "\xff", "_"})...)
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			b = append(b, s.matching(sub, limit-len(b))...)
		}
	case syntax.OpAlternate:
		b = s.matching(re.Sub[s.below(len(re.Sub))], limit)
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		times := s.below(3)
		switch re.Op {
		case syntax.OpPlus:
			times++
		case syntax.OpQuest:
			times = min(times, 1)
		case syntax.OpRepeat:
			times = re.Min + min(times, max(re.Max-re.Min, 0))
		}
		for range times {
			b = append(b, s.matching(re.Sub[0], limit-len(b))...)
		}
	}
	return b
}

// near generates a text that is like one that the pattern matches.
func (s *source) near(pattern string) []byte {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	b := s.matching(re, 200)
	switch s.below(6) {
	case 0:
		b = append(s.noise(), b...)
	case 1:
		b = append(b, s.noise()...)
	case 2:
		if len(b) > 0 {
			b[s.below(len(b))] = byte(s.below(256))
		}
	case 3:
		if len(b) > 0 {
			b = b[:s.below(len(b))]
		}
	case 4:
		b = append(append(s.noise(), b...), s.noise()...)
	}
	return b
}
