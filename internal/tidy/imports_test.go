package tidy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// edges is the import graph of the module, tests left out: a package, a colon, and what of ours it may import. An edge
// that is not here is refused, and so is one that is no longer used. Do not add one to make a build pass: say first why
// the package's own sentence in ARCHITECTURE.md still holds.
const edges = `
	internal/invariant:
	internal/suggest:
	internal/words:
	internal/unixpath:
	internal/hugepage:
	internal/breath:
	internal/sched:
	internal/tidy:

	engine/mem:        internal/invariant
	engine:            engine/mem internal/invariant
	engine/udp:        engine engine/mem
	engine/uring:      engine engine/mem engine/udp internal/invariant
	engine/epoll:      engine engine/mem engine/udp internal/invariant
	engine/sim:        engine engine/mem
	engine/enginetest: engine engine/mem engine/sim
	engine/probe:      engine engine/mem engine/epoll engine/uring

	metrics:
	metrics/expose:    metrics tls/hello tls/alert
	accesslog:         metrics internal/invariant
	accesslog/sink:    accesslog
	shard:             engine engine/mem plan internal/invariant internal/sched
	proxy/h1:          internal/invariant
	proxy/proxyproto:
	tls/alert:
	tls/hello:         internal/invariant tls/alert
	proxy:             engine engine/mem shard proxy/h1 plan routing/urlpath metrics accesslog routing
	proxy:             tls/alert tls/hello tls/record tls/handshake proxy/proxyproto

	routing/regset:
	routing/urlpath:
	routing/rule:      routing/regset routing/urlpath internal/suggest
	routing:           routing/rule routing/regset
	plan:              routing routing/urlpath tls/handshake
	config:            plan routing routing/rule internal/suggest internal/breath internal/words
	control/watch:     config
	control:           config control/watch plan routing metrics internal/hugepage internal/breath
	control:           tls/certs tls/handshake
	inspect:           config routing routing/rule routing/regset routing/urlpath internal/words tls/hello tls/certs
	inspect:           tls/handshake plan

	tls/certs:         internal/breath
	tls/record:        internal/invariant tls/alert
	tls/handshake:     tls/alert tls/certs tls/record internal/sched

	demo:
	server:            engine engine/mem engine/uring engine/epoll engine/udp engine/probe
	admin:             internal/unixpath
	server:            admin shard proxy plan config control accesslog accesslog/sink metrics demo internal/unixpath
	server:            inspect routing routing/rule metrics/expose internal/words tls/certs tls/handshake
	cmd/uringproxy:    server admin config inspect engine/probe internal/suggest internal/words
	perf/peer:
	perf/result:
	perf/report:       perf/result perf/histogram internal/words
	perf/histogram:
	perf/chunked:
	perf/load:         perf/histogram perf/chunked tls/record
	perf/origin:       perf/load perf/chunked
	perf/bench:        perf/peer perf/load perf/origin perf/result perf/histogram internal/suggest internal/words
	cmd/uringproxy:    perf/bench perf/report perf/result tls/certs tls/handshake
	perf/gate:         perf/report perf/result
	e2e:
`

// unreachable are the walls: from the first no import, however indirect, leads to the second.
var unreachable = [][2]string{
	{"config", "engine"}, {"config", "shard"}, {"config", "proxy"},
	{"control", "engine"}, {"control", "shard"}, {"control", "proxy"},
	{"admin", "engine"}, {"admin", "shard"}, {"admin", "proxy"},
	{"inspect", "engine"}, {"inspect", "shard"}, {"inspect", "proxy"},
	{"engine", "admin"}, {"shard", "admin"}, {"proxy", "admin"},
	{"plan", "engine"}, {"routing", "engine"}, {"metrics", "engine"},
	{"shard", "config"}, {"shard", "control"}, {"shard", "server"},
	{"proxy", "config"}, {"proxy", "control"}, {"proxy", "server"},
	{"proxy", "engine/uring"}, {"proxy", "engine/epoll"}, {"shard", "engine/uring"}, {"shard", "engine/epoll"},
}

// importers says who may use what is not ours: one package a library, so that it can be exchanged in one place.
// Only golang.org/x/sys, which is the kernel's interface and no library, is open to all who talk to the kernel.
var importers = map[string][]string{
	"github.com/BurntSushi/toml":              {"config"},
	"github.com/fsnotify/fsnotify":            {"control/watch"},
	"github.com/pawelgaczynski/giouring":      {"engine/uring"},
	"github.com/santhosh-tekuri/jsonschema":   {"config"}, // in tests
	"github.com/panjf2000/gnet/v2/pkg/socket": {"server"},
	"github.com/panjf2000/gnet/v2":            {"perf"},
	"github.com/HdrHistogram/hdrhistogram-go": {"perf/histogram"},
	"github.com/prometheus/client_golang":     {"metrics/expose"}, // in tests, and so is the next
	"github.com/prometheus/common":            {"metrics/expose"},
	"golang.org/x/crypto/chacha20poly1305":    {"tls/record"},
	"golang.org/x/crypto/ocsp":                {"tls/certs"},
	"golang.org/x/net/idna":                   {"routing/rule"},
	"golang.org/x/net/websocket":              {"e2e"}, // in tests
	"golang.org/x/sys/unix":                   {"*"},
	// Where bytes are the kernel's or are mapped, and where a string is read as bytes without a copy.
	"unsafe": {
		"engine", "engine/mem", "engine/uring", "engine/epoll", "engine/udp", "engine/probe", "accesslog", "perf/load",
		"perf/origin",
	},
}

// testOnly are the packages that only _test.go files import.
var testOnly = []string{"engine/sim", "engine/enginetest", "e2e"}

// parseEdges reads the text above.
func parseEdges(text string) map[string][]string {
	allowed := map[string][]string{}
	for line := range strings.Lines(text) {
		if pkg, list, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			allowed[pkg] = append(allowed[pkg], strings.Fields(list)...)
		}
	}
	return allowed
}

// graph is the import graph of the files that are not tests.
func graph(files []*file) map[string][]string {
	g := map[string][]string{}
	for _, f := range files {
		if f.test {
			continue
		}
		for _, imported := range f.imports() {
			if ours(imported, files) && !slices.Contains(g[f.pkg], imported) {
				g[f.pkg] = append(g[f.pkg], imported)
			}
		}
		if g[f.pkg] == nil {
			g[f.pkg] = []string{}
		}
	}
	return g
}

// compareEdges finds what the graph has beyond the text, and what the text allows in vain between packages that exist.
func compareEdges(g, allowed map[string][]string) []fault {
	var faults []fault
	for _, pkg := range slices.Sorted(maps.Keys(g)) {
		list, known := allowed[pkg]
		if !known {
			faults = append(faults, fault(pkg+": is not in the list of edges: add a line for it"))
			continue
		}
		for _, imported := range g[pkg] {
			if !slices.Contains(list, imported) {
				faults = append(faults, fault(fmt.Sprintf("%s: may not import %s", pkg, imported)))
			}
		}
		for _, imported := range list {
			if _, exists := g[imported]; exists && !slices.Contains(g[pkg], imported) {
				faults = append(faults, fault(pkg+": imports "+imported+" no longer: take the edge out"))
			}
		}
	}
	return faults
}

// wayTo finds a chain of imports; nil when there is none.
func wayTo(g map[string][]string, from, to string, seen map[string]bool) []string {
	if from == to {
		return []string{to}
	}
	if seen[from] {
		return nil
	}
	seen[from] = true
	for _, next := range g[from] {
		if way := wayTo(g, next, to, seen); way != nil {
			return append([]string{from}, way...)
		}
	}
	return nil
}

// checkForeign finds imports of libraries by packages that are not their importers.
func checkForeign(f *file, files []*file) []fault {
	var faults []fault
	for _, imported := range f.imports() {
		if ours(imported, files) || imported == "unsafe" && (f.test || slices.Contains(testOnly, f.pkg)) {
			continue
		}
		who, listed := foreign(imported)
		switch first, _, _ := strings.Cut(imported, "/"); {
		case !listed && strings.Contains(first, "."):
			faults = append(faults, fault(f.path+": imports "+imported+", which is no dependency of ours"))
		case listed && !slices.Contains(who, f.pkg) && !slices.Contains(who, "*"):
			faults = append(faults, fault(fmt.Sprintf("%s: imports %s, which only %s may", f.path, imported,
				strings.Join(who, ", "))))
		}
	}
	return faults
}

// foreign looks an import up in importers, by the longest entry that contains it.
func foreign(imported string) (who []string, listed bool) {
	longest := ""
	for library, w := range importers {
		if (imported == library || strings.HasPrefix(imported, library+"/")) && len(library) > len(longest) {
			longest, who, listed = library, w, true
		}
	}
	return who, listed
}

func TestImportEdges(t *testing.T) {
	report(t, compareEdges(graph(goFiles(t)), parseEdges(edges)))
}

func TestImportWalls(t *testing.T) {
	g := graph(goFiles(t))
	for _, wall := range unreachable {
		if way := wayTo(g, wall[0], wall[1], map[string]bool{}); way != nil {
			t.Errorf("%s must not reach %s: %s", wall[0], wall[1], strings.Join(way, " -> "))
		}
	}
}

func TestForeignImports(t *testing.T) {
	files := goFiles(t)
	for _, f := range files {
		report(t, checkForeign(f, files))
	}
}

func TestTestOnlyPackages(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, imported := range f.imports() {
			if slices.Contains(testOnly, imported) && !f.test && !slices.Contains(testOnly, f.pkg) {
				t.Errorf("%s: imports %s, which is for _test.go files", f.path, imported)
			}
		}
	}
}

func TestImportRulesFindFaults(t *testing.T) {
	files := []*file{
		parse(t, "a/a.go", `package a; import ("`+module+`/b"; "os")`),
		parse(t, "b/b.go", `package b; import "`+module+`/c"`),
		parse(t, "c/c.go", `package c`),
		parse(t, "c/c_test.go", `package c; import "`+module+`/a"`),
		parse(t, "d/d.go", `package d
			import ("github.com/BurntSushi/toml"; "example.org/x"; "golang.org/x/sys/unix")`),
	}
	g := graph(files)
	got := compareEdges(g, parseEdges("a: c\nb: c later\nc:"))
	want := []fault{
		"a: may not import b",
		"a: imports c no longer: take the edge out",
		"d: is not in the list of edges: add a line for it",
	}
	if !slices.Equal(got, want) {
		t.Errorf("faults %q, want %q", got, want)
	}
	if way := wayTo(g, "a", "c", map[string]bool{}); !slices.Equal(way, []string{"a", "b", "c"}) {
		t.Errorf("way %q", way)
	}
	if way := wayTo(g, "c", "a", map[string]bool{}); way != nil {
		t.Errorf("a test's import counts: %q", way)
	}
	if got := checkForeign(files[4], files); len(got) != 2 {
		t.Errorf("foreign imports: %q", got)
	}
}
