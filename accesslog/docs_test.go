package accesslog

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/metrics"
)

// What the documentation shows is what the encoder writes.
func TestDocumentation(t *testing.T) {
	b, err := os.ReadFile("../docs/access-log.md")
	if err != nil {
		t.Fatal(err)
	}
	doc := string(b)
	all := []Record{served(), secure(), failed(), streamed(), switched(), datagrams()}
	for _, f := range []Format{JSON, Combined} {
		for _, rec := range all {
			if line := encode(f, rec); !strings.Contains(doc, "\n"+line) {
				t.Errorf("this line is not in the documentation:\n%s", line)
			}
		}
	}
	for _, rec := range all {
		var members map[string]any
		if err := json.Unmarshal([]byte(encode(JSON, rec)), &members); err != nil {
			t.Fatal(err)
		}
		for name := range members {
			if !strings.Contains(doc, "| `"+name+"`") && !strings.Contains(doc, ", `"+name+"`") {
				t.Errorf("member %q is not documented", name)
			}
		}
	}
	var rows strings.Builder
	for r := metrics.None + 1; r <= metrics.InternalError; r++ {
		fmt.Fprintf(&rows, "| %s | %s |\n", r.Text(), r.While())
	}
	if !strings.Contains(doc, "|---|---|\n"+rows.String()+"\n") {
		t.Errorf("the table of errors should be\n%s", rows.String())
	}
	for _, n := range []int{maxTarget, maxReferer, maxAgent, maxName} {
		if !strings.Contains(doc, fmt.Sprintf("after %d", n)) {
			t.Errorf("the limit of %d bytes is not documented", n)
		}
	}
}
