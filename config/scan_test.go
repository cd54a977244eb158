package config

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const mixed = `# comment with [brackets] and = signs
title = "a \" b # no comment" # comment
dotted . "key with ]" . x = 1

[table.sub]
list = [ # comment ]
  "one", 'two ] "',
  """three
  lines " "" ]""",
  [1, 2],
  { a = 1, "b c".d = [ { e = 2 } ] },
]
date = 1979-05-27 07:32:00
"esc\u0061ped" = true
'lit\eral' = '''x'''''
inline = {
  a = 1, # TOML 1.1
  b = 2,
}

[[servers]]
name = "a"
[servers.meta]
x = 1
[[servers]]
name = "b"
[[servers.nested]]
y = 1
[[servers.nested]]
[table]
`

func TestPositions(t *testing.T) {
	src := newSource("mixed.toml", mixed)
	if _, fault := parseTOML(src); fault != nil {
		t.Fatal(fault)
	}
	places, _, _ := scan(mixed)
	resolved := func(at int) Fault {
		c := collector{faults: Faults{src.fault(at, "", "", "", "")}}
		return c.finish(nil)[0]
	}
	for path, want := range map[string]string{
		"title": "2:1 2:9", `dotted`: "3:1 3:1", `dotted."key with ]"`: "3:10 3:10",
		`dotted."key with ]".x`: "3:25 3:29",
		"table":                 "30:2 30:2", "table.sub": "5:8 5:8", "table.sub.list": "6:1 6:8",
		"table.sub.list[0]": "7:3 7:3",
		"table.sub.list[1]": "7:10 7:10", "table.sub.list[2]": "8:3 8:3", "table.sub.list[3][1]": "10:7 10:7",
		"table.sub.list[4].a": "11:5 11:9", `table.sub.list[4]."b c".d[0].e`: "11:26 11:30",
		"table.sub.date":    "13:1 13:8",
		"table.sub.escaped": "14:1 14:18", `table.sub."lit\\eral"`: "15:1 15:14", "table.sub.inline.b": "18:3 18:7",
	} {
		p, ok := places[path]
		k, v := resolved(p.key), resolved(p.value)
		if got := fmt.Sprintf("%d:%d %d:%d", k.Line, k.Column, v.Line, v.Column); !ok || got != want {
			t.Errorf("%s is at %s (%v), want %s", path, got, ok, want)
		}
	}
	for path, line := range map[string]int{
		"servers[0]": 21, "servers[0].name": 22, "servers[0].meta.x": 24, "servers[1].name": 26,
		"servers[1].nested[0].y": 28,
		"servers[1].nested[1]":   29,
	} {
		if got := resolved(places[path].key).Line; got != line {
			t.Errorf("%s is on line %d, want %d", path, got, line)
		}
	}
}

func TestParentPaths(t *testing.T) {
	for path, want := range map[string]string{
		"": "", "a": "", "a.b": "a", "a.b[3]": "a.b", `a."x.y[2]"`: "a", `a."q\"."`: "a", `"a.b"`: "",
		`a."x\\".b`: `a."x\\"`,
	} {
		if got := parent(path); got != want {
			t.Errorf("parent(%s) = %s, want %s", path, got, want)
		}
	}
}

// paths lists every path of a decoded document.
func paths(into map[string]bool, path string, v any) {
	if path != "" {
		into[path] = true
	}
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			paths(into, child(path, k), item)
		}
	case []any:
		for i, item := range v {
			paths(into, fmt.Sprintf("%s[%d]", path, i), item)
		}
	case []map[string]any:
		for i, item := range v {
			paths(into, fmt.Sprintf("%s[%d]", path, i), item)
		}
	}
}

// scan indexes text. tooDeep is the offset at which it nests too deeply, or -1; complete tells whether all of the text
// was understood.
func scan(text string) (places index, tooDeep int, complete bool) {
	s := newScanner(text)
	s.run(0, len(text))
	return s.places, s.tooDeep, !s.lost
}

// FuzzScanAgainstLibrary: of every text that the library accepts, the scanner must find the same keys.
func FuzzScanAgainstLibrary(f *testing.F) {
	f.Add(mixed)
	for _, text := range corpus(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || strings.IndexByte(text, 0) >= 0 || strings.HasPrefix(text, "\ufeff") {
			return
		}
		places, tooDeep, complete := scan(text)
		for path, p := range places {
			if p.key < 0 || p.value < p.key || p.value > len(text) {
				t.Fatalf("%s has impossible places %v in %d bytes", path, p, len(text))
			}
		}
		if tooDeep >= 0 {
			return
		}
		var root map[string]any
		if _, err := decodeTOML(text, &root); err != nil {
			return
		}
		want := map[string]bool{}
		paths(want, "", root)
		got := slices.Sorted(maps.Keys(places))
		if !complete || !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
			t.Fatalf("complete: %v\nscanner: %q\nlibrary: %q", complete, got, slices.Sorted(maps.Keys(want)))
		}
	})
}

// corpus is every configuration that the repository has.
func corpus(f testing.TB) []string {
	var all []string
	for _, pattern := range []string{"testdata/bad/*.toml", "*.toml", "../examples/*.toml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if len(text) < 10_000 {
				all = append(all, string(text))
			}
		}
	}
	return all
}

// FuzzParse: whatever the text, there is a configuration or there are faults that can be shown in one line each.
func FuzzParse(f *testing.F) {
	for _, text := range corpus(f) {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, faults := Parse("f", text)
		if (c == nil) == (len(faults) == 0) {
			t.Fatalf("config %v, faults %v", c, faults)
		}
		for _, fault := range faults {
			if strings.Contains(fault.Error(), "\n") || fault.Found == "" {
				t.Errorf("fault %q", fault.Error())
			}
			if e := fault.Excerpt(); e != "" && strings.Count(e, "\n") != 2 {
				t.Errorf("excerpt %q", e)
			}
		}
	})
}
