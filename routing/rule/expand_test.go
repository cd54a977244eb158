package rule

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// expansions reads rules with their alternatives, and what is said of what was left out.
func expansions(t *testing.T) map[string][]string {
	text, err := os.ReadFile("testdata/expand.txt")
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string][]string{}
	rule := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if expected, ok := strings.CutPrefix(line, "\t"); ok {
			cases[rule] = append(cases[rule], expected)
		} else if line != "" && line[0] != '#' {
			rule = line
		}
	}
	return cases
}

func TestExpand(t *testing.T) {
	for text, want := range expansions(t) {
		e, err := Parse(text)
		if err != nil {
			t.Errorf("Parse(%s): %v", text, err)
			continue
		}
		x, err := e.Expand()
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := strings.Split(strings.ReplaceAll(show(&x), "impossible:", "-"), "\n")
		if !slices.Equal(got, want) {
			t.Errorf("%s becomes\n%s\nwant\n%s", text, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestExpandNil(t *testing.T) {
	var e *Expr
	if x, err := e.Expand(); err != nil || len(x.Alternatives) != 1 || x.Alternatives[0].Host.Kind != None {
		t.Errorf("%v, %v", x, err)
	}
}
