package suggest

import "testing"

func TestNearest(t *testing.T) {
	words := []string{"listeners", "routes", "services", "limits", "timeouts", "log", "run", "check", "T1", "none"}
	for word, want := range map[string]string{
		"listener": "listeners", "Routes": "routes", "rotues": "routes", "service": "services", "limit": "limits",
		"time-outs": "timeouts", "lgo": "log", "rnu": "run", "chekc": "check", "database": "", "": "", "x": "",
		"T4": "", "on": "", "od": "",
	} {
		if got := Nearest(word, words); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"abc", "abc", 0},
		{"header-bytes", "header_bytes", 0}, {"abcdef", "uvwxyz", 5},
	} {
		if got := Distance(c.a, c.b, 4); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := Distance(c.b, c.a, 4); got != c.want {
			t.Errorf("Distance(%q, %q) = %d, want %d", c.b, c.a, got, c.want)
		}
	}
}
