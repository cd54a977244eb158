package report

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// golden compares text with a file of testdata, or writes it.
func golden(t *testing.T, name, text string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("not what is in %s (look at it with go test -update and git diff):\n%s", name, text)
	}
}

func TestTableIsAsAgreed(t *testing.T) {
	r := sample(t)
	for _, c := range []struct {
		name  string
		width int
	}{{"narrow.txt", narrowWidth}, {"wide.txt", wideWidth}} {
		var b bytes.Buffer
		Table(&b, r, c.width)
		golden(t, c.name, b.String())
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > c.width {
				t.Errorf("%s: line of %d columns: %s", c.name, n, line)
			}
		}
	}
}
