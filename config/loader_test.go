package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// report prints the outcome of a load, so that two of them can be compared.
func report(c *Config, faults Faults) string {
	if c != nil {
		bare := *c
		bare.files = nil
		return fmt.Sprintf("%+v\n%s", bare, values(c))
	}
	var b strings.Builder
	for _, f := range faults {
		b.WriteString(f.Error() + "\n" + f.Excerpt())
	}
	return b.String()
}

func values(c *Config) string {
	var b strings.Builder
	for _, l := range c.Listeners {
		fmt.Fprintf(&b, "%s\n", inside(*l))
	}
	for _, r := range c.Routes {
		fmt.Fprintf(&b, "%s %v %v %d %s\n", r.Name, r.Listeners, r.Service, r.Priority, r.Rule.String())
	}
	for _, r := range c.Streams {
		fmt.Fprintf(&b, "%s %v %v %d %s\n", r.Name, r.Listeners, r.Service, r.Priority, r.Rule.String())
	}
	for _, s := range c.Services {
		fmt.Fprintf(&b, "%s\n", inside(*s))
	}
	return b.String()
}

// inside is v with what it points to.
func inside(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// same compares two outcomes.
func same(t *testing.T, what string, c *Config, faults Faults, want *Config, wantFaults Faults) {
	t.Helper()
	if (c == nil) != (want == nil) {
		t.Fatalf("%s: faults\n%s\nwant\n%s", what, report(nil, faults), report(nil, wantFaults))
	}
	if c == nil {
		if got, want := report(nil, faults), report(nil, wantFaults); got != want {
			t.Fatalf("%s: faults\n%s\nwant\n%s", what, got, want)
		}
		return
	}
	a, b := *c, *want
	a.files, b.files = nil, nil
	if got, want := values(c), values(want); got != want {
		t.Fatalf("%s:\n%s\nwant\n%s", what, got, want)
	}
	a.Routes, b.Routes, a.Streams, b.Streams = nil, nil, nil, nil // the places in rules' texts may differ
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("%s:\n%+v\nwant\n%+v", what, a, b)
	}
}

// loadWhole is what all loading is measured by: the library reads all of the text.
func loadWhole(name, text string) (*Config, Faults) {
	src := newSource(name, text)
	g := &loading{last: NewLoader(), next: &Loader{}, files: []string{name}}
	r, fault := reviseWhole(nil, src, func(tableName) *unit { return nil })
	if fault != nil {
		g.syntax = append(g.syntax, *fault)
	} else {
		g.revs, g.next.files = []*revision{r}, []*document{r.doc}
	}
	return g.conclude(name)
}

// readable tells whether a text gets as far as the library.
func readable(text string) bool {
	_, tooDeep, _ := scan(text)
	return utf8.ValidString(text) && !strings.ContainsRune(text, 0) && tooDeep < 0 && !strings.HasPrefix(text, "\ufeff")
}

const several = `# first
[limits] # of all
max_connections = 7
[routes.a]
service = "s" # not [routes.x]
[routes.b]
host = ["b.test", '''
c.test''']
service = "s"

[services.s]
endpoints = ["http://10.0.0.1"]
[routes.a.headers]
X = """
[routes.b]
"""
[routes."c.d"] # quoted
service = "s"
[listeners.'web']
address = ":1"
[log]
[log.access]
path = "x"
`

// FuzzCutAgainstWhole: a text that is read table by table gives what it gives when it is read whole.
func FuzzCutAgainstWhole(f *testing.F) {
	for _, text := range append(corpus(f), several, mixed,
		"[routes.a]\n[routes]\n", "[[routes.a]]\n[[routes.a]]\n", "[routes.a]\nx=1\n[routes.a]\ny=1\n",
		"routes.a.service = 1\n[routes.b]\n", "[routes.a]\n[routes.a.b]\n[routes.a.b]\n", "[routes.a\n[routes.b]\n",
		"[listeners.a]\nx = [\n[routes.a]\n", "[listeners.a]\nx = \"\"\"\n[routes.a]\n", "routes = 1\n",
		"routes = {}\n",
		"[routes.a]\r\nx=1\r[routes.b]\n", "\t[routes.a]\n  [ routes . b ]\n", "[routes.\"\\u0061\"]\n[routes.a]\n",
		"[services.a]\nendpoints = [\"http://a\", \"http://b\",] # x\nx = -0\ny = 01\nz = \"\"\"\"\"\"\n",
		"[routes.a]\nx = \"\t\\u0041\"\ny = true\nz = [\"a\" \"b\"]\nx = 1\n", "[routes.a] # \x01\nx = -12\n",
		"[services.a]\n= 1\n[limits]\n= 1\n", "[limits]\nx.y = 1\n[limits.x]\n", "a=1\n[routes.a]\n[a]\n",
	) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !readable(text) {
			return
		}
		want, wantFaults := loadWhole("f", text)
		c, faults := Parse("f", []byte(text))
		same(t, "cut", c, faults, want, wantFaults)
	})
}

// FuzzReload: a text that is read after another gives what it gives by itself, and what is the same stays the same.
func FuzzReload(f *testing.F) {
	for _, text := range append(corpus(f), several) {
		f.Add(text, uint16(len(text)/2), uint16(3), "[routes.new]\nservice = \"s\"\n")
		f.Add(text, uint16(len(text)/3), uint16(len(text)/3), "")
	}
	f.Add(several, uint16(strings.Index(several, "[services.s]")), uint16(12), "[services.t]")
	f.Add(several, uint16(strings.Index(several, "[routes.b]")), uint16(0), "path = \"/x\"\n")
	f.Fuzz(func(t *testing.T, text string, at, drop uint16, insert string) {
		from := min(int(at), len(text))
		next := text[:from] + insert + text[min(from+int(drop), len(text)):]
		if !readable(text) || !readable(next) {
			return
		}
		l := NewLoader()
		load := func(text string) (*Config, Faults) {
			in := revised{source: newSource("f", text)}
			if len(l.files) > 0 {
				var err error
				in, err = readChange(strings.NewReader(text), len(text), l.files[0].src, nil)
				if err != nil || in.text() != text {
					t.Fatalf("read %+v, %v, want %q", in, err, text)
				}
			}
			return l.load("f", []revised{in})
		}
		before, _ := load(text)
		c, faults := load(next)
		want, wantFaults := Parse("f", []byte(next))
		same(t, "reload", c, faults, want, wantFaults)
		if before != nil && c != nil {
			for _, r := range c.Routes {
				for _, old := range before.Routes {
					if old != r && reflect.DeepEqual(old, r) {
						t.Fatalf("route %s was made anew", r.Name)
					}
				}
			}
		}
		if before == nil {
			return
		}
		again, faults := load(text)
		same(t, "back", again, faults, before, nil)
	})
}

// writeFiles makes a directory with files; a text of "-" takes one away.
func writeFiles(t testing.TB, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if text == "-" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

const (
	mainText = "[listeners.web]\naddress = \":1\"\n[limits]\nmax_connections = 5\n[log]\nlevel = \"warn\"\n"
	shopText = "[routes.shop]\nhost = \"shop.test\"\nservice = \"shop\"\n[services.shop]\nendpoints = \"http://10.0.0.1\"\n"
	blogText = "[routes.blog]\nhost = \"blog.test\"\nservice = \"shop\"\n[log.access]\npath = \"stderr\"\n"
)

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"main.toml": mainText, "b.toml": shopText, "c.toml": blogText,
		".hidden.toml": "x", "notes.txt": "x", "sub.toml/x.toml": "x", "sub/y.toml": "x",
	})
	c, faults := Load([]string{dir})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	if len(c.Routes) != 2 || c.Limits.Connections != 5 || c.AccessLog.Path != "stderr" || c.LogLevel != 4 ||
		c.Source != dir {
		t.Errorf("%+v", c)
	}
	byHand := []string{dir + "/main.toml", dir + "/b.toml", dir, dir + "/./c.toml"}
	if c, faults = Load(byHand); len(faults) > 0 || len(c.Routes) != 2 || c.Source != strings.Join(byHand, ", ") {
		t.Errorf("%v, %+v", faults, c)
	}
}

// TestKubernetesDirectory: links in the directory lead through one that is exchanged as a whole.
func TestKubernetesDirectory(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"..1/all.toml": mainText + shopText, "..2/all.toml": mainText + shopText + blogText,
	})
	link := func(to, from string) {
		t.Helper()
		if err := os.Symlink(to, from+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(from+".new", from); err != nil {
			t.Fatal(err)
		}
	}
	link("..1", dir+"/..data")
	link("..data/all.toml", dir+"/all.toml")
	l := NewLoader()
	for _, routes := range []int{1, 2} {
		link(fmt.Sprintf("..%d", routes), dir+"/..data")
		c, faults := l.Load([]string{dir})
		if len(faults) > 0 || len(c.Routes) != routes {
			t.Fatalf("%v, %+v", faults, c)
		}
	}
}

func TestConflicts(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"a.toml": mainText, "b.toml": shopText,
		"c.toml": "\n" + shopText + "[limits]\nmax_connections = 6\nheader_count = 50\n" +
			"[routes.x]\nservice = \"none\"\n",
		"d.toml": "log = 1\n",
	})
	_, faults := Load([]string{dir})
	const twice = "found a second definition of the same key, expected each key and each table in one file; " +
		"the first is at "
	want := []string{
		"c.toml:2:9: routes.shop: TWICE b.toml:1",
		"c.toml:5:11: services.shop: TWICE b.toml:4",
		"c.toml:8:1: limits.max_connections: TWICE a.toml:4",
		"c.toml:11:11: routes.x.service: found \"none\", which is no service, expected shop",
		"d.toml:1:1: log: TWICE a.toml:5",
	}
	got := strings.ReplaceAll(strings.ReplaceAll(faults.Error(), twice, "TWICE "), dir+"/", "")
	if got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
	if files := faults.Files(); len(files) != 2 {
		t.Errorf("files %q", files)
	}
}

// TestReloadOfFiles: files change, come and go, and every step gives what loading from nothing gives.
func TestReloadOfFiles(t *testing.T) {
	dir := t.TempDir()
	l := NewLoader()
	moved := "[services.shop]\nendpoints = \"http://10.0.0.1\"\n"
	whole := "routes = { inline = { service = \"shop\" } }\n"
	for i, step := range []map[string]string{
		{"a.toml": mainText, "b.toml": shopText},
		{"c.toml": blogText},
		{"b.toml": strings.Replace(shopText, "10.0.0.1", "10.0.0.2", 1)},
		{"b.toml": shopText + "\n# a comment\n"},
		{"b.toml": "[routes.shop]\nservice = \"none\"\n"},
		{"b.toml": "[routes.shop\n"},
		{"b.toml": shopText},
		{"b.toml": "-", "c.toml": "-"},
		{"b.toml": strings.TrimSuffix(shopText, moved), "c.toml": moved},
		{"c.toml": ""},
		{"c.toml": moved, "e.toml": "[routes.e]\nlisteners = [\"web\"]\nservice = \"shop\"\n" +
			"[routes.f]\nlisteners = \"web\"\nservice = \"shop\"\n"},
		{"a.toml": strings.Replace(mainText, "web", "other", 1), "c.toml": strings.Replace(moved, "shop", "x", 1)},
		{"a.toml": mainText, "c.toml": "-", "e.toml": "-"},
		{"b.toml": shopText, "c.toml": whole},
		{"c.toml": whole + "x = 1"},
		{"c.toml": blogText, "d.toml": ""},
		{"c.toml": "", "d.toml": blogText},
		{"a.toml": "-", "z.toml": mainText},
	} {
		writeFiles(t, dir, step)
		c, faults := l.Load([]string{dir})
		want, wantFaults := Load([]string{dir})
		same(t, fmt.Sprintf("step %d", i), c, faults, want, wantFaults)
	}
}

// TestSameValues: what did not change is the same value.
func TestSameValues(t *testing.T) {
	dir := t.TempDir()
	path := []string{dir}
	l := NewLoader()
	load := func(text string) *Config {
		t.Helper()
		writeFiles(t, dir, map[string]string{"a.toml": text})
		c, faults := l.Load(path)
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		return c
	}
	base := mainText + shopText + blogText
	first := load(base)
	for what, text := range map[string]string{
		"nothing": base, "a comment": "# x\n" + base, "a setting": strings.Replace(base, "= 5", "= 6", 1),
		"the order": blogText + mainText + shopText, "another route": base + "[routes.x]\nservice = \"shop\"\n",
		"a comment in a table": strings.Replace(base, "= \"blog.test\"", "= \"blog.test\" # x", 1),
		"another way to write": "routes.blog = { service = \"shop\", host = [\"blog.test\"] }\n[log.access]\n" +
			"path = \"stderr\"\n" + mainText + shopText,
	} {
		c := load(text)
		if c.Routes[0] != first.Routes[0] || c.Routes[1] != first.Routes[1] || c.Services[0] != first.Services[0] ||
			c.Listeners[0] != first.Listeners[0] {
			t.Errorf("after a change of %s, values are new", what)
		}
	}
	other := load(strings.Replace(base, "blog.test", "b.test", 1))
	if other.Routes[0] == first.Routes[0] || other.Routes[1] != first.Routes[1] {
		t.Error("a changed route is the same, or an unchanged one is new")
	}
}

func TestChanges(t *testing.T) {
	l := NewLoader()
	load := func(text string) *Config {
		t.Helper()
		c, faults := l.load("f", []revised{{source: newSource("f", text)}})
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		return c
	}
	const none = "{{[] [] []} {[] [] []} {[] [] []} {[] [] []} false}"
	base := mainText + shopText + blogText
	for what, text := range map[string]string{
		none: base + "# x",
		"{{[] [] []} {[] [] []} {[] [] []} {[] [] []} true}":      strings.Replace(base, "= 5", "= 6", 1),
		"{{[] [] []} {[] [] [blog]} {[] [] []} {[] [] []} false}": strings.Replace(base, "blog.test", "b.test", 1),
		"{{[] [] []} {[a x] [] []} {[] [] []} {[] [] []} false}": base +
			"[routes.x]\nservice = \"shop\"\n[routes.a]\nservice = \"shop\"",
		"{{[] [] []} {[] [blog] []} {[] [] []} {[] [] []} true}": mainText + shopText,
		"{{[a] [web] []} {[] [] []} {[] [] []} {[] [] [shop]} false}": strings.NewReplacer(
			"listeners.web", "listeners.a", "0.1\"", "0.2\"").Replace(base),
	} {
		first := load(base)
		changes := load(text).Changes(first)
		if got := fmt.Sprint(changes); got != what || changes.Any() == (what == none) {
			t.Errorf("got %s, want %s", got, what)
		}
	}
}

// TestLateFaults: what only shows after loading is at the place of its key, in the right file.
func TestLateFaults(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"a.toml": mainText, "b.toml": shopText,
		"c.toml": "routes = { in = { service = \"shop\" } }\n", "d.toml": blogText,
	})
	c, faults := Load([]string{dir})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for key, want := range map[string]string{
		"services.shop.endpoints": "/b.toml:5:13", "routes.in.service": "/c.toml:1:29",
		"limits.max_connections": "/a.toml:4:19",
		"log.access.path":        "/d.toml:5:8", "listeners.web": "/a.toml:1:12", Path("services", "none"): "",
	} {
		if got := c.Fault(key, "x", "", "").Error(); got != dir+want+": "+key+": found x" {
			t.Errorf("%s: %s", key, got)
		}
	}
}
