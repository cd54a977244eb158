package regset

import (
	"fmt"
	"regexp"
	"testing"
)

// kindsOfSets are the kinds of expressions that routes have.
var kindsOfSets = []struct {
	name    string
	pattern func(i int) string
}{
	{"anchored", func(i int) string { return fmt.Sprintf("^/svc-%d/[a-z]+/[0-9]+$", i) }},
	{"infix", func(i int) string { return fmt.Sprintf("/v[0-9]+/users%d/.*", i) }},
	{"suffix", func(i int) string { return fmt.Sprintf(`.*\.(jpg|png|x%d)$`, i) }},
	{"agents", func(i int) string { return fmt.Sprintf("(?i)mobile%d|android%d", i, i) }},
	{"mixed", func(i int) string {
		return fmt.Sprintf([]string{
			"^/svc-%d/[a-z]+/[0-9]+$", "/v[0-9]+/users%d/.*", `.*\.(jpg|png|x%d)$`, "(?i)mobile%[1]d|android%[1]d",
		}[i%4], i)
	}},
	{"wide", func(i int) string { return fmt.Sprintf(`^/\p{L}+/%d/[^/]+/\w+\b.*$`, i) }},
}

func setOf(kind, n int) []string {
	patterns := make([]string, n)
	for i := range patterns {
		patterns[i] = kindsOfSets[kind].pattern(i)
	}
	return patterns
}

// paths are of 40 bytes; half of those of the last are not ASCII.
var paths = []string{
	"/svc-3/resources/0123456789012345678901/",
	"/svc-1/abcdefghijklmnopqrstuvw/012345678",
	"/api/v1/users1/01234567890123456/profile",
	"/static/images/products/large/000123.jpg",
	"/größe/3/éèêëàâäô/привет",
}

func BenchmarkMatch(b *testing.B) {
	for kind, k := range kindsOfSets {
		for _, n := range []int{1, 8, 64} {
			s, err := Compile(setOf(kind, n))
			if err != nil {
				b.Fatal(err)
			}
			for i, path := range paths {
				b.Run(fmt.Sprintf("%s/patterns=%d/path=%d", k.name, n, i), func(b *testing.B) {
					in := []byte(path)
					b.SetBytes(int64(len(in)))
					for b.Loop() {
						s.Match(in)
					}
				})
			}
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	for kind, k := range kindsOfSets {
		for _, n := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/patterns=%d", k.name, n), func(b *testing.B) {
				patterns := setOf(kind, n)
				b.ReportAllocs()
				var s *Set
				for b.Loop() {
					s, _ = Compile(patterns)
				}
				b.ReportMetric(float64(s.Bytes()), "B/set")
				b.ReportMetric(float64(s.Automata()), "automata")
			})
		}
	}
}

// BenchmarkGo is what the same takes with Go's regexp.
func BenchmarkGo(b *testing.B) {
	for kind, k := range kindsOfSets {
		for _, n := range []int{1, 64} {
			list := make([]*regexp.Regexp, n)
			for i, p := range setOf(kind, n) {
				list[i] = regexp.MustCompile(p)
			}
			b.Run(fmt.Sprintf("%s/patterns=%d", k.name, n), func(b *testing.B) {
				in := []byte(paths[0])
				for b.Loop() {
					for _, re := range list {
						re.Match(in)
					}
				}
			})
		}
	}
}
