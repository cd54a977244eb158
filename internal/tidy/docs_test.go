package tidy

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// link is the target of a link or image in Markdown.
var link = regexp.MustCompile(`\]\(([^)\s]+)(?:\s+"[^"]*")?\)`)

// relativeLinks are the targets in a document that are files of this repository, from its root.
func relativeLinks(name, text string) []string {
	var targets []string
	inCode := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			inCode = !inCode
		}
		if inCode {
			continue
		}
		for _, m := range link.FindAllStringSubmatch(line, -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			targets = append(targets, path.Join(path.Dir(name), target))
		}
	}
	return targets
}

func TestDocumentLinks(t *testing.T) {
	walk(t, func(name string) {
		if !strings.HasSuffix(name, ".md") {
			return
		}
		for _, target := range relativeLinks(name, read(t, name)) {
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
				t.Errorf("%s: link to %s, which does not exist", name, target)
			}
		}
	})
}

func TestRelativeLinks(t *testing.T) {
	got := relativeLinks("docs/a.md", "[x](b.md#part) ![y](../c.png \"title\")\n"+
		"[z](https://e.org/) [w](#here)\n```\n[n](n.md)\n```\n")
	if want := "[docs/b.md c.png]"; fmt.Sprint(got) != want {
		t.Errorf("links %v, want %s", got, want)
	}
}

// textFiles are the endings of files that people write; leftovers and machine paths are looked for in all of them.
var textFiles = []string{".go", ".md", ".toml", ".yml", ".yaml", ".json", ".sh", ".py", ".html", ".css", ".js", ".conf"}

func isText(name string) bool {
	base := path.Base(name)
	if base == "Makefile" || strings.HasPrefix(name, ".ci/") {
		return true
	}
	for _, ending := range textFiles {
		if strings.HasSuffix(base, ending) {
			return true
		}
	}
	return false
}

func TestTextFiles(t *testing.T) {
	walk(t, func(name string) {
		if !isText(name) {
			return
		}
		text := read(t, name)
		report(t, checkMachinePaths(name, text))
		if strings.HasSuffix(name, ".go") {
			return // its comments are looked at by checkLeftovers
		}
		for i, line := range strings.Split(text, "\n") {
			if m := leftovers.FindString(line); m != "" {
				t.Errorf("%s:%d: %q: finish it, or open an issue", name, i+1, m)
			}
		}
	})
}
