package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// docRow is a line of docs/configuration.md that describes a key: "| `key` | type | default | meaning |".
var docRow = regexp.MustCompile("(?m)^\\| `([a-zA-Z0-9_.\\[\\]]+)` \\| ([a-z/ ]+) \\| ([^|]+) \\| [^|]+ \\|$")

func readDoc(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// flatten lists the keys below s by the paths that the documentation gives them.
func flatten(into map[string]*Schema, path string, s *Schema) {
	if named, ok := s.Others.(*Schema); ok && named.Type == "object" {
		flatten(into, path+".NAME", named)
		return
	}
	if s.Properties == nil {
		into[path] = s
	}
	for key, sub := range s.Properties {
		flatten(into, strings.TrimPrefix(path+"."+key, "."), sub)
	}
	for _, one := range s.AnyOf {
		if one.Items != nil && one.Items.AnyOf != nil {
			flatten(into, path+"[]", one.Items.AnyOf[1])
		}
	}
}

// docType is what the documentation calls the type of a key.
func docType(s *Schema) string {
	switch {
	case s.Pattern == sizePattern:
		return "size"
	case s.Pattern == durationPattern:
		return "duration"
	case s.Enum != nil:
		return "one of"
	case s.AnyOf != nil:
		return "list"
	}
	return map[string]string{"integer": "count", "boolean": "yes/no", "string": "text", "object": "table"}[s.Type]
}

// TestDocsAgreeWithSchema: the same keys, with the same types and defaults.
func TestDocsAgreeWithSchema(t *testing.T) {
	known := map[string]*Schema{}
	flatten(known, "", DescribeFile())
	documented := map[string]bool{}
	for _, row := range docRow.FindAllStringSubmatch(readDoc(t), -1) {
		key, kind, def := row[1], row[2], row[3]
		s := known[key]
		if documented[key] = true; s == nil {
			t.Errorf("%s does not exist", key)
			continue
		}
		if docType(s) != kind {
			t.Errorf("%s is of type %s, documented as %s", key, docType(s), kind)
		}
		want := "none"
		if s.Default != nil {
			text, err := json.Marshal(s.Default)
			if err != nil {
				t.Fatal(err)
			}
			want = "`" + string(text) + "`"
		}
		if documented, err := strconv.Unquote(strings.Trim(def, "`")); kind == "duration" && err == nil {
			d, _ := parseDuration(documented)
			def = fmt.Sprintf("`%q`", formatDuration(d))
		}
		if value := strings.HasPrefix(def, "`") && def != "`[]`"; value && def != want || !value && s.Default != nil {
			t.Errorf("%s has the default %s, documented as %s", key, want, def)
		}
		if len(s.Description) < 10 {
			t.Errorf("%s is described as %q", key, s.Description)
		}
	}
	if keys := slices.Sorted(maps.Keys(known)); !slices.Equal(keys, slices.Sorted(maps.Keys(documented))) ||
		len(keys) < 60 {
		t.Errorf("known:\n%q\ndocumented:\n%q", keys, slices.Sorted(maps.Keys(documented)))
	}
}

// TestDocsTellDefaults sets each key to its documented default: that must change nothing.
func TestDocsTellDefaults(t *testing.T) {
	tested := 0
	for _, row := range docRow.FindAllStringSubmatch(readDoc(t), -1) {
		key, value := row[1], row[3]
		if !regexp.MustCompile("^`[^`]*`$").MatchString(value) {
			if value != "required" && !regexp.MustCompile("^(any|all) ").MatchString(value) {
				t.Errorf("%s: default %s", key, value)
			}
			continue
		}
		tested++
		want, got := documented(t, "", ""), documented(t, key, strings.Trim(value, "`"))
		if want != got {
			t.Errorf("%s = %s changes\n%s\nto\n%s", key, value, want, got)
		}
	}
	if tested < 40 {
		t.Errorf("%d defaults tested", tested)
	}
}

// documented reads a small configuration in which key is value, and prints the result.
func documented(t *testing.T, key, value string) string {
	t.Helper()
	table, name := "", ""
	if i := strings.LastIndexByte(key, '.'); i >= 0 {
		table, name = key[:i], key[i+1:]
	}
	endpoint := ""
	if table == "services.NAME.endpoints[]" {
		endpoint, table = ", "+name+" = "+value, ""
	}
	tables := map[string]string{
		"listeners.NAME": "address = \":1\"\n", "routes.NAME": "service = \"NAME\"\n",
		"services.NAME": "endpoints = [{ url = \"http://10.0.0.1\"" + endpoint + " }]\n",
	}
	if _, named := tables[table]; table != "" && !named {
		tables[table] = ""
	}
	var b strings.Builder
	for header, body := range tables {
		fmt.Fprintf(&b, "[%s]\n%s", header, body)
		if header == table {
			fmt.Fprintf(&b, "%s = %s\n", name, value)
		}
	}
	c, faults := Parse("x", []byte(b.String()))
	if len(faults) > 0 {
		t.Fatalf("%s = %s: %v", key, value, faults)
	}
	c.Admin.Explicit = false
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

// TestDocsShowSameRules: the two routes of which it says that they mean the same.
func TestDocsShowSameRules(t *testing.T) {
	_, rest, _ := strings.Cut(readDoc(t), "```toml\n[routes.sugar]\n")
	text, _, _ := strings.Cut(rest, "```\n")
	c, faults := Parse("x", []byte("[routes.sugar]\n"+text+"[listeners.a]\naddress = \":1\"\n"+
		"[services.app]\nendpoints = \"http://10.0.0.1\"\n"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	one, other := expanded(t, c.Routes[0]), expanded(t, c.Routes[1])
	if len(c.Routes) != 2 || one != other {
		t.Errorf("%s\nis not\n%s", one, other)
	}
}

func expanded(t *testing.T, r *Route) string {
	t.Helper()
	x, err := r.Rule.Expand()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%+v", x.Alternatives)
}

// TestExamples: each loads, says how to run it, and fits a terminal.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*.toml")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, path := range append(files, "../examples/conf.d") {
		if _, faults := Load([]string{path}); len(faults) > 0 {
			t.Error(faults)
		}
		texts := []string{path}
		if filepath.Ext(path) != ".toml" {
			if texts, err = filepath.Glob(path + "/*"); err != nil || len(texts) < 3 {
				t.Errorf("%s has %q, %v", path, texts, err)
			}
		}
		all := ""
		for _, file := range texts {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all += string(text)
		}
		command := "#   uringproxy run --config examples/" + filepath.Base(path)
		if !strings.Contains(all, command) {
			t.Errorf("%s does not say %q", path, command)
		}
		for line := range strings.SplitSeq(all, "\n") {
			if len([]rune(line)) > 100 {
				t.Errorf("%s: line of %d columns: %s", path, len(line), line)
			}
		}
	}
}
