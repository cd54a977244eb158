package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// matching are the files of routing whose code runs for each request; the others build tables.
var matching = []string{
	"routing/match", "routing/lookup", "routing/judge", "routing/request", "routing/query", "routing/host",
	"routing/dict", "routing/hashmap", "routing/radix", "routing/predicate", "routing/effort",
}

// copies are the files of the data plane that may use the built-in copy, and what of. None of it is a body on its way.
var copies = map[string]string{
	"engine/addr":         "an address",
	"engine/mem/mem":      "what a free buffer is overwritten with, in test builds",
	"engine/udp/receive":  "the beginning of a datagram that outgrew a Small buffer",
	"engine/epoll/accept": "an address",
	"engine/epoll/conn":   "an address",
	"engine/epoll/send":   "the list of a send's spans",
	"engine/uring/accept": "an address",
	"proxy/mishap":        "what is said of a connection, for the log",
	"proxy/forwarded":     "a request ID",
	"proxy/handshake":     "what a handshake sends, and what it did not use",
	"proxy/head":          "a head that came in pieces",
	"proxy/hello":         "an answer of ours",
	"proxy/path":          "a path, for the log",
	"proxy/relayed":       "plaintext, where crypto/tls keeps the records",
	"proxy/response":      "chunks that are drawn together for a client of HTTP/1.0",
	"proxy/secure":        "a record that came in several buffers",
	"proxy/tunnel":        "a server name, for the log",
	"proxy/upgrade":       "what a request was, for the log",
	"proxy/h1/edit":       "a head that is edited in place",
	"routing/dict":        "the text of a route",
	"routing/match":       "what was found, a few pointers",
	"tls/hello/scanner":   "a hello that came in several records",
	"tls/record/derive":   "a key",
	"tls/record/gather":   "a record that came in several buffers",
	"tls/record/half":     "a secret",
	"tls/record/seal":     "data in several places that becomes one record, or that makes room for a record's ends",
}

// deferring are the files that may use defer: what they do happens at a shard's start or end. In metrics it is what the
// control plane calls that may.
var deferring = []string{"engine/uring/support", "shard/shard"}

// dynamic are the packages in which everything is called by its name: no interface, no function kept in a struct. What
// they do runs for each byte or each field of a head.
var dynamic = []string{"proxy/h1", "tls/hello", "routing/urlpath"}

// checkHotPath finds constructs that cost a request what it may not cost: a lock's or channel's wait, an allocation, a
// copy of a body, a call that cannot be inlined.
func checkHotPath(f *file) []fault {
	name := strings.TrimSuffix(f.path, ".go")
	if f.test || !slices.Contains(dataPlane, f.pkg) && !slices.Contains(matching, name) {
		return nil
	}
	var faults []fault
	bad := func(at token.Pos, text string) { faults = append(faults, f.fault(at, text)) }
	ast.Inspect(f.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SendStmt:
			if !slices.Contains(concurrency, f.pkg) {
				bad(n.Pos(), "send on a channel: use the shard's mailbox")
			}
		case *ast.UnaryExpr:
			if n.Op == token.ARROW && !slices.Contains(concurrency, f.pkg) {
				bad(n.Pos(), "receive from a channel: use the shard's mailbox")
			}
		case *ast.DeferStmt:
			if f.pkg != "metrics" && !slices.Contains(deferring, name) {
				bad(n.Pos(), "defer: give back at each return, or in the one function that ends it")
			}
		case *ast.MapType:
			if f.pkg != "metrics" {
				bad(n.Pos(), "map: a table by index, or a dictionary that routing compiled")
			}
		case *ast.CallExpr:
			id, ok := n.Fun.(*ast.Ident)
			if ok && id.Name == "copy" && f.pkg != "accesslog" && copies[name] == "" {
				bad(n.Pos(), "copy: bodies go by reference; say in this rule what is copied here")
			}
		}
		return true
	})
	return faults
}

// checkDynamic finds interfaces with methods, and functions kept in structs, where calls must be static.
func checkDynamic(f *file) []fault {
	if f.test || !slices.Contains(dynamic, f.pkg) && !slices.Contains(matching, strings.TrimSuffix(f.path, ".go")) {
		return nil
	}
	var faults []fault
	ast.Inspect(f.tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.InterfaceType:
			for _, m := range n.Methods.List {
				if len(m.Names) > 0 {
					faults = append(faults, f.fault(m.Pos(), "interface: a dynamic call for each byte or field"))
				}
			}
		case *ast.StructType:
			for _, field := range n.Fields.List {
				if _, ok := field.Type.(*ast.FuncType); ok {
					text := "function in a struct: switch over a constant instead"
					faults = append(faults, f.fault(field.Pos(), text))
				}
			}
		}
		return true
	})
	return faults
}

func TestHotPath(t *testing.T) {
	used := map[string]bool{}
	for _, f := range goFiles(t) {
		report(t, checkHotPath(f))
		report(t, checkDynamic(f))
		used[strings.TrimSuffix(f.path, ".go")] = true
	}
	for _, name := range append(slices.Clone(matching), deferring...) {
		if !used[name] {
			t.Errorf("%s.go is named in a rule and does not exist", name)
		}
	}
	for name, what := range copies {
		if !used[name] {
			t.Errorf("%s.go may copy %s and does not exist", name, what)
		}
	}
}

func TestHotPathFindsFaults(t *testing.T) {
	source := `package %s

func f(c chan<- int, d <-chan int, a, b []byte) {
	c <- 1 // bad
	<-d // bad
	for range a {
		defer f(c, d, a, b) // bad
	}
	_ = map[int]int{} // bad
	copy(a, b) // bad
	_ = -1
}
`
	expect(t, checkHotPath, "proxy/x.go", fmt.Sprintf(source, "proxy"))
	expect(t, checkHotPath, "routing/radix.go", fmt.Sprintf(source, "routing"))
	expect(t, checkHotPath, "routing/builder.go", strings.ReplaceAll(fmt.Sprintf(source, "routing"), " // bad", ""))
	expect(t, checkHotPath, "proxy/head.go", "package proxy\n\nfunc f(a, b []byte) { copy(a, b) }\n")
	dynamicSource := `package h1

type a interface {
	m() // bad
}

type b struct {
	f func() // bad
	g int
}

func c[T any](f func(T)) {}
`
	expect(t, checkDynamic, "proxy/h1/x.go", dynamicSource)
	expect(t, checkDynamic, "proxy/x.go", strings.ReplaceAll(dynamicSource, " // bad", ""))
}
