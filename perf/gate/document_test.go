package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/uringproxy/uringproxy/perf/bench"
)

// root is the module's folder, seen from this one.
const root = "../.."

// document is PERFORMANCE_CONTRACT.md, whole and as the cells of its tables' rows.
func document(t *testing.T) (text string, rows [][]string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, "PERFORMANCE_CONTRACT.md"))
	if err != nil {
		t.Fatal(err)
	}
	const escaped = "\x00"
	for line := range strings.Lines(strings.ReplaceAll(string(b), `\|`, escaped)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		var cells []string
		for _, cell := range strings.Split(strings.Trim(line, "|"), "|") {
			cells = append(cells, strings.TrimSpace(strings.ReplaceAll(cell, escaped, "|")))
		}
		rows = append(rows, cells)
	}
	return strings.ReplaceAll(string(b), `\|`, "|"), rows
}

var rowID = regexp.MustCompile(`^\d+[b-d]?$`)

// The limits of the document are those of the gate, row by row, in both directions.
func TestDocumentIsTheContract(t *testing.T) {
	quoted := func(names ...string) string { return "`" + strings.Join(names, "`, `") + "`" }
	var want []string
	for _, r := range peerRows {
		want = append(want, fmt.Sprintf("%s: %s: %.2f %.2f %.2f", r.id, quoted(r.scenario), r.limits[0], r.limits[1],
			r.limits[2]))
	}
	want = append(want,
		fmt.Sprintf("10: %s: %.2f", quoted(reload), reloadLimit),
		fmt.Sprintf("11: `go test -bench Match ./routing`: %d µs", matchLimit/1000),
		fmt.Sprintf("12: %s: %.2f", quoted(engineScenarios...), engineLimit),
		fmt.Sprintf("13: `make perf-gate`: %.2f", baseLimit),
		fmt.Sprintf("14: %s: %.2f", quoted(tlsFlood), floodLimit))
	text, rows := document(t)
	var got []string
	for _, cells := range rows {
		if rowID.MatchString(cells[0]) {
			got = append(got, cells[0]+": "+cells[2]+": "+strings.Join(cells[3:], " "))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the document has\n%s\nand the gate\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, limit := range []string{
		fmt.Sprintf("more than %d µs is a fault", matchBug/1000),
		fmt.Sprintf("at most %.2f in two of them", engineBetter),
		"among 1, 1,000, 100,000 and 1,000,000 routes",
	} {
		if !strings.Contains(text, limit) {
			t.Errorf("the document does not say %q", limit)
		}
	}
}

// Every line of the document has a command that enforces it, or says what has to be there before it can have one.
func TestEachLineIsEnforced(t *testing.T) {
	_, rows := document(t)
	for _, cells := range rows {
		by := cells[len(cells)-1]
		if rowID.MatchString(cells[0]) {
			by = cells[2]
		}
		head := slices.Contains([]string{"not allowed", "figure", "row"}, cells[0])
		if !head && !strings.Contains(by, "`") && !strings.HasPrefix(by, "not yet: ") {
			t.Errorf("%s: %q enforces nothing", cells[0], by)
		}
	}
}

var (
	command   = regexp.MustCompile("`([^`]+)`")
	indented  = regexp.MustCompile(`(?m)^    (\S.*?)(?:  .*)?$`)
	testFlag  = regexp.MustCompile(`-(run|bench) ('[^']*'|\S+)`)
	pkg       = regexp.MustCompile(`\./\S+`)
	makeWords = regexp.MustCompile(`^make ([a-z-]+)`)
	metric    = regexp.MustCompile(`^uringproxy_[a-z_]+$`)
)

// Whatever the document says can be run exists: tests, benchmarks, packages, targets, scenarios and metrics.
func TestCommandsExist(t *testing.T) {
	text, _ := document(t)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	var scenarios []string
	for _, s := range bench.List(bench.Options{}) {
		scenarios = append(scenarios, s.Name)
	}
	found := 0
	for _, m := range append(command.FindAllStringSubmatch(text, -1), indented.FindAllStringSubmatch(text, -1)...) {
		line := m[1]
		target := makeWords.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(line, "go test "):
			checkTests(t, line)
		case target != nil:
			if !strings.Contains(string(makefile), "\n"+target[1]+":") {
				t.Errorf("%s: there is no such target", line)
			}
		case strings.HasPrefix(line, "go run "), strings.HasPrefix(line, "perf/"):
			checkPaths(t, line)
		case metric.MatchString(line):
			checkMetric(t, line)
		case strings.HasPrefix(line, "uringproxy bench"), strings.HasPrefix(line, "--"), line == "/metrics":
		case !slices.Contains(scenarios, line):
			t.Errorf("%s: neither a command nor a scenario; scenarios are %v", line, scenarios)
		}
		found++
	}
	if found < 40 {
		t.Errorf("%d commands found, expected more", found)
	}
}

// The benchmarks that perf/README.md names exist.
func TestBenchmarksExist(t *testing.T) {
	for _, text := range sources(t, "./perf", "README.md") {
		_, section, found := strings.Cut(text, "\n## Without I/O\n")
		section, _, _ = strings.Cut(section, "\n## ")
		commands := command.FindAllStringSubmatch(section, -1)
		if !found || len(commands) < 10 {
			t.Errorf("%d benchmarks found, expected more", len(commands))
		}
		for _, m := range commands {
			checkTests(t, strings.ReplaceAll(m[1], "-run '^$' ", ""))
		}
	}
}

func checkPaths(t *testing.T, line string) {
	t.Helper()
	path := strings.Fields(strings.TrimPrefix(line, "go run "))[0]
	if _, err := os.Stat(filepath.Join(root, path)); err != nil {
		t.Errorf("%s: %v", line, err)
	}
}

// checkTests looks for each test or benchmark of a go test command in one of its packages, and for one in each package.
func checkTests(t *testing.T, line string) {
	t.Helper()
	m := testFlag.FindStringSubmatch(line)
	if m == nil {
		t.Errorf("%s: names no test", line)
		return
	}
	kind := map[string]string{"run": "", "bench": "Benchmark"}[m[1]]
	names := strings.Split(strings.Trim(m[2], "'/$"), "|")
	dirs := pkg.FindAllString(line, -1)
	used := map[string]bool{}
	for _, name := range names {
		defined := regexp.MustCompile(`(?m)^func ` + kind + name + `\(`)
		for _, dir := range dirs {
			if slices.ContainsFunc(sources(t, dir, "_test.go"), defined.MatchString) {
				used[name], used[dir] = true, true
			}
		}
	}
	for _, item := range append(names, dirs...) {
		if !used[item] {
			t.Errorf("%s: nothing for %s", line, item)
		}
	}
}

// checkMetric looks for a metric in the list of all.
func checkMetric(t *testing.T, name string) {
	t.Helper()
	for _, text := range sources(t, "./docs", "metrics.md") {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("there is no metric %s", name)
		}
	}
}

// sources are the texts of a package's files with that ending.
func sources(t *testing.T, dir, ending string) (texts []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*"+ending))
	if err != nil || len(files) == 0 {
		t.Errorf("%s: no files, %v", dir, err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(b))
	}
	return texts
}
