package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// TestBadFiles compares every fault of testdata/bad/*.toml, with its excerpt, to the golden file beside it.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.toml")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c, faults := Load(file)
			if c != nil || len(faults) == 0 {
				t.Fatal("no fault found")
			}
			var b strings.Builder
			for _, f := range faults {
				b.WriteString(f.Error() + "\n" + f.Excerpt())
			}
			golden := strings.TrimSuffix(file, ".toml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if b.String() != string(want) {
				t.Errorf("the faults differ from %s (run with -update after a change of wording):\n%s", golden, b.String())
			}
		})
	}
}
