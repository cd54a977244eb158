package routing

import (
	"fmt"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/routing/rule"
)

// TestMoreExpressionsThanASetHolds: how many expressions a condition has is nobody's concern but ours.
func TestMoreExpressionsThanASetHolds(t *testing.T) {
	var list []string
	for i := range 150 {
		list = append(list, fmt.Sprintf("`^/?%d$`", i))
	}
	all := strings.Join(list, ", ")
	for text, positive := range map[string]bool{
		"HeaderRegexp(`A`, " + all + ")":                                           true,
		"QueryRegexp(`a`, " + all + ")":                                            true,
		"PathPrefix(`/`) && PathRegexp(" + all + ")":                               true,
		"PathPrefixRaw(`/1`) && PathRegexp(" + all + ")":                           true,
		"!PathRegexp(" + all + ")":                                                 false,
		"!HostRegexp(" + all + ")":                                                 false,
		"!QueryRegexp(`a`, " + strings.Join(list, ") && !QueryRegexp(`a`, ") + ")": false,
	} {
		e, err := rule.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		table, err := Compile([]Route{{Name: "one", Rule: e}})
		if err != nil {
			t.Fatalf("%.30s: %v", text, err)
		}
		for _, value := range []string{"1", "149", "150"} {
			r := &Request{
				Host: []byte(value), Path: []byte("/" + value), Query: []byte("a=" + value),
				Fields: []Field{{[]byte("a"), []byte(value)}},
			}
			if got, want := table.Match(r) == 0, (value != "150") == positive; got != want {
				t.Errorf("%.30s: %s fits: %v", text, value, got)
			}
			if j, err := Judge(Route{Name: "one", Rule: e}, r); err != nil || j.Fits != (table.Match(r) == 0) {
				t.Errorf("%.30s: judged %v, %v", text, j.Fits, err)
			}
		}
	}
}
