package tidy

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// word is a name for something that has another one here; see the glossary in ARCHITECTURE.md.
type word struct {
	name    string
	instead string
	in      []string // only in these packages; everywhere when empty
}

var words = []word{
	{"reactor", "shard", nil},
	{"downstream", "client, or session for its connection", nil},
	{"backend", "upstream or endpoint: a backend is an I/O backend", []string{"plan", "routing", "proxy/h1"}},
	{"transaction", "exchange", []string{"proxy", "proxy/h1", "accesslog", "metrics"}},
}

// vague are package names that say nothing of what is in them.
var vague = []string{"util", "utils", "common", "misc", "helper", "helpers", "base", "shared", "lib"}

// checkWords finds declared names that use a word the glossary has another one for.
func checkWords(f *file) []fault {
	var faults []fault
	if slices.Contains(vague, path.Base(f.pkg)) {
		faults = append(faults, f.faultAtLine(1, "package "+f.tree.Name.Name+": name it after what it owns"))
	}
	check := func(id *ast.Ident) {
		for _, w := range words {
			if slices.Contains(parts(id.Name), w.name) && (len(w.in) == 0 || slices.Contains(w.in, f.pkg)) {
				faults = append(faults, f.fault(id.Pos(), fmt.Sprintf("%s: say %s", id.Name, w.instead)))
			}
		}
	}
	ast.Inspect(f.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			check(n.Name)
		case *ast.TypeSpec:
			check(n.Name)
		case *ast.Field:
			for _, id := range n.Names {
				check(id)
			}
		case *ast.ValueSpec:
			for _, id := range n.Names {
				check(id)
			}
		}
		return true
	})
	return faults
}

var camel = regexp.MustCompile(`[A-Z]?[a-z0-9]+|[A-Z]+`)

// parts are the words of a name in camel case, in lower case.
func parts(name string) []string {
	words := camel.FindAllString(name, -1)
	for i, w := range words {
		words[i] = strings.ToLower(w)
	}
	return words
}

func TestWordsFindFaults(t *testing.T) {
	expect(t, checkWords, "plan/x.go", `package plan

type Reactor struct { // bad
	ring int
	theBackend int // bad
}

func downstreamOf() {} // bad
`)
	expect(t, checkWords, "internal/util/x.go", "package util // bad\n")
}
