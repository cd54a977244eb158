package rule

import "testing"

func TestMasked(t *testing.T) {
	for text, want := range map[string]string{
		"Host(`a.test`) && Path(`/x`)":              "Host(`a.test`) && Path(`/x`)",
		"Header(`x-a`, `1`, `2`)":                   "Header(`x-a`, `***`)",
		"Header(`x-a`)":                             "Header(`x-a`)",
		"HeaderRegexp(`x-a`, `^1$`)":                "HeaderRegexp(`x-a`, `***`)",
		"!Query(`a`, `1`) || Host(`a.test`)":        "!Query(`a`, `***`) || Host(`a.test`)",
		"!(QueryRegexp(`a`, `1`) && Method(`GET`))": "!(QueryRegexp(`a`, `***`) && Method(`GET`))",
	} {
		e, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		whole := e.String()
		if got := e.Masked().String(); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
		if e.String() != whole {
			t.Errorf("%s: changed to %s", text, e)
		}
	}
	if (*Expr)(nil).Masked() != nil {
		t.Error("a condition comes of none")
	}
}
