package regset

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// tight are limits that distribute almost any patterns over several automata, and leave some out.
var tight = []limits{
	standard,
	{cells: 1 << 16, states: 1 << 12, work: 4 << 10},
	{cells: 256, states: 12, work: 8 << 10},
	{cells: 40, states: 4, work: 1 << 10},
}

// compare compiles those patterns that are expressions, and compares the set with Go's regexp on all inputs.
func compare(t *testing.T, patterns []string, lim limits, inputs [][]byte) {
	t.Helper()
	var list []*regexp.Regexp
	var valid []string
	for _, p := range patterns {
		re, err := regexp.Compile(p)
		fault := Check(p)
		if err != nil {
			if fault == nil {
				t.Fatalf("Check(%q) finds nothing; regexp: %v", p, err)
			}
			if e := fault.(*Error); e.At < 0 || e.Len < 0 || e.At+e.Len > len(p) || e.Msg == "" {
				t.Fatalf("Check(%q): %+v", p, e)
			}
			continue
		}
		if fault != nil {
			continue // too large
		}
		list, valid = append(list, re), append(valid, p)
	}
	if len(valid) > Max {
		list, valid = list[:Max], valid[:Max]
	}
	s, err := compile(valid, lim)
	if err != nil {
		t.Fatalf("%q: %v", valid, err)
	}
	for _, in := range inputs {
		got, want := s.Match(in), uint64(0)
		for i, re := range list {
			if !re.Match(in) {
				continue
			}
			want |= 1 << i
			if prefix := Prefix(valid[i]); !bytes.HasPrefix(in, []byte(prefix)) {
				t.Fatalf("Prefix(%q) = %q, but it matches %q", valid[i], prefix, in)
			}
		}
		if got != want {
			t.Fatalf("patterns %q, limits %+v, input %q:\n got %b\nwant %b", valid, lim, in, got, want)
		}
	}
}

// generated makes patterns and inputs of a source's choices.
func generated(s *source) (patterns []string, inputs [][]byte) {
	for range 1 + s.below(6) {
		if s.below(4) == 0 {
			patterns = append(patterns, s.route())
			continue
		}
		if p := s.pattern(4); len(p) < 200 {
			patterns = append(patterns, p)
		}
	}
	inputs = [][]byte{nil, s.noise(), s.noise()}
	for _, p := range patterns {
		inputs = append(inputs, s.near(p), s.near(p), s.near(p))
	}
	if len(patterns) > 0 {
		inputs = append(inputs, append(s.near(s.of(patterns)), s.near(s.of(patterns))...))
	}
	return patterns, inputs
}

// FuzzSet compares sets with Go's regexp: a set that is generated, one of the fuzz input's lines, and both together.
func FuzzSet(f *testing.F) {
	f.Add([]byte{}, "^/a$\n\\bfoo\\b", []byte("/a"))
	f.Add([]byte{1, 2, 3, 4}, "(?m)^a$|b\nK(?i)k", []byte("x\na\nb"))
	f.Add([]byte("abcdefgh"), "(a|b)*?c{2,3}\n[^\\x00-\\x{10FFFF}]|$", []byte("\xff\xfe"))
	f.Add([]byte{255}, "\\x{FFFD}\n.\n(?s).\\z\n^*", []byte("\ufffd\n"))
	for kind := range kindsOfSets {
		f.Add([]byte{byte(kind)}, strings.Join(setOf(kind, 8), "\n"), []byte(paths[kind%len(paths)]))
	}
	f.Fuzz(func(t *testing.T, choices []byte, lines string, input []byte) {
		if len(lines) > 400 || len(input) > 400 {
			return
		}
		s := newSource(choices)
		lim := tight[s.below(len(tight))]
		patterns, inputs := generated(s)
		raw := strings.Split(lines, "\n")
		inputs = append(inputs, input)
		for _, p := range raw {
			inputs = append(inputs, s.near(p))
		}
		compare(t, append(patterns, raw...), lim, inputs)
	})
}

// TestGenerated is what FuzzSet does, with sets that are new in each run.
func TestGenerated(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 300
	}
	for range n {
		s := randomSource()
		patterns, inputs := generated(s)
		compare(t, patterns, tight[s.below(len(tight))], inputs)
	}
}

// TestLargeSets has as many patterns as there can be, so that one automaton is not enough.
func TestLargeSets(t *testing.T) {
	for range 6 {
		s := randomSource()
		var patterns []string
		var inputs [][]byte
		for range Max {
			p := s.route()
			if s.below(3) == 0 {
				p = s.pattern(2)
			}
			patterns = append(patterns, p)
			inputs = append(inputs, s.near(p), s.noise())
		}
		compare(t, patterns, standard, inputs)
	}
}

// TestKindsOfSets compares the sets of the benchmarks, on inputs that match many of them.
func TestKindsOfSets(t *testing.T) {
	for kind, k := range kindsOfSets {
		t.Run(k.name, func(t *testing.T) {
			inputs := [][]byte{nil}
			for _, path := range paths {
				inputs = append(inputs, []byte(path))
			}
			for i := range Max {
				inputs = append(inputs, fmt.Appendf(nil, "/svc-%d/abc/123", i),
					fmt.Appendf(nil, "/v1/users%d/x%d.x%d", i, i, i),
					fmt.Appendf(nil, "MOBile%d Android%d", i, i+1),
					fmt.Appendf(nil, "/\u00e4\u4e16/%d/seg\xff/w_1.x", i))
			}
			compare(t, setOf(kind, Max), standard, inputs)
		})
	}
}
