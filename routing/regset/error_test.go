package regset

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	for _, c := range []struct{ pattern, at, msg string }{
		{"/a(b", "(", "never closed"},
		{"(a)(b[)(]", "(", "never closed"},
		{`\(\Q(\E(x`, "(", "never closed"},
		{"a)b", ")", "closes nothing"},
		{"a[b", "[", "never closed"},
		{"[]", "[", "never closed"},
		{"a*|*b", "*", "nothing that * could repeat"},
		{"+", "+", "nothing that + could repeat"},
		{"a*b**", "**", "repeats a repetition"},
		{"a+b++", "++", "possessive"},
		{"a{2}b{5,2}", "{5,2}", "not a valid count"},
		{"a{2000}", "{2000}", "not a valid count"},
		{"(a{500}){500}", "{500}", "not a valid count"},
		{"(?=a)", "(?=", "a lookahead"},
		{"(a)(?!b)", "(?!", "a negative lookahead"},
		{"(?<=a)b", "(?<=a)b", "a lookbehind"},
		{"(?<!a)b", "(?<!a)b", "a negative lookbehind"},
		{"(?>a)", "(?>", "an atomic group"},
		{"(?#note)", "(?#", "a comment"},
		{"(?x) a", "(?x", "free-spacing"},
		{"(?q)", "(?q", "not a valid group"},
		{"(?<a-b>c)", "(?<a-b>", "not a valid name"},
		{"(?<a", "(?<a", "not a valid name"},
		{`(a)\1`, `\1`, "a backreference"},
		{`(?P<a>b)\k<a>`, `\k`, "a backreference"},
		{`a\Z`, `\Z`, "other dialects"},
		{`\y`, `\y`, "not a valid escape"},
		{`\xg`, `\xg`, "not a valid character"},
		{`a\`, `\`, "middle of an escape"},
		{"[z-a]", "z-a", "not a valid range"},
		{"[[:word:][:letter:]]", "[:letter:]", "not a class"},
		{`\p{Klingon}`, `\p{Klingon}`, "not a class of Unicode"},
		{"a\xffb", "\xffb", "not UTF-8"},
		{strings.Repeat("(", 1500) + strings.Repeat(")", 1500), "", "nests too deeply"},
	} {
		err := Check(c.pattern)
		if err == nil {
			t.Errorf("%q: no fault", c.pattern)
			continue
		}
		e := err.(*Error)
		if got := c.pattern[e.At:][:e.Len]; c.at != "" && got != c.at {
			t.Errorf("%q: fault at %q, want %q: %v", c.pattern, got, c.at, e)
		}
		if !strings.Contains(e.Msg, c.msg) || e.Hint == "" {
			t.Errorf("%q: %v, want %q and a hint", c.pattern, e, c.msg)
		}
	}
	for _, pattern := range []string{
		"", "^/a$", "(?i)a", `\pL`, "a{1000}", "(?P<a>b)", "(?<a>b)", strings.Repeat("a", MaxLength),
	} {
		if err := Check(pattern); err != nil {
			t.Errorf("%.20q: %v", pattern, err)
		}
	}
}

// TestFaultAmongEqualTexts says which of several equal texts is the one at fault.
func TestFaultAmongEqualTexts(t *testing.T) {
	for _, c := range []struct {
		pattern string
		at      int
	}{
		{"a*b*|*c*", 5}, {"[*]*(*", 5}, {`\1`, 0}, {`[\\1]\1\1`, 5}, {"(()())(()", 6}, {"a)b)", 1},
		{"x{2}{3}{2000}", 1},
	} {
		if e, ok := Check(c.pattern).(*Error); !ok || e.At != c.at {
			t.Errorf("%q: %+v, want the fault at %d", c.pattern, e, c.at)
		}
	}
}
