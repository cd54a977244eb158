package tidy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// checkDeadCode finds comments that are code: inside of functions, lines that parse as statements which do something.
// Examples in documentation are indented, and are left alone.
func checkDeadCode(f *file) []fault {
	var faults []fault
	for _, group := range f.tree.Comments {
		var block []string
		for _, c := range group.List {
			line, isLine := strings.CutPrefix(c.Text, "//")
			if !isLine || strings.HasPrefix(line, "go:") || strings.HasPrefix(line, "\t") {
				block = nil
				break
			}
			block = append(block, strings.TrimSpace(line))
		}
		if isCode(strings.Join(block, "\n")) {
			faults = append(faults, f.fault(group.Pos(), "commented-out code: take it out, the history keeps it"))
		}
	}
	return faults
}

// isCode reports whether a text is a list of statements of which one has an effect.
func isCode(text string) bool {
	if strings.TrimSpace(text) == "" {
		return false
	}
	source := "package p\nfunc _() {\n" + text + "\n}"
	tree, err := parser.ParseFile(token.NewFileSet(), "", source, parser.SkipObjectResolution)
	if err != nil || len(tree.Decls) != 1 {
		return false
	}
	fn, ok := tree.Decls[0].(*ast.FuncDecl)
	if !ok {
		return false
	}
	for _, s := range fn.Body.List {
		switch s := s.(type) {
		case *ast.AssignStmt, *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.DeferStmt, *ast.GoStmt,
			*ast.DeclStmt, *ast.ReturnStmt, *ast.IncDecStmt:
			return true
		case *ast.ExprStmt:
			if _, call := s.X.(*ast.CallExpr); call {
				return true
			}
		}
	}
	return false
}

func TestDeadCodeIsFound(t *testing.T) {
	for text, want := range map[string]bool{
		"the peer is told":                     false,
		"nop":                                  false,
		"true exactly while a send is pending": false,
		"return value in nanoseconds":          false,
		"x = 1":                                true,
		"if err != nil {\n\treturn err\n}":     true,
		"fmt.Println(x)":                       true,
		"conn.Close()\nreturn nil":             true,
		"see rule 6":                           false,
		"Len is the number of slots":           false,
	} {
		if got := isCode(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
