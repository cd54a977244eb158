package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docRow is a line of docs/configuration.md that describes a key: "| `key` | type | default | meaning |".
var docRow = regexp.MustCompile("(?m)^\\| `([a-zA-Z_.\\[\\]]+)` \\| ([a-z/ ]+) \\| ([^|]+) \\| [^|]+ \\|$")

func readDoc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocsHaveEveryKey asks each table for a key that does not exist: the fault lists those that do.
func TestDocsHaveEveryKey(t *testing.T) {
	const none = "no_such_key = 1\n"
	text := ""
	for _, table := range []string{
		"engine", "limits", "timeouts", "forward", "log", "log.access", "reload",
		"listeners.NAME", "routes.NAME", "services.NAME",
	} {
		text += "[" + table + "]\n" + none
	}
	text += "endpoints = [{ no_such_key = 1 }]\n"
	_, faults := Parse("x", []byte(text))
	known := map[string]bool{}
	for _, f := range faults {
		table, ok := strings.CutSuffix(f.Key, ".no_such_key")
		if !ok {
			continue
		}
		table = strings.Replace(table, "[0]", "[]", 1)
		for key := range strings.SplitSeq(strings.TrimPrefix(f.Expected, "one of "), ", ") {
			known[table+"."+key] = true
		}
	}
	delete(known, "log.access") // a table
	documented := map[string]bool{}
	for _, row := range docRow.FindAllStringSubmatch(readDoc(t), -1) {
		documented[row[1]] = true
	}
	if !maps.Equal(known, documented) || len(known) < 40 {
		t.Errorf("known:\n%q\ndocumented:\n%q", slices.Sorted(maps.Keys(known)), slices.Sorted(maps.Keys(documented)))
	}
}

// TestDocsTellDefaults sets each key to its documented default: that must change nothing.
func TestDocsTellDefaults(t *testing.T) {
	const values = "`([^`]*)`"
	tested := 0
	for _, row := range docRow.FindAllStringSubmatch(readDoc(t), -1) {
		key, value := row[1], row[3]
		if !regexp.MustCompile("^" + values + "$").MatchString(value) {
			if !slices.Contains([]string{"required", "any host", "any path", "all listeners"}, value) {
				t.Errorf("%s: default %s", key, value)
			}
			continue
		}
		tested++
		want, got := document(t, "", ""), document(t, key, strings.Trim(value, "`"))
		if want != got {
			t.Errorf("%s = %s changes\n%s\nto\n%s", key, value, want, got)
		}
	}
	if tested < 35 {
		t.Errorf("%d defaults tested", tested)
	}
}

// document reads a small configuration in which key is value, and prints the result.
func document(t *testing.T, key, value string) string {
	t.Helper()
	table, name := "", ""
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		table, name = key[:i], key[i+1:]
	}
	endpoint := ""
	if table == "services.NAME.endpoints[]" {
		endpoint, table = ", "+name+" = "+value, ""
	}
	var b strings.Builder
	for header, body := range map[string]string{
		"listeners.NAME": "address = \":1\"\n", "routes.NAME": "service = \"NAME\"\n",
		"services.NAME": "endpoints = [{ url = \"http://10.0.0.1\"" + endpoint + " }]\n",
		"engine":        "", "limits": "", "timeouts": "", "forward": "", "log": "", "log.access": "",
		"reload": "",
	} {
		fmt.Fprintf(&b, "[%s]\n%s", header, body)
		if header == table {
			fmt.Fprintf(&b, "%s = %s\n", name, value)
		}
	}
	c, faults := Parse("x", []byte(b.String()))
	if len(faults) > 0 {
		t.Fatalf("%s = %s: %v", key, value, faults)
	}
	printed, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(printed), `"Trusted":null`, `"Trusted":[]`)
}

// TestDocsShowRealFaults: the faulty file of the chapter on faults, and what check prints.
func TestDocsShowRealFaults(t *testing.T) {
	_, chapter, _ := strings.Cut(readDoc(t), "\n## Faults\n")
	_, rest, _ := strings.Cut(chapter, "```toml\n")
	file, rest, _ := strings.Cut(rest, "```\n")
	_, rest, _ = strings.Cut(rest, "```text\n")
	shown, _, _ := strings.Cut(rest, "```\n")
	_, faults := Parse("my.toml", []byte(file))
	var printed []string
	for _, f := range faults {
		printed = append(printed, f.Error()+"\n"+f.Excerpt())
	}
	if want := strings.Join(printed, "\n"); shown != want {
		t.Errorf("the chapter shows\n%s\nbut it is\n%s", shown, want)
	}
}

// TestExamples: each loads, says how to run it, and fits a terminal.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*.toml")
	if err != nil || len(files) < 7 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range files {
		if _, faults := Load([]string{file}); len(faults) > 0 {
			t.Error(faults)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		command := "#   uringproxy run --config examples/" + filepath.Base(file)
		if !strings.Contains(string(text), command) {
			t.Errorf("%s does not say %q", file, command)
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			if len([]rune(line)) > 100 {
				t.Errorf("%s: line of %d columns: %s", file, len(line), line)
			}
		}
	}
}
