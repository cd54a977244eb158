package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the examples of the documentation print into it, to be looked at")

// block cuts the first code block of a language off a document.
func block(doc, language string) (before, text, rest string, ok bool) {
	before, rest, ok = strings.Cut(doc, "```"+language+"\n")
	text, rest, _ = strings.Cut(rest, "```\n")
	return before, text, rest, ok
}

// words splits a command as a shell does, as far as the documentation needs it.
func words(line string) (all []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
		} else {
			all = append(all, strings.Fields(part)...)
		}
	}
	return all
}

// TestDocsShowWhatIsPrinted runs the examples of docs/check-and-explain.md.
func TestDocsShowWhatIsPrinted(t *testing.T) {
	file, err := filepath.Abs("../../docs/check-and-explain.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(text)
	t.Chdir(t.TempDir())
	_, config, _, _ := block(doc, "toml")
	write(t, "my.toml", config)
	var made strings.Builder
	examples := 0
	for rest := doc; ; examples++ {
		before, example, after, ok := block(rest, "console")
		if !ok {
			made.WriteString(rest)
			break
		}
		command, shown, _ := strings.Cut(strings.TrimPrefix(example, "$ uringproxy "), "\n")
		_, stdout, stderr := call(words(command)...)
		if printed := stderr + stdout; printed != shown && !*update {
			t.Errorf("uringproxy %s prints\n%s\nbut the documentation shows\n%s", command, printed, shown)
		}
		made.WriteString(before + "```console\n$ uringproxy " + command + "\n" + stderr + stdout + "```\n")
		rest = after
	}
	if examples < 7 {
		t.Errorf("only %d examples", examples)
	}
	if *update {
		write(t, file, made.String())
	}
}
