package tidy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/uringproxy/uringproxy"

// root is the module's folder, seen from this one.
const root = "../.."

// file is one Go source file.
type file struct {
	path   string // slash-separated, from the module's root
	pkg    string // the folder of path: what the rules call a package
	test   bool   // _test.go
	source string
	fset   *token.FileSet
	tree   *ast.File
}

// fault is one violation, in the form file:line: text.
type fault string

func (f *file) fault(at token.Pos, text string) fault {
	return fault(f.path + ":" + strconv.Itoa(f.fset.Position(at).Line) + ": " + text)
}

func (f *file) faultAtLine(line int, text string) fault {
	return fault(f.path + ":" + strconv.Itoa(line) + ": " + text)
}

// imports are the paths that f imports; ours without the module's name.
func (f *file) imports() []string {
	var paths []string
	for _, spec := range f.tree.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, strings.TrimPrefix(p, module+"/"))
	}
	return paths
}

// ours reports whether an import path, as imports gives it, is a package of this module.
func ours(imported string, files []*file) bool {
	return slices.ContainsFunc(files, func(f *file) bool { return f.pkg == imported })
}

// parse makes a file of a source text.
func parse(t testing.TB, name, source string) *file {
	t.Helper()
	f := &file{path: name, pkg: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), source: source}
	f.fset = token.NewFileSet()
	tree, err := parser.ParseFile(f.fset, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatalf("parse source: %v", err)
	}
	f.tree = tree
	return f
}

// walk calls fn for every file of the repository that people write.
func walk(t testing.TB, fn func(name string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root, p)
		name = filepath.ToSlash(name)
		switch base := d.Name(); {
		case d.IsDir() && (base == ".git" || base == "bin" || base == "testdata"):
			return filepath.SkipDir
		case !d.IsDir():
			fn(name)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("walk repository: %v", err)
	}
}

func read(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatalf("read source: %v", err)
	}
	return string(b)
}

// goFiles are all Go files of the module, whatever their build tags.
func goFiles(t testing.TB) []*file {
	t.Helper()
	var files []*file
	walk(t, func(name string) {
		if strings.HasSuffix(name, ".go") {
			files = append(files, parse(t, name, read(t, name)))
		}
	})
	return files
}

// report fails the test for every fault.
func report(t *testing.T, faults []fault) {
	t.Helper()
	for _, f := range faults {
		t.Error(f)
	}
}

// expect checks that a rule finds exactly the lines of a source that end in the comment "// bad".
func expect(t *testing.T, rule func(*file) []fault, name, source string) {
	t.Helper()
	f := parse(t, name, source)
	var want, got []string
	for i, line := range strings.Split(source, "\n") {
		if strings.HasSuffix(line, "// bad") {
			want = append(want, strconv.Itoa(i+1))
		}
	}
	for _, ft := range rule(f) {
		got = append(got, strings.Split(string(ft), ":")[1])
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(slices.Compact(got), want) {
		t.Errorf("faults in lines %v of this source, want %v:\n%s", got, want, source)
	}
}
