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

// docRow is a line of the documentation that describes a key: "| `key` | type | default | meaning |".
var docRow = regexp.MustCompile("(?m)^\\| `([a-zA-Z0-9_.\\[\\]]+)` \\| ([a-z/ ]+) \\| ([^|]+) \\| [^|]+ \\|$")

func readDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// keysDoc is all that describes keys.
func keysDoc(t *testing.T) string { return readDoc(t, "configuration.md") + readDoc(t, "tls.md") }

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
		switch {
		case one.Items != nil && one.Items.AnyOf != nil && one.Items.AnyOf[1].Properties != nil:
			flatten(into, path+"[]", one.Items.AnyOf[1])
		case one.Items != nil && one.Items.Properties != nil:
			flatten(into, path+"[]", one.Items)
		case one.Properties != nil && !isList(s):
			flatten(into, path, one)
		}
	}
}

// isList tells whether s takes a list.
func isList(s *Schema) bool {
	return slices.ContainsFunc(s.AnyOf, func(one *Schema) bool { return one.Items != nil })
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
	case isList(s):
		return "list"
	case s.AnyOf != nil:
		return docType(s.AnyOf[0]) + "/" + docType(s.AnyOf[1])
	}
	return map[string]string{"integer": "count", "boolean": "yes/no", "string": "text", "object": "table"}[s.Type]
}

// TestDocsAgreeWithSchema: the same keys, with the same types and defaults.
func TestDocsAgreeWithSchema(t *testing.T) {
	known := map[string]*Schema{}
	flatten(known, "", DescribeFile())
	documented := map[string]bool{}
	for _, row := range docRow.FindAllStringSubmatch(keysDoc(t), -1) {
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
	for _, row := range docRow.FindAllStringSubmatch(keysDoc(t), -1) {
		key, value := row[1], row[3]
		if !regexp.MustCompile("^`[^`]*`$").MatchString(value) {
			if value != "required" && !regexp.MustCompile("^(any|all|as) |^none$").MatchString(value) {
				t.Errorf("%s: default %s", key, value)
			}
			continue
		}
		tested++
		want, got := documented(t, key, ""), documented(t, key, strings.Trim(value, "`"))
		if want != got {
			t.Errorf("%s = %s changes\n%s\nto\n%s", key, value, want, got)
		}
	}
	if tested < 40 {
		t.Errorf("%d defaults tested", tested)
	}
}

// around is what a table needs beside itself. A table that is not here needs nothing.
var around = []struct{ table, needs string }{
	{"listeners.NAME.redirect_https", "[listeners.NAME]\naddress = \":1\"\n"},
	{"listeners.NAME.tls.tickets", "[listeners.NAME]\naddress = \":1\"\ntls.self_signed = true\n"},
	{"listeners.NAME.tls.client_certificate", "[listeners.NAME]\naddress = \":1\"\ntls.self_signed = true\n"},
	{"listeners.NAME.tls", "[tcp_routes.NAME]\nservice = \"STREAM\"\n[services.STREAM]\nendpoints = \"tcp://10.0.0.1:1\"\n" +
		"[listeners.NAME]\naddress = \":1\"\n"},
	{"listeners.NAME.hsts", "[listeners.NAME]\naddress = \":1\"\ntls.self_signed = true\n"},
	{"services.NAME.tls", "[services.NAME]\nendpoints = \"https://10.0.0.1\"\n"},
}

// within is what stands in a table in any case.
var within = map[string]string{
	"listeners.NAME": "address = \":1\"\n", "routes.NAME": "service = \"NAME\"\n",
	"services.NAME": "endpoints = \"http://10.0.0.1\"\n", "listeners.NAME.tls": "names = {}\n",
}

// documented reads a small configuration in which key is value, or absent when there is no value, and prints the
// result.
func documented(t *testing.T, key, value string) string {
	t.Helper()
	i := strings.LastIndexByte(key, '.')
	table, name := key[:max(i, 0)], key[i+1:]
	line := ""
	if value != "" {
		line = name + " = " + value + "\n"
	}
	text := ""
	switch table {
	case "services.NAME.endpoints[]":
		if line != "" {
			line = ", " + strings.TrimSpace(line)
		}
		text = "[services.NAME]\nendpoints = [{ url = \"http://10.0.0.1\"" + line + " }]\n"
	case "listeners.NAME.tls.certificates[]":
		if line != "" {
			line = ", " + strings.TrimSpace(line)
		}
		text = "[listeners.NAME]\naddress = \":1\"\ntls.certificates = { cert = \"a\", key = \"b\"" + line + " }\n"
	case "tcp_routes.NAME", "udp_routes.NAME":
		protocol, _, _ := strings.Cut(table, "_")
		text = "[" + table + "]\nservice = \"STREAM\"\n" + line + "[listeners.STREAM]\naddress = \":2\"\n" +
			"protocol = \"" + protocol + "\"\n[services.STREAM]\nendpoints = \"" + protocol + "://10.0.0.1:1\"\n"
	default:
		for _, a := range around {
			if a.table == table {
				text = a.needs
			}
		}
		text += "[" + table + "]\n" + within[table] + line
	}
	for _, must := range []string{"listeners.NAME", "routes.NAME", "services.NAME"} {
		if !strings.Contains(text, "["+must+"]") {
			text += "[" + must + "]\n" + within[must]
		}
	}
	c, faults := Parse("x", []byte(text))
	if len(faults) > 0 {
		t.Fatalf("%s = %s: %v", key, value, faults)
	}
	c.Admin.Explicit = false
	printed, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(`"Trusted":null`, `"Trusted":[]`, `"Proxied":null`, `"Proxied":[]`).
		Replace(string(printed))
}

// TestDocsShowRealFaults: the faulty file of the chapter on faults, and what check prints.
func TestDocsShowRealFaults(t *testing.T) {
	_, chapter, _ := strings.Cut(readDoc(t, "configuration.md"), "\n## Faults\n")
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
	_, rest, _ := strings.Cut(readDoc(t, "configuration.md"), "```toml\n[routes.sugar]\n")
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

// TestDocsOfTLS: each configuration in the chapter on TLS is one, once it has what it leaves out.
func TestDocsOfTLS(t *testing.T) {
	blocks := strings.Split(readDoc(t, "tls.md"), "\n```toml\n")[1:]
	for _, block := range blocks {
		text, _, _ := strings.Cut(block, "```\n")
		for _, rest := range []struct{ table, body string }{
			{"listeners.secure", "address = \":443\"\ntls.certificate_dir = \"certs\"\n"},
			{"routes.all", "service = \"app\"\n"},
			{"services.app", "endpoints = \"http://10.0.0.1\"\n"}, {"services.legacy", "endpoints = \"http://10.0.0.2\"\n"},
		} {
			if !strings.Contains(text, "["+rest.table+"]") {
				text += "[" + rest.table + "]\n" + rest.body
			}
		}
		if _, faults := Parse("tls.md", []byte(text)); len(faults) > 0 {
			t.Errorf("%s\n%v", text, faults)
		}
	}
	if len(blocks) < 8 {
		t.Errorf("%d configurations", len(blocks))
	}
}

// TestDocsOfStreams: each configuration in the chapter on streams is one.
func TestDocsOfStreams(t *testing.T) {
	blocks := strings.Split(readDoc(t, "streams.md"), "\n```toml\n")[1:]
	for _, block := range blocks {
		text, _, _ := strings.Cut(block, "```\n")
		if _, faults := Parse("streams.md", []byte(text)); len(faults) > 0 {
			t.Errorf("%s\n%v", text, faults)
		}
	}
	if len(blocks) < 8 {
		t.Errorf("%d configurations", len(blocks))
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
