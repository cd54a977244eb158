package rule

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// call is a piece of code in the document that is a rule or a part of one.
var call = regexp.MustCompile("``+([A-Z][A-Za-z0-9]*\\(.+?\\))``+")

// TestDocument reads the rules in the users' document: what they see there must work, but for what is Traefik's.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	document, _, _ := strings.Cut(string(text), "## Coming from Traefik")
	for _, name := range Names() {
		if !strings.Contains(document, "| `"+name+"` |") {
			t.Errorf("%s is not in the table of matchers", name)
		}
	}
	found := 0
	for _, m := range call.FindAllStringSubmatch(document, -1) {
		found++
		if e, err := Parse(m[1]); err != nil {
			t.Errorf("%s: %v", m[1], err)
		} else if _, err := e.Expand(); err != nil {
			t.Errorf("%s: %v", m[1], err)
		}
	}
	if found < len(Names()) {
		t.Errorf("%d rules in the document", found)
	}
}
