package rule

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func repeat(n int, separator, format string) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = strings.ReplaceAll(format, "#", strconv.Itoa(i))
	}
	return strings.Join(parts, separator)
}

func list(n int, format string) string { return "(" + repeat(n, ", ", "`"+format+"`") + ")" }

// refused stands for a rule with too many combinations.
const refused = -1

// adversaries are rules that try to be slow or large, with the number of their alternatives.
func adversaries() map[string]int {
	const pair = "(Header(`a#`) || Header(`b#`))"
	long := strings.Repeat("a/", 1000)
	return map[string]int{
		repeat(40, " && ", pair): refused,
		repeat(16, " && ", pair): refused,
		repeat(13, " && ", pair): 1 << 13,
		repeat(14, " && ", pair) + " && " + repeat(2000, " && ", "Header(`x`, `#`)"):              refused,
		repeat(500, " && ", "(Host(`a`) || Host(`b`))"):                                           2,
		repeat(2500, " && ", "Header(`x`, `#`)"):                                                  1,
		repeat(15, " && ", "(Header(`x`, `#`) || Header(`x`, `v#`))"):                             refused,
		"Host" + list(4000, "a#.b"):                                                               4000,
		"Host" + list(2000, "a#.b") + " && Path" + list(2000, "/#"):                               refused,
		"Host" + list(2000, "*.a#.b") + " && Host" + list(2000, "x.a#.b"):                         2000,
		"Host" + list(2000, "a#.b") + " && HostRegexp" + list(2000, "x#.*y"):                      2000,
		"Host" + list(2000, "*.a#.b") + " && !HostRegexp" + list(2000, "x#.*y"):                   2000,
		"PathRegexp" + list(1500, "^/x#.*y") + " && PathRegexp" + list(1500, "x#.*y"):             1500,
		"PathRegexp" + list(1500, "^/x#.*y") + " && !Path" + list(1500, "/y#"):                    1500,
		repeat(12, " && ", pair) + " && " + repeat(20, " && ", "!Path(`/"+long+"#`)"):             1 << 12,
		"Path(`/aaaaaaaaaaaaaaaaaaaaaaa`) && PathRegexp" + list(500, "(a?){50}#(x+x+)+y"):         0,
		strings.Repeat("!(Path(`/a`) && ", 50) + "Path(`/b`)" + strings.Repeat(")", 50):           1,
		repeat(50, "", "(Header(`#`) || Method(`X`) && ") + "Path(`/`)" + strings.Repeat(")", 50): 51,
		repeat(1500, " || ", "CipherSuite(`legacy`) && Path(`/#`)"):                               1500,
		repeat(800, " && ", "!(CipherSuite(`cbc`) || Path(`/#`))"):                                1,
	}
}

func TestAdversaries(t *testing.T) {
	if testing.Short() {
		t.Skip("it counts what is computed and allocated, on one goroutine")
	}
	for text, want := range adversaries() {
		t.Run(text[:min(60, len(text))], func(t *testing.T) {
			e, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			x, err := e.Expand()
			runtime.ReadMemStats(&after)
			got := len(x.Alternatives)
			if err != nil {
				got = refused
			}
			if got != want {
				t.Errorf("%d alternatives, want %d (%v)", got, want, err)
			}
			if mb := (after.TotalAlloc - before.TotalAlloc) >> 20; mb > 512 {
				t.Errorf("%d MB allocated", mb)
			}
		})
	}
}

func TestTooLarge(t *testing.T) {
	for text, want := range map[string]string{
		"Host" + list(300, "a#") + "&&Path" + list(300, "/#"):               "leave open 90000 combinations",
		repeat(40, " && ", "(Header(`a#`) || Header(`b#`))"):                "leave open over 1000000000 combinations",
		"Query(`z`)&&" + repeat(16, " && ", "(Query(`a#`) || Query(`b#`))"): "the 65536 combinations that",
	} {
		e, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Expand(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
}
