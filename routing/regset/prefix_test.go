package regset

import "testing"

func TestPrefix(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                           "",
		"^":                          "",
		"/a":                         "",
		"^/a":                        "/a",
		`\A/a`:                       "/a",
		"^/svc-12/[a-z]+/[0-9]+$":    "/svc-12/",
		"^/a/?b":                     "/a",
		"^(/a)(?:/b)":                "/a/b",
		"^/(?:abc|abd)x":             "/ab",
		"^/(?:abc|abc)x":             "/abcx",
		"^/(?:x/a|x/b)$":             "/x/",
		"^/a|^/b":                    "/",
		"^/api/v1|^/api/v2":          "/api/v",
		"^/a|/b":                     "",
		"(^/a|^/b)c":                 "/",
		"(^)?/a":                     "",
		"(?:^)+/a":                   "",
		"(?m)^/a":                    "",
		"(?i)^/a":                    "/",
		"(?i)^/1/a":                  "/1/",
		"(?i)^/K":                    "/",
		"^(?i:/a)b":                  "/",
		"^/[a]b":                     "/ab",
		"^/a{3}b":                    "/aaa",
		"^/a{2,}":                    "/aa",
		"^(?:ab){2}":                 "abab",
		"^a+b":                       "a",
		"^a*b":                       "",
		"^.a":                        "",
		`^/\x{FFFD}a`:                "/",
		`^/é`:                        "/é",
		"^/(?:é|è)":                  "/",
		`^\b/\Ba`:                    "/a",
		"x^a":                        "",
		"^$":                         "",
		"(":                          "",
		`^/a\.b`:                     "/a.b",
		`^\Q/a.b\E`:                  "/a.b",
		"^(?:/a|/b|)":                "",
		`^/(?P<name>users)/(?P<id>)`: "/users/",
	} {
		if got := Prefix(pattern); got != want {
			t.Errorf("Prefix(%q) = %q, want %q", pattern, got, want)
		}
	}
}

// TestPrefixOfGenerated compares with what generated expressions match; compare looks at the prefix of each match.
func TestPrefixOfGenerated(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 300
	}
	for range n {
		s := randomSource()
		p := s.of([]string{"^", "^/", `\A`, "(?:^a|^b)", "^(?i)", "(^)"}) + s.pattern(3)
		var inputs [][]byte
		for range 8 {
			inputs = append(inputs, s.near(p), s.noise())
		}
		compare(t, []string{p}, standard, inputs)
	}
}
