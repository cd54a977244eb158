package tidy

import (
	"fmt"
	"go/ast"
	"go/format"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Caps. What does not fit has more than one idea in it.
const (
	fileLines     = 500
	testFileLines = 800
	funcLines     = 80
	lineColumns   = 120 // with tabs of 4
)

func checkLength(f *file) []fault {
	var faults []fault
	limit := fileLines
	if f.test {
		limit = testFileLines
	}
	lines := strings.Split(strings.TrimSuffix(f.source, "\n"), "\n")
	if len(lines) > limit {
		faults = append(faults, f.faultAtLine(limit+1, fmt.Sprintf("file of %d lines: at most %d", len(lines), limit)))
	}
	for i, line := range lines {
		if n := columns(line); n > lineColumns && !strings.Contains(line, "://") {
			faults = append(faults, f.faultAtLine(i+1, fmt.Sprintf("line of %d columns: at most %d", n, lineColumns)))
		}
	}
	return faults
}

func columns(line string) int {
	return utf8.RuneCountInString(line) + 3*strings.Count(line, "\t")
}

func checkFunctions(f *file) []fault {
	var faults []fault
	for _, d := range f.tree.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || f.test {
			continue
		}
		n := f.fset.Position(fn.End()).Line - f.fset.Position(fn.Pos()).Line + 1
		if n > funcLines {
			text := fmt.Sprintf("function %s of %d lines: at most %d", fn.Name.Name, n, funcLines)
			faults = append(faults, f.fault(fn.Pos(), text))
		}
	}
	return faults
}

func checkFormat(f *file) []fault {
	if b, err := format.Source([]byte(f.source)); err != nil || string(b) != f.source {
		return []fault{f.faultAtLine(1, "not formatted: run gofmt -w")}
	}
	return nil
}

// leftovers are words of work that is not finished.
var leftovers = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK|WIP)\b|(?i:\bfor now\b)`)

func checkLeftovers(f *file) []fault {
	var faults []fault
	for _, group := range f.tree.Comments {
		for _, c := range group.List {
			if m := leftovers.FindString(c.Text); m != "" {
				text := fmt.Sprintf("%q in a comment: finish it, or open an issue", m)
				faults = append(faults, f.fault(c.Pos(), text))
			}
		}
	}
	return faults
}

// machinePaths are folders that exist on somebody's machine only.
var machinePaths = regexp.MustCompile(`/(?:root|work|home)/`)

func checkMachinePaths(name, text string) []fault {
	var faults []fault
	for i, line := range strings.Split(text, "\n") {
		if m := machinePaths.FindString(line); m != "" {
			faults = append(faults, fault(fmt.Sprintf("%s:%d: path %s… of one machine", name, i+1, m)))
		}
	}
	return faults
}

// checkPackageComments finds packages without a comment or with several, and comments with another beginning.
func checkPackageComments(files []*file) []fault {
	var faults []fault
	var pkgs []string
	comments := map[string]int{}
	for _, f := range files {
		name := f.tree.Name.Name
		if strings.HasSuffix(name, "_test") {
			continue
		}
		if !slices.Contains(pkgs, f.pkg) {
			pkgs = append(pkgs, f.pkg)
		}
		if f.tree.Doc == nil {
			continue
		}
		comments[f.pkg]++
		if begin := "Package " + name + " "; name != "main" && !strings.HasPrefix(f.tree.Doc.Text(), begin) {
			faults = append(faults, f.fault(f.tree.Doc.Pos(), "package comment: begin it with "+begin))
		}
	}
	for _, pkg := range pkgs {
		if n := comments[pkg]; n != 1 {
			faults = append(faults, fault(fmt.Sprintf("%s: %d package comments: exactly one", pkg, n)))
		}
	}
	return faults
}

func TestStyle(t *testing.T) {
	files := goFiles(t)
	rules := map[string]func(*file) []fault{
		"length": checkLength, "functions": checkFunctions, "gofmt": checkFormat, "leftovers": checkLeftovers,
		"commented-out code": checkDeadCode, "words": checkWords,
	}
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			for _, f := range files {
				report(t, rule(f))
			}
		})
	}
	t.Run("package comments", func(t *testing.T) { report(t, checkPackageComments(files)) })
}

func TestStyleFindsFaults(t *testing.T) {
	long := strings.Repeat("x", lineColumns)
	expect(t, checkLength, "a/a.go", "package a\n\nvar "+long+" int // bad\n\n// http://"+long+"\n")
	body := strings.Repeat("\t_ = 0\n", funcLines-1)
	expect(t, checkFunctions, "a/a.go", "package a\n\nfunc f() { // bad\n"+body+"}\n")
	expect(t, checkFormat, "a/a.go", "package a // bad\nvar  x int\n")
	expect(t, checkLeftovers, "a/a.go",
		"package a\n\nvar x = `TODO`\nvar y int // FIXME later // bad\nvar z int // good for now // bad\n")
	if got := checkMachinePaths("a", "x\ny /ro"+"ot/z\n"); len(got) != 1 || !strings.HasPrefix(string(got[0]), "a:2:") {
		t.Errorf("machine paths: %q", got)
	}
	got := checkPackageComments([]*file{
		parse(t, "a/a.go", "// Package a is.\npackage a\n"), parse(t, "a/b.go", "package a\n"),
		parse(t, "b/a.go", "package b\n"), parse(t, "b/a_test.go", "// Tests.\npackage b_test\n"),
		parse(t, "c/a.go", "// Package c is.\npackage c\n"), parse(t, "c/b.go", "// It is.\npackage c\n"),
	})
	if !slices.Equal(got, []fault{
		"c/b.go:1: package comment: begin it with Package c ",
		"b: 0 package comments: exactly one",
		"c: 2 package comments: exactly one",
	}) {
		t.Errorf("package comments: %q", got)
	}
}
